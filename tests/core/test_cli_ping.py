"""`pynet ping`: what it counts, and what it says of it."""

from __future__ import annotations

import json
import math
import threading

import pytest
from click.testing import CliRunner

from pynet_core.cli import pynet
from pynet_core.cli_ping import Tally, quantile
from pynet_core.client import Pong
from pynet_core.gateway import Gateway
from pynet_core.wire import Frame, Kind
from tests.core.loopback import FakeGateway
from tests.core.shell import json_keys


@pytest.mark.parametrize(
    ("share", "is_"), [(0.0, 1), (0.5, 50), (0.501, 51), (0.9, 90), (0.99, 99), (1.0, 100)]
)
def test_a_quantile_is_one_of_the_numbers(share: float, is_: float) -> None:
    assert quantile(range(1, 101), share) == is_
    assert quantile([7], share) == 7


def test_a_quantile_of_nothing_is_no_number() -> None:
    assert math.isnan(quantile([], 0.5))


def test_the_quickest_answer_tells_the_clocks_apart() -> None:
    tally = Tally([Pong("", 4_000_000, 9_000_000), Pong("", 1_000_000, 5_000_000)], lost=2)
    record = tally.record("x", 1)
    assert (record["clock_offset_ms"], record["clock_error_ms"]) == (5.0, 0.5)
    assert (record["sent"], record["received"], record["loss"]) == (4, 2, 0.5)
    assert (record["min_ms"], record["p50_ms"], record["max_ms"]) == (1.0, 1.0, 4.0)


def test_it_answers_and_says_so_for_people_and_programs(gateway: Gateway) -> None:
    words = ["ping", f"127.0.0.1:{gateway.port}", "--count", "20", "--interval", "0"]
    said = CliRunner().invoke(pynet, words)
    assert said.exit_code == 0, said.output
    assert said.output.startswith(f"20 pings to 127.0.0.1 port {gateway.port}: 20 answered, 0.0% lost\n")
    assert "round trip, ms: min 0." in said.output
    record = json.loads(CliRunner().invoke(pynet, [*words, "--json"]).output)
    assert set(record) == json_keys("pynet ping")[0]
    assert record["min_ms"] <= record["p50_ms"] <= record["p99_ms"] <= record["max_ms"] < 5000
    assert abs(record["clock_offset_ms"]) <= record["clock_error_ms"] + 0.1, "one clock, after all"


def test_a_ping_that_is_not_answered_is_lost_and_the_next_has_a_new_connection() -> None:
    def answer(fake: FakeGateway) -> None:
        with fake.accept_and_welcome() as silent:
            assert silent.receive().kind == Kind.PING
            with fake.accept_and_welcome() as peer:
                while (frame := peer.receive()).kind == Kind.PING:
                    peer.send(Frame(Kind.PONG, 0, frame.body))

    with FakeGateway() as fake:
        answering = threading.Thread(target=answer, args=(fake,))
        answering.start()
        words = ["ping", "--port", str(fake.port), "--count", "4", "--interval", "0", "--timeout", "0.3"]
        said = CliRunner().invoke(pynet, [*words, "--json"])
        answering.join()
    record = json.loads(said.output)
    assert (record["sent"], record["received"], record["loss"]) == (4, 3, 0.25)
    assert said.exit_code == 0


def test_when_all_are_lost_the_exit_code_is_1_and_no_number_is_made_up() -> None:
    with FakeGateway() as fake:
        answering = threading.Thread(target=lambda: fake.accept_and_welcome().receive())
        answering.start()
        words = ["ping", "--port", str(fake.port), "--count", "1", "--timeout", "0.2", "--json"]
        said = CliRunner().invoke(pynet, words)
        answering.join()
    record = json.loads(said.output)
    assert said.exit_code == 1
    assert (record["loss"], record["p50_ms"], record["clock_offset_ms"]) == (1.0, None, None)
