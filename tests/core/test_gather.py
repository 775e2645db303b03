"""A rush of small items: all of them, once, in order, in few frames, and the last ones at once."""

from __future__ import annotations

import contextlib
import itertools
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_core.channel import PlainChannel
from pynet_core.client import Client
from pynet_core.errors import LinkClosed, RemoteProtocolError, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.gather import BURST_ITEMS, GATHER_NS, Gatherer
from pynet_core.items import GATHER_BELOW_BYTES, pack_items, unpack_items
from pynet_core.wire import MAX_CONTROL_BYTES, Frame, Kind, encode, limit_bytes
from tests.core.loopback import (
    PATIENCE_S,
    FakeGateway,
    Gate,
    RawPeer,
    collected,
    controller_of,
    eventually,
    hello,
    our_threads,
    request,
)

many = st.lists(st.tuples(st.integers(0, 2**63 - 1), st.binary(max_size=40)), min_size=1, max_size=50)


# Pure: one frame


def packed(items: list[tuple[int, bytes]], stamp_ns: int) -> Frame:
    bodies = [body for _, body in items]
    return pack_items([ident for ident, _ in items], bodies, max(map(len, bodies)), stamp_ns)


@given(many)
def test_any_items_come_back(items: list[tuple[int, bytes]]) -> None:
    assert list(unpack_items(packed(items, 5))) == items


@given(st.integers(1, 30), st.integers(0, 50))
def test_items_of_one_size_come_back(count: int, size: int) -> None:
    items = [(number, bytes([number]) * size) for number in range(count)]
    assert list(unpack_items(packed(items, 5))) == items


@given(many, st.data())
def test_a_frame_that_does_not_add_up_is_the_peers_error(
    items: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    whole = packed(items, 0)
    cut = whole.body[: data.draw(st.integers(0, len(whole.body) - 1))]
    for body in (cut, whole.body + b"x"):
        with pytest.raises(RemoteProtocolError, match=r"peer sent \d+ items"):
            unpack_items(Frame(Kind.ITEMS, whole.ident, body))


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=100))
def test_noise_gives_as_many_items_as_it_says_or_is_the_peers_error(count: int, body: bytes) -> None:
    for said in (count, count % 12):
        with contextlib.suppress(RemoteProtocolError):
            assert len(list(unpack_items(Frame(Kind.ITEMS, said, body)))) == said


# Pure: one generator, on a clock of the test's


