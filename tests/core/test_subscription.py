"""Streams in a thread of their own: callbacks, iteration, and every way to end them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.errors import SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.subscription import Subscription
from tests.core.loopback import (
    PATIENCE_S,
    Gate,
    Ticker,
    controller_of,
    counting,
    eventually,
    our_threads,
)


def test_a_subscription_calls_back_in_its_own_thread_and_tells_its_end_once(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("count", counting)
    threads: set[str] = set()
    ends: list[BaseException | None] = []
    running = client.subscribe(
        "count", lambda *_: threads.add(threading.current_thread().name), [20], on_end=ends.append
    )
    assert running.wait(PATIENCE_S)
    assert running.has_ended
    assert (threads, ends, running.error) == ({"pynet stream count"}, [None], None)
    assert running.stats.items == 20
    assert running.stats.payload_bytes == sum(len(b"%d" % number) for number in range(20))
    running.stop()
    assert ends == [None]
    assert client.ping().message == "ping"


def test_a_subscription_can_be_iterated_over_to_its_end(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("count", counting)
    assert list(client.subscribe("count", arguments=[50])) == list(counting(50))
    assert list(client.subscribe("count", arguments=[0])) == []


def test_an_iterating_reader_that_sleeps_gets_fresh_items(gateway: Gateway, client: Client) -> None:
    ticker = Ticker(0.002)
    gateway.add_subroutine("tick", ticker, shared=True, keep="latest")
    running = client.subscribe("tick")
    behind: list[int] = []
    for ident, _ in running:
        behind.append(ticker.newest - ident)
        time.sleep(0.03)
        if len(behind) == 12:
            break
    running.stop()
    assert sorted(behind)[6] <= 5, f"stale: {behind} items behind, the reader sleeps 15"
    assert running.stats.replaced > 30


def test_iteration_raises_what_ended_the_stream_after_the_items_before_it(
    gateway: Gateway, client: Client
) -> None:
    def failing() -> Iterator[bytes]:
        yield b"a"
        yield b"b"
        raise ValueError("broken sensor")

    gateway.add_subroutine("failing", failing)
    got: list[bytes] = []
    with pytest.raises(SubroutineError, match="ValueError: broken sensor"):
        got.extend(body for _, body in client.subscribe("failing"))
    assert got == [b"a", b"b"]


def test_a_subscription_with_a_callback_cannot_be_iterated_over(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("count", counting)
    with pytest.raises(TypeError, match="has a callback; leave that out to iterate"):
        next(iter(client.subscribe("count", lambda *_: None, [1])))


def test_stop_ends_the_stream_its_thread_and_its_generator_and_frees_the_pair(
    gateway: Gateway, client: Client
) -> None:
    ticker = Ticker()
    gateway.add_subroutine("tick", ticker)
    got: list[int] = []
    ends: list[BaseException | None] = []
    running = client.subscribe("tick", lambda _, ident, __: got.append(ident), on_end=ends.append)
    assert eventually(lambda: got)
    running.stop()
    assert (running.has_ended, running.error, ends) == (True, None, [None])
    count = len(got)
    assert client.ping().message == "ping"
    assert len(got) == count
    assert eventually(lambda: ticker.running == 0)


@pytest.mark.parametrize(
    "options", [{"keep": "latest"}, {"shared": True}, {"shared": True, "keep": "latest"}]
)
def test_stop_ends_a_pumped_stream_while_no_item_comes(
    gateway: Gateway, client: Client, options: Any
) -> None:
    go_on = threading.Event()

    def silent() -> Iterator[bytes]:
        go_on.wait(PATIENCE_S)
        yield b""

    gateway.add_subroutine("silent", silent, **options)
    running = client.subscribe("silent", lambda *_: None)
    running.stop()
    assert (running.has_ended, running.error) == (True, None)
    assert client.ping().message == "ping", "the pair is free"
    go_on.set()


def test_stop_of_a_stuck_generator_cuts_the_pair_and_says_why(
    gateway: Gateway, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def stuck() -> Iterator[bytes]:
        yield gate()

    gateway.add_subroutine("stuck", stuck)
    running = client.subscribe("stuck", lambda *_: None)
    assert gate.entered.acquire(timeout=PATIENCE_S)
    running.stop()
    assert (running.has_ended, running.error) == (True, None)
    assert not client.connected
    assert "stream 'stuck' has not ended 0.5 s after it was cancelled: its generator is stuck" in caplog.text
    gate.open()


def test_stop_from_the_callback_ends_the_stream_when_it_returns(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker())
    got: list[int] = []
    made = threading.Event()
    box: list[Subscription] = []

    def callback(_name: str, ident: int, _body: bytes) -> None:
        assert made.wait(PATIENCE_S)
        got.append(ident)
        box[0].stop()

    box.append(client.subscribe("tick", callback))
    made.set()
    assert box[0].wait(PATIENCE_S)
    assert got == [0]
    assert client.ping().message == "ping"


@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(1)])
def test_a_subscriptions_callback_that_raises_ends_it_and_is_told(
    gateway: Gateway, client: Client, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.add_subroutine("tick", Ticker())
    ends: list[BaseException | None] = []

    def callback(_name: str, _ident: int, _body: bytes) -> None:
        raise error

    running = client.subscribe("tick", callback, on_end=ends.append)
    assert running.wait(PATIENCE_S)
    assert running.error is error
    assert ends == [error]
    assert "callback of stream 'tick' failed" in caplog.text
    assert client.ping().message == "ping"


@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(1)])
def test_an_on_end_that_raises_is_logged_and_harms_nothing(
    gateway: Gateway, client: Client, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.add_subroutine("count", counting)

    def on_end(_error: BaseException | None) -> None:
        raise error

    assert client.subscribe("count", lambda *_: None, [1], on_end=on_end).wait(PATIENCE_S)
    assert "on_end of stream 'count' failed" in caplog.text


def test_stop_does_not_wait_for_a_callback_that_never_returns(
    gateway: Gateway, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    gateway.add_subroutine("tick", Ticker())
    running = client.subscribe("tick", gate)
    assert gate.entered.acquire(timeout=PATIENCE_S)
    running.stop()
    assert not running.has_ended
    assert "callback of stream 'tick' does not return" in caplog.text
    assert eventually(lambda: not gateway.pool.live), "the gateway's place is free all the same"
    gate.open()
    assert running.wait(PATIENCE_S)


def test_what_a_subscription_cannot_ask_for_is_its_error(gateway: Gateway, client: Client) -> None:
    ends: list[BaseException | None] = []
    running = client.subscribe("none", lambda *_: None, on_end=ends.append)
    assert running.wait(PATIENCE_S)
    assert isinstance(running.error, SubroutineError)
    assert running.error.code == 404
    assert ends == [running.error]


def test_closing_a_client_stops_its_subscription(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker())
    client = controller_of(gateway).get_client()
    running = client.subscribe("tick")
    next(iter(running))  # and the reader goes away
    client.close()
    assert running.has_ended
    assert running.error is None
    assert not any("stream" in name for name in our_threads())


def test_a_pair_can_be_subscribed_again_and_again(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker(), shared=True, keep="latest")
    for _ in range(20):
        running = client.subscribe("tick")
        next(iter(running))
        running.stop()
        assert running.stats.items >= 1
    assert client.ping().message == "ping"
