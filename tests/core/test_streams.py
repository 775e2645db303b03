"""Streams over real sockets: every item or the newest one, one consumer or many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.errors import DeadlineExceeded, LinkClosed, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.mailbox import QUEUE_ITEMS
from pynet_core.wire import Frame, Kind
from tests.core.loopback import (
    PATIENCE_S,
    FakeGateway,
    Gate,
    Ticker,
    collected,
    controller_of,
    counting,
    eventually,
    our_threads,
)


def test_every_item_arrives_in_order_in_the_calling_thread_and_then_the_end(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("count", counting)
    got: list[tuple[str, int, bytes, bool]] = []
    ends: list[str] = []
    main = threading.current_thread()
    client.get_subroutine_stream(
        "count",
        lambda name, ident, body: got.append((name, ident, body, threading.current_thread() is main)),
        ends.append,
        [300],
    )
    assert got == [("count", number, b"%d" % number, True) for number in range(300)]
    assert ends == ["count"]


def test_arguments_and_keywords_reach_the_generator(gateway: Gateway, client: Client) -> None:
    def echo(*arguments: Any, **kwargs: Any) -> Iterator[bytes]:
        yield repr((arguments, kwargs)).encode()

    gateway.add_subroutine("echo", echo)
    (item,) = collected(client, "echo", 1, "a", [b"x", None], three=3.5)
    assert item == (0, b"((1, 'a', [b'x', None]), {'three': 3.5})")


def test_large_items_arrive_whole(gateway: Gateway, client: Client) -> None:
    sizes = [0, 1, 2_000, 16_383, 16_384, 40_000, 300_000, 5_000_000]

    def pictures() -> Iterator[bytes]:
        for size in sizes:
            yield bytes([size % 251]) * size

    gateway.add_subroutine("pictures", pictures)
    assert [body for _, body in collected(client, "pictures")] == [bytes([s % 251]) * s for s in sizes]


@pytest.mark.parametrize("ending", [None, (-1, b"x"), (3, None)])
def test_a_stream_ends_where_its_generator_says_so(gateway: Gateway, client: Client, ending: Any) -> None:
    def feed() -> Iterator[Any]:
        yield b"a"
        yield ending
        yield b"never"

    gateway.add_subroutine("feed", feed)
    ends: list[str] = []
    got: list[bytes] = []
    client.get_subroutine_stream("feed", lambda _name, _ident, body: got.append(body), ends.append)
    assert (got, ends) == ([b"a"], ["feed"])


def test_two_streams_one_after_the_other_each_begin_anew(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("count", counting)
    assert collected(client, "count", 5) == collected(client, "count", 5) == list(counting(5))
    assert client.ping().message == "ping"


@pytest.mark.parametrize(
    "options", [{}, {"shared": True}, {"keep": "latest"}, {"shared": True, "keep": "latest"}]
)
def test_a_callback_that_returns_false_ends_the_stream_and_hears_no_more(
    gateway: Gateway, client: Client, options: Any
) -> None:
    ticker = Ticker()
    gateway.add_subroutine("tick", ticker, **options)
    for _ in range(3):
        got: list[int] = []
        ends: list[str] = []
        client.get_subroutine_stream("tick", five_of(got), ends.append)
        assert len(got) == 5
        assert ends == []
    assert client.ping().message == "ping"
    assert eventually(lambda: ticker.running == 0)


def five_of(got: list[int]) -> Callable[[str, int, bytes], bool]:
    def callback(_name: str, ident: int, _body: bytes) -> bool:
        got.append(ident)
        return len(got) < 5

    return callback


@pytest.mark.parametrize("answer", [None, 0, "", b"", [], True, 1])
def test_only_false_itself_ends_a_stream(gateway: Gateway, client: Client, answer: Any) -> None:
    gateway.add_subroutine("count", counting)
    got: list[int] = []

    def callback(_name: str, ident: int, _body: bytes) -> Any:
        got.append(ident)
        return answer

    client.get_subroutine_stream("count", callback, None, [4])
    assert got == [0, 1, 2, 3]


class Interrupted(int):
    """Ctrl-C comes when something is added to it."""

    def __add__(self, _: int) -> int:
        raise KeyboardInterrupt


def test_ctrl_c_between_two_items_closes_the_pair_which_can_be_opened_anew(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("tick", Ticker(), keep="latest")
    client.replaced = Interrupted()  # counted when an item has come, before the callback
    with pytest.raises(KeyboardInterrupt):
        client.get_subroutine_stream("tick", lambda *_: None)
    assert not client.connected
    client.reopen()
    assert client.ping().message == "ping"


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt(), LinkClosed("of another link")])
@pytest.mark.parametrize("options", [{}, {"shared": True, "keep": "latest"}])
def test_what_a_callback_raises_comes_out_as_it_is_and_the_pair_goes_on(
    gateway: Gateway, client: Client, error: BaseException, options: Any
) -> None:
    gateway.add_subroutine("tick", Ticker(), **options)
    ends: list[str] = []

    def callback(_name: str, ident: int, _body: bytes) -> None:
        if ident >= 3:
            raise error

    with pytest.raises(type(error)) as caught:
        client.get_subroutine_stream("tick", callback, ends.append)
    assert caught.value is error
    assert ends == []
    assert client.ping().message == "ping"


def test_what_a_callback_raises_comes_out_even_when_the_gateway_has_gone_meanwhile() -> None:
    with FakeGateway() as fake:

        def one_item_then_gone() -> None:
            peer = fake.accept_stream()
            peer.send(Frame(Kind.ITEM))
            peer.reset()

        going = threading.Thread(target=one_item_then_gone)
        going.start()

        def callback(_name: str, _ident: int, _body: bytes) -> None:
            going.join(PATIENCE_S)
            raise KeyError("mine")

        client = controller_of(fake).get_client()
        with pytest.raises(KeyError, match="mine"):
            client.get_subroutine_stream("tick", callback)
        assert not client.connected


def test_an_eos_callback_that_raises_comes_out(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("count", counting)

    def eos(_name: str) -> None:
        raise KeyError("eos")

    with pytest.raises(KeyError, match="eos"):
        client.get_subroutine_stream("count", lambda *_: None, eos, [1])
    assert client.ping().message == "ping"


def test_a_slow_callback_holds_an_every_item_generator_back_and_loses_nothing(
    gateway: Gateway, client: Client
) -> None:
    body = bytes(200_000)
    yielded: list[int] = []

    def feed() -> Iterator[tuple[int, bytes]]:
        for number in range(100):
            yielded.append(number)
            yield number, body

    gateway.add_subroutine("feed", feed)
    got: list[int] = []
    furthest = 0

    def callback(_name: str, ident: int, _body: bytes) -> None:
        nonlocal furthest
        if ident == 0:
            eventually(lambda: len(yielded) == 100, 0.3)
            furthest = len(yielded)
        got.append(ident)

    client.get_subroutine_stream("feed", callback)
    assert furthest < 100, "20 MB went somewhere while nobody read them"
    assert got == list(range(100))


def test_a_generator_that_is_stuck_when_its_stream_is_ended_costs_a_deadline_and_the_pair(
    gateway: Gateway, client: Client
) -> None:
    gate = Gate()

    def one_then_stuck() -> Iterator[bytes]:
        yield b""
        yield gate()

    gateway.add_subroutine("stuck", one_then_stuck)
    client.cancel_timeout_s = 0.5
    with pytest.raises(DeadlineExceeded, match=r"'stuck' has not ended 0\.5 s after it was cancelled: its"):
        client.get_subroutine_stream("stuck", lambda *_: False)
    with pytest.raises(LinkClosed, match="this pair is closed; get another client"):
        client.ping()
    gate.open()


# Newest only


@pytest.mark.parametrize("shared", [True, False])
def test_a_consumer_that_sleeps_gets_fresh_items_and_is_told_what_was_replaced(
    gateway: Gateway, client: Client, shared: bool
) -> None:
    ticker = Ticker(0.002)
    gateway.add_subroutine("tick", ticker, shared=shared, keep="latest")
    got: list[int] = []
    behind: list[int] = []

    def callback(_name: str, ident: int, _body: bytes) -> bool:
        got.append(ident)
        behind.append(ticker.newest - ident)
        assert client.stamp_ns <= time.monotonic_ns()
        time.sleep(0.03)
        return len(got) < 15

    client.get_subroutine_stream("tick", callback)
    assert client.replaced == got[-1] + 1 - len(got), "each gap is what was replaced, before the first too"
    assert client.replaced > 3 * len(got)
    assert sorted(behind)[len(behind) // 2] <= 5, f"stale: {behind} items behind, the consumer sleeps 15"


def test_a_shared_newest_only_stream_gives_each_consumer_its_own_pace(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker(0.002), shared=True, keep="latest")
    controller = controller_of(gateway)
    with controller.get_client() as quick, controller.get_client() as slow:
        fast_got: list[int] = []
        fast = quick.subscribe("tick", lambda _, ident, __: fast_got.append(ident))
        slow_got: list[int] = []

        def sleepy(_name: str, ident: int, _body: bytes) -> bool:
            slow_got.append(ident)
            time.sleep(0.05)
            return len(slow_got) < 6

        slow.get_subroutine_stream("tick", sleepy)
        fast.stop()
    assert len(fast_got) > 3 * len(slow_got)


def test_a_natural_end_reaches_newest_only_subscribers_after_the_last_item(
    gateway: Gateway, client: Client
) -> None:
    def feed() -> Iterator[bytes]:
        for _ in range(5):
            time.sleep(0.005)
            yield b"early"
        yield b"last"

    gateway.add_subroutine("feed", feed, keep="latest")
    ends: list[str] = []
    got: list[bytes] = []
    client.get_subroutine_stream("feed", lambda _n, _i, body: got.append(body), ends.append)
    assert got[-1] == b"last"
    assert ends == ["feed"]


# Shared, every item


def test_a_shared_stream_gives_every_item_to_all(gateway: Gateway) -> None:
    go = threading.Event()

    def feed() -> Iterator[tuple[int, bytes]]:
        go.wait(PATIENCE_S)
        yield from counting(200)

    gateway.add_subroutine("feed", feed, shared=True)
    controller = controller_of(gateway)
    clients = [controller.get_client() for _ in range(4)]
    got: list[list[int]] = [[] for _ in clients]

    def keep(numbers: list[int]) -> Callable[[str, int, bytes], None]:
        return lambda _name, ident, _body: numbers.append(ident)

    running = [each.subscribe("feed", keep(numbers)) for each, numbers in zip(clients, got, strict=True)]
    assert eventually(lambda: "feed" in gateway.pumps._shared)
    assert eventually(lambda: len(gateway.pumps._shared["feed"]._broadcast._boxes) == 4)
    assert our_threads().count("pynet pump feed") == 1
    go.set()
    assert all(each.wait(PATIENCE_S) for each in running)
    assert got == [list(range(200))] * 4
    for each in clients:
        each.close()


def test_a_subscriber_that_falls_256_items_behind_is_told_so_and_the_others_lose_nothing(
    gateway: Gateway,
) -> None:
    body = bytes(100_000)  # a few of these fill the kernel's buffers
    behind, go_on = threading.Event(), threading.Event()
    total = 3 * QUEUE_ITEMS

    def feed() -> Iterator[tuple[int, bytes]]:
        for number in range(total):
            if number == total - 1:
                behind.set()
                go_on.wait(PATIENCE_S)
            time.sleep(0.0003)
            yield number, body

    gateway.add_subroutine("feed", feed, shared=True)
    controller = controller_of(gateway)
    with controller.get_client() as quick, controller.get_client() as slow:
        slow_got: list[int] = []

        def stalls(_name: str, ident: int, _body: bytes) -> None:
            slow_got.append(ident)
            behind.wait(PATIENCE_S)

        stalled = slow.subscribe("feed", stalls)
        assert eventually(lambda: slow_got)
        got: list[int] = []
        quick_one = quick.subscribe("feed", lambda _, ident, __: got.append(ident))
        assert behind.wait(2 * PATIENCE_S)
        go_on.set()
        assert stalled.wait(PATIENCE_S)
        assert quick_one.wait(PATIENCE_S)
        assert isinstance(stalled.error, SubroutineError)
        assert "TooSlow: too slow: fell 256 items behind" in str(stalled.error)
        assert quick_one.error is None
        assert got == list(range(got[0], total))
        assert slow.ping().message == "ping"


def test_a_shared_stream_takes_no_arguments(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker(), shared=True)
    with pytest.raises(SubroutineError, match="'tick' is shared by all; it takes no arguments"):
        collected(client, "tick", 1)
