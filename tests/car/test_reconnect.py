"""A driver finds its car again: which lines are tried when, and over a link that falls silent."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pynet_car.messages import State
from pynet_car.operator import Operator
from pynet_car.race import AT_ONCE, RETRY_S, Race
from tests.car.fake_car import FakeCar
from tests.car.silent_relay import SilentRelay
from tests.core.loopback import eventually, our_threads

# Who is tried when


def run_for(race: Race[str], down: list[str], seconds: float) -> list[tuple[float, str]]:
    """Ask ten times a second; nothing answers."""
    times = [tick / 10 for tick in range(int(seconds * 10))]
    return [(now_s, line) for now_s in times for line in race.due(down, now_s)]


def test_while_nothing_answers_the_first_line_is_tried_every_half_second() -> None:
    race: Race[str] = Race()
    race.due(["status"], -1.0)
    race.ended("status", -1.0, answered=False)
    tries = run_for(race, ["status", "drive"], 1.6)
    assert tries == [(0.0, "status"), (0.5, "status"), (1.0, "status"), (1.5, "status")]


def test_no_more_tries_run_at_once_than_a_gateway_lets_in() -> None:
    race: Race[str] = Race()
    tries = run_for(race, ["status"], 10)
    assert len(tries) == AT_ONCE
    race.ended("status", 0.0, answered=False)
    assert race.due(["status"], 10.0) == ["status"]


def test_once_one_has_answered_all_that_are_down_are_tried_at_once() -> None:
    race: Race[str] = Race()
    assert race.due(["status"], 0.0) == ["status"]
    assert race.due(["status"], 0.6) == ["status"]
    race.ended("status", 0.6, answered=True)
    assert race.due(["drive", "control"], 0.7) == ["drive", "control"], "though the first still runs"
    race.ended("status", 0.0, answered=False)
    assert race.due(["safety"], 0.8) == ["safety"], "that it came to nothing is old news"


def test_when_one_try_is_refused_only_the_first_line_is_tried_and_not_too_often() -> None:
    race: Race[str] = Race()
    assert race.due(["status", "drive"], 0.0) == ["status", "drive"]
    race.ended("drive", 0.0, answered=False)
    race.ended("status", 0.0, answered=False)
    assert race.due(["status", "drive"], 0.1) == []
    assert race.due(["status", "drive"], RETRY_S) == ["status"]


# A whole driver


@pytest.fixture
def car() -> Iterator[FakeCar]:
    with FakeCar() as car:
        yield car


@pytest.fixture
def relay(car: FakeCar) -> Iterator[SilentRelay]:
    with SilentRelay(car.port) as relay:
        yield relay


def drives_again(operator: Operator, car: FakeCar) -> bool:
    """A wish made now arrives on both pairs."""
    operator.drive(0.3, 0.0)
    since_s = time.monotonic() - 0.5
    return len({told.pair_id for told in car.told if told.at_s > since_s}) == 2


def found_again(operator: Operator, lines: int) -> bool:
    return operator.is_connected and sum(line.is_up for line in operator._keeper._lines) == lines


@pytest.mark.slow
def test_a_link_that_falls_silent_is_replaced_although_nothing_was_closed(
    car: FakeCar, relay: SilentRelay
) -> None:
    with Operator(port=relay.port) as operator:
        operator.arm()
        before = list(relay.connections)
        relay.fall_silent()
        assert eventually(lambda: not operator.is_connected)
        assert eventually(lambda: found_again(operator, 6))
        assert eventually(lambda: drives_again(operator, car))
        operator.e_stop()
        assert car.status.state is State.E_STOP
        assert len(relay.connections) == 2 * len(before), "each pair once"
        assert operator.link_error is None


@pytest.mark.slow
def test_tries_that_are_not_answered_hold_up_no_later_one(car: FakeCar, relay: SilentRelay) -> None:
    with Operator(port=relay.port) as operator:
        operator.arm()
        count = len(relay.connections)
        relay.fall_silent(swallow=2)
        assert eventually(lambda: not operator.is_connected)
        assert eventually(lambda: operator.is_connected)
        swallowed = relay.connections[count : count + 2]
        assert [connection.is_closed for connection in swallowed] == [False, False], (
            "both were still waited for"
        )
        assert eventually(lambda: found_again(operator, 6))
        assert eventually(lambda: drives_again(operator, car))


@pytest.mark.slow
def test_old_pairs_win_when_they_are_heard_first(car: FakeCar, relay: SilentRelay) -> None:
    with Operator(port=relay.port) as operator:
        operator.arm()
        before = list(relay.connections)
        relay.fall_silent(swallow=99)
        assert eventually(lambda: len(relay.connections) >= len(before) + 2)
        for connection in before:
            connection.is_silent = False
        assert eventually(lambda: operator.is_connected)
        assert eventually(lambda: drives_again(operator, car))
        assert not any(connection.is_closed for connection in before)


@pytest.mark.slow
def test_nothing_is_left_of_tries_that_were_not_answered(car: FakeCar, relay: SilentRelay) -> None:
    threads = our_threads()
    operator = Operator(port=relay.port)
    relay.fall_silent(swallow=99)
    assert eventually(lambda: len(relay.connections) >= 8)
    operator.close()
    relay.speak()
    assert eventually(lambda: our_threads() == threads)
    assert eventually(lambda: not car.gateway.pool.live)


@pytest.mark.slow
def test_the_first_pair_is_tried_again_when_its_handshake_comes_to_nothing(
    car: FakeCar, relay: SilentRelay
) -> None:
    relay.fall_silent(swallow=1)
    with Operator(port=relay.port) as operator:
        assert operator.is_connected
    assert len(relay.connections) == 7
