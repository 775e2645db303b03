"""pynet_core.feed: streams that other threads put into."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.errors import LinkClosed, SubroutineError
from pynet_core.feed import Feed, Keep
from pynet_core.gateway import Gateway
from pynet_core.mailbox import QUEUE_ITEMS
from pynet_core.wire import MAX_ITEM_BYTES
from tests.core.loopback import PATIENCE_S, collected, controller_of, eventually, our_threads, serving


def heard_by(feed: Feed, count: int) -> bool:
    return eventually(lambda: len(feed._broadcast._boxes) == count)


def test_every_subscriber_gets_every_item_with_its_ident_and_the_end(gateway: Gateway) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed)
    controller = controller_of(gateway)
    clients = [controller.get_client() for _ in range(3)]
    got: list[list[tuple[int, bytes]]] = [[] for _ in clients]

    def keep(items: list[tuple[int, bytes]]) -> Callable[[str, int, bytes], None]:
        return lambda _, ident, body: items.append((ident, body))

    running = [each.subscribe("feed", keep(items)) for each, items in zip(clients, got, strict=True)]
    assert heard_by(feed, 3)
    feed.put(b"a")
    feed.put(bytearray(b"b"), ident=77)
    feed.put(memoryview(b"c"))
    feed.close()
    assert all(each.wait(PATIENCE_S) and each.error is None for each in running)
    assert got == [[(0, b"a"), (77, b"b"), (1, b"c")]] * 3
    for client in clients:
        client.close()


@pytest.mark.parametrize(("ident", "error"), [("a", TypeError), (1.5, TypeError), (2**63, ValueError)])
def test_an_ident_that_cannot_travel_is_told_to_who_puts_and_harms_no_subscriber(
    gateway: Gateway, client: Client, ident: Any, error: type[Exception]
) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed)
    running = client.subscribe("feed", lambda *_: None)
    assert heard_by(feed, 1)
    with pytest.raises(error):
        feed.put(b"", ident)
    feed.put(b"", -1)
    assert eventually(lambda: running.stats.items == 1)


def test_a_newest_only_feed_skips_what_a_consumer_is_too_slow_for(gateway: Gateway, client: Client) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed, keep="latest")
    first, go_on = threading.Event(), threading.Event()
    got: list[int] = []

    def callback(_name: str, ident: int, _body: bytes) -> None:
        got.append(ident)
        first.set()
        go_on.wait(PATIENCE_S)

    running = client.subscribe("feed", callback)
    assert heard_by(feed, 1)
    feed.put(b"")
    assert first.wait(PATIENCE_S)
    for _ in range(50):
        feed.put(b"")
    go_on.set()
    assert eventually(lambda: got == [0, 50])
    assert running.stats.replaced == 49
    feed.close()


def test_a_feed_has_no_thread_and_lets_go_of_a_subscriber_that_has_gone(gateway: Gateway) -> None:
    before = our_threads().count("pynet pump feed")
    feed = Feed()
    gateway.add_subroutine("feed", feed)
    with controller_of(gateway).get_client() as client:
        client.subscribe("feed", lambda *_: None)
        assert heard_by(feed, 1)
        assert our_threads().count("pynet pump feed") == before
    assert heard_by(feed, 0)
    feed.put(b"to nobody")


def test_who_falls_256_items_behind_is_told_so(gateway: Gateway, client: Client) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed)
    running = client.subscribe("feed", lambda *_: None)
    assert heard_by(feed, 1)
    body = bytes(1_000_000)  # the link takes a few of these

    def overflow() -> bool:
        for _ in range(QUEUE_ITEMS + 1):
            feed.put(body)
        return running.has_ended

    assert eventually(overflow)
    assert isinstance(running.error, SubroutineError)
    assert "too slow: fell 256 items behind" in str(running.error)
    assert client.ping().message == "ping"


def test_a_closed_feed_ends_at_once(gateway: Gateway, client: Client) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed)
    feed.close()
    feed.put(b"too late")
    assert collected(client, "feed") == []


def test_a_feed_outlives_its_gateway_and_a_stop_is_no_natural_end() -> None:
    feed = Feed()
    for _ in range(2):
        with serving() as gateway:
            gateway.add_subroutine("feed", feed)
            client = controller_of(gateway).get_client()
            running = client.subscribe("feed", lambda *_: None)
            assert heard_by(feed, 1)
        assert running.wait(PATIENCE_S)
        assert isinstance(running.error, LinkClosed)
        client.close()


def test_a_feed_is_a_stream_and_nothing_else(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("feed", Feed())
    for ask in (client.get_subroutine_batch, client.send_subroutine_batch, client.open_buffer):
        with pytest.raises(SubroutineError, match="ask for it as a stream"):
            ask("feed")
    with pytest.raises(SubroutineError, match="'feed' is shared by all; it takes no arguments"):
        collected(client, "feed", 1)
    assert client.ping().message == "ping"


@pytest.mark.parametrize("nonsense", ["text", 5, None, (1, b"")])
def test_what_is_no_bytes_is_the_putters_own_error(nonsense: Any) -> None:
    feed = Feed()
    box = feed.subscribe("every")
    with pytest.raises(TypeError, match="give bytes"):
        feed.put(nonsense)
    assert box.take(0) is None


@pytest.mark.parametrize("keep", ["every", "latest"])
def test_an_item_that_cannot_be_sent_costs_the_stream_and_not_the_pair(
    gateway: Gateway, client: Client, keep: Keep
) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed, keep=keep)
    running = client.subscribe("feed", lambda *_: None)
    assert heard_by(feed, 1)
    feed.put(bytes(MAX_ITEM_BYTES + 1))
    assert running.wait(PATIENCE_S)
    assert f"ITEM of {MAX_ITEM_BYTES + 1} B, limit {MAX_ITEM_BYTES} B" in str(running.error)
    assert client.ping().message == "ping"


def test_threads_may_put_at_once_and_nothing_is_lost(gateway: Gateway, client: Client) -> None:
    feed = Feed()
    gateway.add_subroutine("feed", feed)
    got: list[bytes] = []
    running = client.subscribe("feed", lambda _, __, body: got.append(body))
    assert heard_by(feed, 1)

    def put(number: int) -> None:
        for turn in range(40):
            feed.put(b"%d %d" % (number, turn))

    putting = [threading.Thread(target=put, args=(number,)) for number in range(5)]
    for each in putting:
        each.start()
    for each in putting:
        each.join()
    feed.close()
    assert running.wait(PATIENCE_S)
    assert sorted(got) == sorted(b"%d %d" % (number, turn) for number in range(5) for turn in range(40))
