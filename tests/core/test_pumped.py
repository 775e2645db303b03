"""pynet_core.pumped: what subscribers of shared generators and feeds are sent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pynet_core.channel import PlainChannel
from pynet_core.client import Client
from pynet_core.errors import SubroutineError
from pynet_core.feed import Feed, Item, Subscriber
from pynet_core.gateway import Gateway
from pynet_core.items import GATHER_BELOW_BYTES, unpack_items
from pynet_core.mailbox import QUEUE_ITEMS, KeyedMailbox, Queue
from pynet_core.pump import YOUNG_NS
from pynet_core.pumped import GATHER_NS, send_pumped
from pynet_core.session import Session
from pynet_core.wire import Flag, Frame, Kind
from tests.core.loopback import PATIENCE_S, RawPeer, controller_of, eventually


def sent(
    box: Subscriber, items: list[Item], *, newest: bool = False, gathers: bool = True, credit: int = 9
) -> list[Frame]:
    """The frames in which these leave when they have waited together."""
    for item in items:
        box.put(item)
    box.close()
    ours, theirs = socket.socketpair()
    session = Session("gateway")
    for kind, from_us in ((Kind.HELLO, False), (Kind.WELCOME, True), (Kind.STREAM, False)):
        session.send(Frame(kind)) if from_us else session.receive(Frame(kind))
    session.receive(Frame(Kind.CREDIT, credit))
    channel = PlainChannel(ours, session)

    def send() -> None:
        send_pumped(channel, box, newest=newest, gathers=gathers)
        channel.close()

    thread = threading.Thread(target=send)
    thread.start()
    frames: list[Frame] = []
    with RawPeer(theirs) as peer, contextlib.suppress(EOFError):
        while True:
            frames.append(peer.receive())
    thread.join()
    return frames


def contents(frames: list[Frame]) -> list[tuple[int, bytes]]:
    got: list[tuple[int, bytes]] = []
    for frame in frames:
        got += unpack_items(frame) if frame.kind == Kind.ITEMS else [(frame.ident, frame.body)]
    return got


# Every item


def test_what_has_waited_together_goes_in_one_frame_stamped_as_the_oldest() -> None:
    items = [Item(n, b"x" * n, 1000 + n) for n in range(100)]
    frames = sent(Queue(), items)
    assert contents(frames) == [(item.ident, item.body) for item in items]
    assert [(frame.kind, frame.stamp_ns, frame.flags) for frame in frames] == [(Kind.ITEMS, 1000, Flag.NONE)]


def test_items_made_long_apart_keep_their_own_stamps() -> None:
    items = [Item(n, b"x", n * (GATHER_NS + 1)) for n in range(3)]
    assert [(frame.kind, frame.stamp_ns) for frame in sent(Queue(), items)] == [
        (Kind.ITEM, item.stamp_ns) for item in items
    ]


def test_large_ones_go_by_themselves_and_in_order() -> None:
    sizes = [1, GATHER_BELOW_BYTES, 2, 3, 300_000, 4]
    items = [Item(n, bytes(size), 0) for n, size in enumerate(sizes)]
    frames = sent(Queue(), items)
    assert contents(frames) == [(item.ident, item.body) for item in items]
    assert [frame.kind for frame in frames] == [Kind.ITEM, Kind.ITEM, Kind.ITEMS, Kind.ITEM, Kind.ITEM]


def test_a_frame_is_no_larger_than_the_peer_takes() -> None:
    items = [Item(n, bytes(GATHER_BELOW_BYTES - 1), 0) for n in range(50)]
    frames = sent(Queue(), items)
    assert len(contents(frames)) == 50
    assert max(len(frame.body) for frame in frames) <= 64 * 1024


def test_a_peer_that_does_not_know_such_frames_gets_none() -> None:
    items = [Item(n, b"x", 0) for n in range(5)]
    assert [frame.kind for frame in sent(Queue(), items, gathers=False)] == [Kind.ITEM] * 5


def test_a_shared_generator_that_outruns_the_wire_loses_nothing(gateway: Gateway) -> None:
    go = threading.Event()

    def rush() -> Iterator[tuple[int, bytes]]:
        yield 0, b"first"
        assert go.wait(PATIENCE_S)
        for number in range(1, 20_000):
            yield number, b"%d" % number

    gateway.add_subroutine("rush", rush, shared=True)
    got: list[int] = []
    with controller_of(gateway).get_client() as client:
        running = client.subscribe("rush", lambda _, ident, __: got.append(ident))
        assert eventually(lambda: got)
        go.set()
        assert running.wait(4 * PATIENCE_S)
        assert running.error is None
    assert got == list(range(20_000))


def test_a_rush_waits_for_a_subscriber_that_is_held_up_for_a_moment(gateway: Gateway) -> None:
    body = bytes(100_000)  # a few of these fill the kernel's buffers
    held_up = threading.Event()
    total = 3 * QUEUE_ITEMS

    def rush() -> Iterator[tuple[int, bytes]]:
        for number in range(total):
            yield number, body

    gateway.add_subroutine("rush", rush, shared=True)
    got: list[int] = []

    def stalls(_name: str, ident: int, _body: bytes) -> None:
        got.append(ident)
        if ident == 0:
            held_up.wait(YOUNG_NS / 1e9 / 4)

    with controller_of(gateway).get_client() as client:
        running = client.subscribe("rush", stalls)
        assert running.wait(4 * PATIENCE_S)
        assert running.error is None
    assert got == list(range(total))


# The newest of each channel


def test_the_newest_of_each_channel_costs_one_credit_together() -> None:
    items = [Item(n % 3, b"%d" % n, 1000 + n) for n in range(30)]
    (frame,) = sent(KeyedMailbox(), items, newest=True, credit=1)
    assert (frame.kind, frame.flags, frame.replaced) == (Kind.ITEMS, Flag.CREDITED, 27)
    assert contents([frame]) == [(0, b"27"), (1, b"28"), (2, b"29")]
    assert frame.stamp_ns == 1027


def test_a_slow_subscriber_sees_the_newest_of_every_channel(gateway: Gateway, client: Client) -> None:
    feed = Feed()
    gateway.add_subroutine("telemetry", feed, keep="latest", keyed=True)
    newest: dict[int, int] = {}
    calls = 0

    def slow(_name: str, channel: int, body: bytes) -> None:
        nonlocal calls
        calls += 1
        newest[channel] = int(body)
        time.sleep(0.002)

    running = client.subscribe("telemetry", slow)
    assert eventually(lambda: feed.is_heard)
    for number in range(3000):
        feed.put(b"%d" % number, ident=number % 10)
    assert eventually(lambda: newest == {channel: 2990 + channel for channel in range(10)})
    assert calls < 1500
    assert calls + running.stats.replaced == 3000
    feed.close()


def test_idents_that_count_up_end_the_stream_with_a_reason(gateway: Gateway, client: Client) -> None:
    feed = Feed()
    gateway.add_subroutine("telemetry", feed, keep="latest", keyed=True)
    held = threading.Event()
    running = client.subscribe("telemetry", lambda *_: held.wait(PATIENCE_S))
    assert eventually(lambda: feed.is_heard)
    for number in range(10_000):
        feed.put(b"", ident=number)
    held.set()
    assert running.wait(PATIENCE_S)
    assert isinstance(running.error, SubroutineError)
    assert "over 4096 different idents" in str(running.error)


def test_keyed_is_for_the_newest_only(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="keyed is for keep='latest'"):
        gateway.add_subroutine("telemetry", Feed(), keyed=True)