class Wire:
    """Takes the frames of a Gatherer, and gives the items in them with their stamps."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)

    def send_item(self, ident: int, body: bytes, stamp_ns: int) -> None:
        self.send(Frame(Kind.ITEM, ident, body, stamp_ns))

    def poll(self) -> Frame | None:
        """Nothing is cancelled."""
        return None

    @property
    def stamped(self) -> list[tuple[int, int, bytes]]:
        """(stamp, ident, body) of each item."""
        return [
            (frame.stamp_ns, *item)
            for frame in self.frames
            for item in (unpack_items(frame) if frame.kind == Kind.ITEMS else [(frame.ident, frame.body)])
        ]


def gathered(values: Iterable[Any], clock_ns: Callable[[], int] = time.monotonic_ns) -> Wire:
    wire = Wire()
    Gatherer(cast(PlainChannel, wire), "x", gathers=True, clock_ns=clock_ns).run(lambda: iter(values))
    return wire


def a_rush_of(sizes: list[int]) -> list[Any]:
    """Half of them bytes; then a pair, and what only `as_item` can take."""
    bodies = [bytes([place % 251]) * size for place, size in enumerate(sizes)]
    return [
        [body, body, (7000 + place, body), (9000 + place, bytearray(body))][place % 4]
        for place, body in enumerate(bodies)
    ]


@given(
    st.lists(st.sampled_from([0, 1, 64, 65, 1000, GATHER_BELOW_BYTES - 1, GATHER_BELOW_BYTES]), max_size=300)
)
@settings(max_examples=50, deadline=None)
def test_any_mixture_comes_whole_with_its_idents_in_frames_that_may_be_sent(sizes: list[int]) -> None:
    wire = gathered(a_rush_of(sizes))
    idents = [[place, place, 7000 + place, 9000 + place][place % 4] for place in range(len(sizes))]
    bodies = [bytes([place % 251]) * size for place, size in enumerate(sizes)]
    assert [(ident, body) for _, ident, body in wire.stamped] == list(zip(idents, bodies, strict=True))
    assert all(len(frame.body) <= limit_bytes(frame.kind, opening=False) for frame in wire.frames)
    assert all(len(frame.body) < MAX_CONTROL_BYTES for frame in wire.frames if frame.kind == Kind.ITEMS)


@pytest.mark.parametrize("end", [None, (-1, b"x"), (3, None), (True, None)], ids=repr)
@pytest.mark.parametrize("before", [0, 1, BURST_ITEMS, 20, 900])
def test_nothing_is_drawn_behind_an_end(end: Any, before: int) -> None:
    drawn = iter([*rush(before), end, b"never"])
    assert len(gathered(drawn).stamped) == before
    assert list(drawn) == [b"never"]


@pytest.mark.parametrize("apart_ns", [200, 5_000, 19_000, 60_000, 90_000])
@pytest.mark.parametrize("size", [10, 3000])
def test_a_stamp_is_that_of_the_oldest_item_and_none_is_held_longer_than_it_may(
    apart_ns: int, size: int
) -> None:
    now_ns = 10**9
    made_ns: list[int] = []

    class Clocked(Wire):
        def send(self, frame: Frame) -> None:
            held_ns.append(now_ns - frame.stamp_ns)
            super().send(frame)

    held_ns: list[int] = []

    def ticking() -> Iterator[bytes]:
        nonlocal now_ns
        for _ in range(3000):
            now_ns += apart_ns
            made_ns.append(now_ns)
            yield bytes(size)

    wire = Clocked()
    Gatherer(cast(PlainChannel, wire), "x", gathers=True, clock_ns=lambda: now_ns).run(ticking)
    stamps = [stamp_ns for stamp_ns, _, __ in wire.stamped]
    batch: dict[int, int] = {}  # stamp: when the first item with it was made
    for stamp_ns, item_ns in zip(stamps, made_ns, strict=True):
        batch.setdefault(stamp_ns, item_ns)
    assert all(stamp_ns == item_ns for stamp_ns, item_ns in batch.items())
    assert max(held_ns) <= 2 * GATHER_NS + apart_ns
    assert len(wire.frames) < 2900  # some were gathered at all


@pytest.mark.parametrize("large_every", [1, 2, 7, 10**9])
def test_nothing_is_sent_or_drawn_behind_a_cancel(large_every: int) -> None:
    now_ns = 10**9
    is_cancelled = is_closed = False

    class Cancelled(Wire):
        def send(self, frame: Frame) -> None:
            assert not is_cancelled
            super().send(frame)

        def poll(self) -> Frame | None:
            nonlocal is_cancelled
            assert not is_cancelled
            is_cancelled = len(super().stamped) > 500
            return Frame(Kind.CANCEL) if is_cancelled else None

    def endless() -> Iterator[bytes]:
        nonlocal now_ns, is_closed
        try:
            for count in itertools.count():
                assert not is_cancelled
                now_ns += 5_000
                yield bytes(10 if (count + 1) % large_every else GATHER_BELOW_BYTES)
        finally:
            is_closed = True

    wire = cast(PlainChannel, Cancelled())
    Gatherer(wire, "x", gathers=True, clock_ns=lambda: now_ns).run(endless)
    assert is_cancelled
    assert is_closed


# Over a pair


def rush(count: int, size: int = 8) -> Iterator[bytes]:
    for number in range(count):
        yield number.to_bytes(8, "big") + bytes(size - 8)


@pytest.mark.parametrize("size", [8, 64, 1000, GATHER_BELOW_BYTES - 1, GATHER_BELOW_BYTES])
def test_every_item_of_a_rush_comes_once_and_in_order(gateway: Gateway, client: Client, size: int) -> None:
    gateway.add_subroutine("rush", rush)
    got = collected(client, "rush", 5000, size)
    assert [ident for ident, _ in got] == list(range(5000))
    assert [int.from_bytes(body[:8], "big") for _, body in got] == list(range(5000))
    assert {len(body) for _, body in got} == {size}


def test_items_of_all_sorts_keep_their_order(gateway: Gateway, client: Client) -> None:
    sizes = [0, 1, 7, 100, GATHER_BELOW_BYTES, 20_000, 300_000, 3]
    sent = [(number * 3, bytes([number % 251]) * sizes[number % 8]) for number in range(800)]

    def sorts() -> Iterator[Any]:
        for number, (ident, body) in enumerate(sent):
            yield (ident, body) if number % 3 else (ident, bytearray(body))

    gateway.add_subroutine("sorts", sorts)
    assert collected(client, "sorts") == sent


def frames_of(gateway: Gateway, name: str, *, capabilities: tuple[str, ...]) -> list[Frame]:
    with RawPeer.connect(gateway.port) as peer:
        peer.send(hello(capabilities=capabilities))
        assert peer.receive().kind == Kind.WELCOME
        peer.send(request(Kind.STREAM, name, 2000))
        return list(itertools.takewhile(lambda frame: frame.kind != Kind.END, iter(peer.receive, None)))


def test_the_first_go_out_singly_and_the_rest_in_few_frames(gateway: Gateway) -> None:
    gateway.add_subroutine("rush", rush)
    frames = frames_of(gateway, "rush", capabilities=("items",))
    assert {frame.kind for frame in frames[:BURST_ITEMS]} == {Kind.ITEM}
    assert len(frames) < 1000
    assert all(len(frame.body) <= MAX_CONTROL_BYTES for frame in frames)
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps)
    assert stamps[0] > 0


def test_a_controller_that_does_not_know_them_gets_single_items(gateway: Gateway) -> None:
    gateway.add_subroutine("rush", rush)
    assert {frame.kind for frame in frames_of(gateway, "rush", capabilities=())} == {Kind.ITEM}


def test_the_last_items_of_a_rush_do_not_wait_for_the_next(gateway: Gateway, client: Client) -> None:
    """The generator blocks for as long as the test wants: only the other thread can send them."""
    gate, count = Gate(), BURST_ITEMS + 50

    def burst() -> Iterator[bytes]:
        yield from rush(count)
        gate()

    gateway.add_subroutine("burst", burst)
    got: list[int] = []
    subscription = client.subscribe("burst", lambda _, ident, __: got.append(ident))
    try:
        assert eventually(lambda: len(got) == count), got
    finally:
        gate.open()
    assert subscription.wait(PATIENCE_S)
    assert got == list(range(count))
    assert subscription.error is None


def test_bursts_again_and_again_lose_nothing(gateway: Gateway, client: Client) -> None:
    def bursts() -> Iterator[bytes]:
        for _ in range(60):
            yield from rush(30)
            time.sleep(0.001)

    gateway.add_subroutine("bursts", bursts)
    assert [body for _, body in collected(client, "bursts")] == list(rush(30)) * 60


def test_what_was_yielded_before_a_generator_failed_comes_before_the_error(
    gateway: Gateway, client: Client
) -> None:
    def fails() -> Iterator[bytes]:
        yield from rush(100)
        raise KeyError("out of data")

    gateway.add_subroutine("fails", fails)
    got: list[int] = []
    with pytest.raises(SubroutineError, match="KeyError: 'out of data'"):
        client.get_subroutine_stream("fails", lambda _, ident, __: got.append(ident))
    assert got == list(range(100))
    client.ping()


@pytest.mark.parametrize("bad", ["text", (2**63, b"x"), (1, 2, 3)], ids=repr)
def test_what_cannot_be_sent_ends_a_rush_after_all_before_it(
    gateway: Gateway, client: Client, bad: Any
) -> None:
    def spoilt() -> Iterator[Any]:
        yield from rush(100)
        yield bad

    gateway.add_subroutine("spoilt", spoilt)
    got: list[int] = []
    with pytest.raises(SubroutineError):
        client.get_subroutine_stream("spoilt", lambda _, ident, __: got.append(ident))
    assert got == list(range(100))
    client.ping()


def endless(closed: threading.Event) -> Callable[[], Iterator[bytes]]:
    def generate() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 20
        finally:
            closed.set()

    return generate


def until(end_at: int, got: list[int]) -> Callable[[str, int, bytes], bool]:
    def callback(_name: str, ident: int, _body: bytes) -> bool:
        got.append(ident)
        return ident < end_at

    return callback


def test_a_callback_ends_an_endless_rush_and_the_pair_is_free(gateway: Gateway, client: Client) -> None:
    for end_at in (0, 1, 100, 30_000):
        closed = threading.Event()
        gateway.add_subroutine("endless", endless(closed))
        got: list[int] = []
        client.get_subroutine_stream("endless", until(end_at, got))
        assert got == list(range(end_at + 1))
        assert closed.wait(PATIENCE_S)
        assert client.ping("free").message == "free"
    assert eventually(lambda: not [name for name in our_threads() if "flusher" in name])


def test_a_peer_that_goes_in_the_middle_of_a_rush_ends_it(gateway: Gateway) -> None:
    closed = threading.Event()
    gateway.add_subroutine("endless", endless(closed))
    peer = RawPeer.connect(gateway.port)
    peer.send(hello(capabilities=("items",)))
    peer.send(request(Kind.STREAM, "endless"))
    while peer.receive().kind != Kind.ITEMS:
        pass
    peer.reset()
    assert closed.wait(PATIENCE_S)


def test_a_reader_that_pauses_holds_the_generator_back(gateway: Gateway) -> None:
    drawn = itertools.count()
    newest = [0]

    def counted() -> Iterator[bytes]:
        while True:
            newest[0] = next(drawn)
            yield bytes(1000)

    gateway.add_subroutine("counted", counted)
    with RawPeer.connect(gateway.port) as peer:
        peer.send(hello(capabilities=("items",)))
        peer.send(request(Kind.STREAM, "counted"))

        def has_stopped() -> bool:
            before = newest[0]
            time.sleep(0.3)
            return newest[0] == before > 0

        assert eventually(has_stopped, 20)
        assert newest[0] < 50_000  # 50 MB: what the kernel holds, not what we do


def test_a_stop_in_the_middle_of_a_rush_ends_a_subscription(gateway: Gateway, client: Client) -> None:
    closed = threading.Event()
    gateway.add_subroutine("endless", endless(closed))
    subscription = client.subscribe("endless", lambda *_: None)
    assert eventually(lambda: subscription.stats.items > 1000)
    subscription.stop()
    assert closed.wait(PATIENCE_S)
    assert client.ping("free").message == "free"


@pytest.mark.parametrize(
    "body",
    [b"", struct.pack("<Iq", 0, 1), struct.pack("<IqI", 0, 1, 2**32 - 1), struct.pack("<Iq", 2**32 - 1, 1)],
)
def test_a_gateway_that_sends_broken_items_loses_the_pair(body: bytes) -> None:
    with FakeGateway() as fake:
        done = threading.Event()

        def send_it() -> None:
            with fake.accept_stream() as peer:
                peer.sock.sendall(encode(Frame(Kind.ITEMS, 1, body)))
                done.wait(PATIENCE_S)

        thread = threading.Thread(target=send_it)
        thread.start()
        client = controller_of(fake).get_client()
        with pytest.raises(RemoteProtocolError, match="items"):
            client.get_subroutine_stream("x", lambda *_: None)
        assert not client.connected
        with pytest.raises(LinkClosed):
            client.ping()
        done.set()
        thread.join()
