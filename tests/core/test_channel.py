"""pynet_core.channel and tls: frames over one socket, whatever the other end and other threads do to it.

One contract: what takes `joined`, `pair`, `tcp_pair` or `half` is asked of both kinds of channel.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from pynet_core.channel import PlainChannel
from pynet_core.decoder import OWN_BYTES
from pynet_core.errors import DeadlineExceeded, LinkClosed, LocalProtocolError, RemoteProtocolError
from pynet_core.session import Session, State
from pynet_core.tls import TlsChannel
from pynet_core.wire import HEADER_BYTES, MAX_ITEM_BYTES, Frame, Kind, encode
from tests.core.loopback import PATIENCE_S, eventually
from tests.core.trusting import secured

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux socket options")


Join = Callable[[socket.socket, socket.socket], tuple[PlainChannel, PlainChannel]]


def plain(ours: socket.socket, theirs: socket.socket) -> tuple[PlainChannel, PlainChannel]:
    return PlainChannel(ours, Session("controller")), PlainChannel(theirs, Session("gateway"))


@pytest.fixture(params=[plain, secured])
def joined(request: pytest.FixtureRequest) -> Join:
    """Makes a controller's and a gateway's channel of two sockets; an idle pair."""

    def join(ours: socket.socket, theirs: socket.socket) -> tuple[PlainChannel, PlainChannel]:
        controller, gateway = request.param(ours, theirs)
        controller.send(Frame(Kind.HELLO))
        gateway.receive(PATIENCE_S)
        gateway.opened()
        gateway.send(Frame(Kind.WELCOME))
        controller.receive(PATIENCE_S)
        controller.opened()
        return controller, gateway

    return join


@pytest.fixture
def pair(joined: Join) -> Iterator[tuple[PlainChannel, PlainChannel]]:
    controller, gateway = joined(*socket.socketpair())
    yield controller, gateway
    controller.close()
    gateway.close()


@pytest.fixture
def streaming(pair: tuple[PlainChannel, PlainChannel]) -> tuple[PlainChannel, PlainChannel]:
    """A pair with a stream on it."""
    controller, gateway = pair
    controller.send(Frame(Kind.STREAM))
    gateway.receive(PATIENCE_S)
    return pair


@pytest.fixture
def tcp_pair(joined: Join) -> Iterator[tuple[PlainChannel, PlainChannel]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    controller, gateway = joined(ours, theirs)
    yield controller, gateway
    controller.close()
    gateway.close()


class Bytes:
    """The gateway's end, sending any bytes: under the cipher, if there is one."""

    def __init__(self, channel: PlainChannel) -> None:
        self._channel = channel

    def sendall(self, data: bytes) -> None:
        if isinstance(self._channel, TlsChannel):
            assert self._channel._tls is not None
            self._channel._encrypt(self._channel._tls, data)
        else:
            self._channel._sock.sendall(data)

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def half(pair: tuple[PlainChannel, PlainChannel]) -> tuple[PlainChannel, Bytes]:
    """A controller's channel waiting for PONG, and the bytes of its peer."""
    controller, gateway = pair
    controller.send(Frame(Kind.PING))
    gateway.receive(PATIENCE_S)
    return controller, Bytes(gateway)


class InThread:
    """Runs a call in a thread; `outcome` is what it returned or raised."""

    def __init__(self, call: Any) -> None:
        self.outcome: Any = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._call()
        except Exception as exc:
            self.outcome = exc

    def join(self) -> Any:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "still waiting"
        return self.outcome


# Sending


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 - 1, 16 * 1024, 300_000, 8_000_000])
def test_a_body_of_any_size_arrives_whole_through_a_socket_that_takes_little_at_a_time(
    joined: Join, size: int
) -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    controller, gateway = joined(ours, theirs)
    body = bytes(range(256)) * (size // 256 + 1)
    sender = InThread(lambda: controller.send(Frame(Kind.BUFFER, 7, body[:size])))
    frame = gateway.receive(PATIENCE_S)
    assert (frame.kind, frame.ident, frame.body) == (Kind.BUFFER, 7, body[:size])
    assert sender.join() is None
    controller.close()
    gateway.close()


class Grudging:
    """A socket whose sendmsg takes only so many bytes: what Linux does when a signal comes in between."""

    def __init__(self, takes: int) -> None:
        self.sent = b""
        self._takes = takes

    def sendmsg(self, buffers: list[bytes]) -> int:
        taken = b"".join(buffers)[: self._takes]
        self.sent += taken
        return len(taken)

    def sendall(self, data: Any) -> None:
        self.sent += data

    def getpeername(self) -> str:
        return ""

    def settimeout(self, timeout_s: float | None) -> None: ...

    def setsockopt(self, *_: Any) -> None: ...


@pytest.mark.parametrize("takes", [1, 23, 24, 25, 20_000, 20_023, 20_024])
def test_what_a_partial_send_has_left_over_is_sent_too(takes: int) -> None:
    sock = Grudging(takes)
    session = Session("gateway")
    for receive, kind in ((True, Kind.HELLO), (False, Kind.WELCOME), (True, Kind.STREAM)):
        (session.receive if receive else session.send)(Frame(kind))
    frame = Frame(Kind.ITEM, 5, bytes(range(250)) * 80)
    channel = PlainChannel(cast(socket.socket, sock), session)
    channel.send(frame)
    assert sock.sent == encode(frame)
    channel.send_item(frame.ident, frame.body, 0)
    assert sock.sent == 2 * encode(frame)


@pytest.mark.parametrize("size", [0, 16 * 1024 - 1, 16 * 1024, 64 * 1024, 64 * 1024 + 1])
def test_an_item_is_the_frame_it_would_be(streaming: tuple[PlainChannel, PlainChannel], size: int) -> None:
    controller, gateway = streaming
    sender = InThread(lambda: gateway.send_item(-(2**63), bytes(size), 2**62))
    assert controller.receive() == Frame(Kind.ITEM, -(2**63), bytes(size), 2**62)
    assert sender.join() is None


def test_an_item_that_cannot_be_sent_or_out_of_turn_is_not(pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, gateway = pair
    with pytest.raises(LocalProtocolError, match="cannot send ITEM: this pair is idle"):
        gateway.send_item(0, b"x", 0)
    controller.send(Frame(Kind.STREAM))
    gateway.receive(PATIENCE_S)
    for ident, body in ((2**63, b"x"), (0, bytes(MAX_ITEM_BYTES + 1))):
        with pytest.raises(LocalProtocolError):
            gateway.send_item(ident, body, 0)
    controller.send(Frame(Kind.CANCEL))
    assert gateway.receive().kind == Kind.CANCEL
    with pytest.raises(LocalProtocolError, match="in a cancelled stream"):
        gateway.send_item(0, b"x", 0)
    gateway.send(Frame(Kind.END))
    assert controller.receive(PATIENCE_S).kind == Kind.END


@pytest.mark.parametrize("frame", [Frame(Kind.BUFFER, 0, bytes(MAX_ITEM_BYTES + 1)), Frame(Kind.PING, 2**63)])
def test_a_frame_that_cannot_be_sent_leaves_the_pair_as_it_was(
    pair: tuple[PlainChannel, PlainChannel], frame: Frame
) -> None:
    controller, gateway = pair
    with pytest.raises(LocalProtocolError):
        controller.send(frame)
    assert controller.session.state is State.IDLE
    controller.send(Frame(Kind.PING))
    assert gateway.receive(PATIENCE_S).kind == Kind.PING


def test_a_frame_out_of_turn_is_not_sent(pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, gateway = pair
    controller.send(Frame(Kind.STREAM))
    with pytest.raises(
        LocalProtocolError, match="cannot send PING: this pair is in a stream; one thing at a"
    ):
        controller.send(Frame(Kind.PING))
    assert gateway.receive(PATIENCE_S).kind == Kind.STREAM
    assert gateway.poll() is None


def test_sending_to_a_peer_that_has_closed_is_link_closed(pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, gateway = pair
    gateway.close()
    with pytest.raises(LinkClosed, match="connection lost while sending: "):
        controller.send(Frame(Kind.BUFFER, 0, bytes(1_000_000)))


# Receiving


def test_eof_between_frames_is_link_closed(half: tuple[PlainChannel, Bytes]) -> None:
    controller, peer = half
    peer.close()
    with pytest.raises(LinkClosed, match="the peer closed the connection"):
        controller.receive(PATIENCE_S)


@pytest.mark.parametrize("cut", [1, 23, 24, 30])
def test_eof_inside_a_frame_is_link_closed_at_once_and_says_how_far_it_came(
    half: tuple[PlainChannel, Bytes], cut: int
) -> None:
    controller, peer = half
    peer.sendall(encode(Frame(Kind.PONG, 0, bytes(100)))[:cut])
    peer.close()
    for _ in range(2):
        with pytest.raises(LinkClosed, match=f"peer closed {cut} B into a frame"):
            controller.receive(PATIENCE_S)


def test_a_reset_is_link_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    controller = PlainChannel(ours, Session("controller"))
    controller.send(Frame(Kind.HELLO))
    theirs.close()  # with HELLO unread: RST
    with pytest.raises(LinkClosed, match="connection lost: Connection reset by peer"):
        controller.receive(PATIENCE_S)
    controller.close()


def test_a_peer_that_drips_does_not_outlast_the_deadline(half: tuple[PlainChannel, Bytes]) -> None:
    controller, peer = half
    data = encode(Frame(Kind.PONG, 0, bytes(1000)))
    enough = threading.Event()

    def drip() -> int:
        for at in range(len(data)):
            if enough.wait(0.01):
                return at
            peer.sendall(data[at : at + 1])
        return len(data)

    dripping = InThread(drip)
    with pytest.raises(DeadlineExceeded, match=r"pong: nothing within 0\.15 s"):
        controller.receive(0.15, "pong")
    enough.set()
    assert 0 < dripping.join() < len(data)


def test_a_frame_that_was_late_is_read_on_from_where_it_stopped(
    half: tuple[PlainChannel, Bytes],
) -> None:
    controller, peer = half
    data = encode(Frame(Kind.PONG, 3, b"late"))
    peer.sendall(data[:25])
    with pytest.raises(DeadlineExceeded):
        controller.receive(0.01)
    peer.sendall(data[25:])
    assert controller.receive(PATIENCE_S) == Frame(Kind.PONG, 3, b"late")


def test_a_frame_out_of_turn_from_the_peer_is_its_error(half: tuple[PlainChannel, Bytes]) -> None:
    controller, peer = half
    peer.sendall(encode(Frame(Kind.ITEM)))
    with pytest.raises(RemoteProtocolError, match="peer sent ITEM while in a ping"):
        controller.receive(PATIENCE_S)


def test_many_frames_in_one_segment_are_given_one_by_one(
    streaming: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = streaming
    for ident in range(50):
        gateway.send(Frame(Kind.ITEM, ident))
    gateway.send(Frame(Kind.END))
    assert [controller.receive(PATIENCE_S).ident for _ in range(50)] == list(range(50))
    assert controller.receive(PATIENCE_S).kind == Kind.END


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_frames_that_come_one_at_a_time_are_whole_whatever_came_before(
    streaming: tuple[PlainChannel, PlainChannel], pieces: int
) -> None:
    controller, gateway = streaming
    peer, taken = Bytes(gateway), threading.Semaphore(0)
    sizes = [40_000, 40_000, 0, 10, 65_536, 40_000, 65_537, 200_000, 200_000, 5, 40_000, 2_024, 2_025, 64]

    def send() -> None:
        for ident, size in enumerate(sizes):
            data = encode(Frame(Kind.ITEM, ident, bytes([ident]) * size, 7))
            for piece in range(pieces):
                peer.sendall(data[_part(len(data), piece, pieces)])
            assert taken.acquire(timeout=PATIENCE_S)

    sender = InThread(send)
    for ident, size in enumerate(sizes):
        assert controller.receive() == Frame(Kind.ITEM, ident, bytes([ident]) * size, 7)
        taken.release()
    assert sender.join() is None


def test_small_items_that_come_together_are_whole_wherever_they_are_cut(
    streaming: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = streaming
    frames = [Frame(Kind.ITEM, ident, bytes([ident]) * ident, 7) for ident in range(5)]
    data, peer = b"".join(map(encode, frames)), Bytes(gateway)
    for cut in range(1, len(data), 3):
        peer.sendall(data[:cut])
        whole = sum(len(b"".join(map(encode, frames[: count + 1]))) <= cut for count in range(5))
        got = [controller.receive() for _ in range(whole)]
        peer.sendall(data[cut:])
        got += [controller.receive() if cut % 2 else controller.receive(PATIENCE_S) for _ in range(5 - whole)]
        assert got == frames
    peer.sendall(data + encode(Frame(Kind.END)))
    assert [controller.receive() for _ in range(6)] == [*frames, Frame(Kind.END)]
    assert controller.session.state is State.IDLE


def test_after_an_abort_no_item_of_those_that_came_together_is_given(
    streaming: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = streaming
    Bytes(gateway).sendall(encode(Frame(Kind.ITEM)) * 3)
    assert controller.receive().kind == Kind.ITEM
    controller.abort()
    for receive in (controller.receive, controller.poll):
        with pytest.raises(LinkClosed):
            receive()


def _part(length: int, piece: int, pieces: int) -> slice:
    return slice(length * piece // pieces, length * (piece + 1) // pieces)


def test_a_frame_out_of_turn_is_its_error_where_much_comes_too(
    streaming: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = streaming
    for _ in range(3):
        sender = InThread(lambda: gateway.send_item(0, bytes(40_000), 0))
        assert len(controller.receive().body) == 40_000
        assert sender.join() is None
    Bytes(gateway).sendall(encode(Frame(Kind.PONG, 0, bytes(3_000))))
    with pytest.raises(RemoteProtocolError, match="peer sent PONG while in a stream"):
        controller.receive()


class Noted:
    """A socket, and how much was asked of it at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.asked: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.asked.append(size)
        return self._sock.recv(size, flags)

    def recv_into(self, view: memoryview) -> int:
        self.asked.append(len(view))
        return self._sock.recv_into(view)


@pytest.mark.parametrize("joined", [plain], indirect=True)  # what is ciphered comes in records
def test_large_items_in_a_row_are_received_in_one_piece_where_they_stay(
    streaming: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = streaming
    noted = Noted(controller._sock)
    controller._sock = cast(socket.socket, noted)
    size = 2 * OWN_BYTES
    for count in range(6):
        if count == 2:
            noted.asked.clear()
        sender = InThread(lambda: gateway.send_item(0, bytes(size), 0))
        assert len(controller.receive().body) == size
        assert sender.join() is None
    assert noted.asked == [HEADER_BYTES, size] * 4


class TimedOut:
    """A socket whose kernel has given the connection up: keepalive or TCP_USER_TIMEOUT ran out."""

    def __init__(self) -> None:
        self._sock, far = socket.socketpair()
        far.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def recv(self, *_: Any) -> bytes:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    def getpeername(self) -> str:
        return ""

    def settimeout(self, timeout_s: float | None) -> None: ...

    def gettimeout(self) -> float | None:
        return None

    def setsockopt(self, *_: Any) -> None: ...


def test_a_connection_that_the_kernel_gave_up_is_lost_not_late() -> None:
    channel = PlainChannel(cast(socket.socket, TimedOut()), Session("controller"))
    with pytest.raises(LinkClosed, match="connection lost: Connection timed out"):
        channel.receive(PATIENCE_S)


# Looking without waiting


def test_poll_gives_a_frame_when_it_is_whole_and_none_before(
    half: tuple[PlainChannel, Bytes],
) -> None:
    controller, peer = half
    assert controller.poll() is None
    data = encode(Frame(Kind.PONG, 1, b"x"))
    for byte in data[:-1]:
        peer.sendall(bytes([byte]))
        assert controller.poll() is None
    peer.sendall(data[-1:])
    assert controller.poll() == Frame(Kind.PONG, 1, b"x")
    assert controller.poll() is None


def test_poll_tells_of_the_end(half: tuple[PlainChannel, Bytes]) -> None:
    controller, peer = half
    peer.close()
    with pytest.raises(LinkClosed, match="the peer closed"):
        controller.poll()


def test_a_peer_has_gone_only_when_it_has_closed_whatever_it_left_unread(
    tcp_pair: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = tcp_pair
    assert not gateway.peer_has_gone()
    controller.send(Frame(Kind.PING))
    assert not gateway.peer_has_gone()
    controller.close()
    assert eventually(gateway.peer_has_gone)
    assert gateway.receive(PATIENCE_S).kind == Kind.PING  # looking took nothing away
    gateway.close()
    assert gateway.peer_has_gone()


@linux_only
def test_unsent_bytes_are_those_the_peer_has_no_room_for(tcp_pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, gateway = tcp_pair
    assert controller.unsent_bytes() == 0
    sender = InThread(lambda: controller.send(Frame(Kind.BUFFER, 0, bytes(30_000_000))))
    assert eventually(lambda: controller.unsent_bytes() > 4096)
    gateway.receive(PATIENCE_S)
    sender.join()
    assert eventually(lambda: controller.unsent_bytes() == 0)


# Other threads


def test_abort_wakes_a_thread_that_receives(pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, _ = pair
    controller.send(Frame(Kind.PING))
    waiting = InThread(controller.receive)
    controller.abort()
    assert isinstance(waiting.join(), LinkClosed)


def test_abort_wakes_a_thread_that_sends(pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, _ = pair
    waiting = InThread(lambda: controller.send(Frame(Kind.BUFFER, 0, bytes(30_000_000))))
    controller.abort()
    assert isinstance(waiting.join(), LinkClosed)


def test_after_an_abort_nothing_that_had_come_is_given(half: tuple[PlainChannel, Bytes]) -> None:
    controller, peer = half
    peer.sendall(encode(Frame(Kind.PONG)))
    controller.abort()
    for look in (controller.poll, controller.receive):
        with pytest.raises(LinkClosed, match="cut at this end"):
            look()


def test_abort_and_close_may_come_in_any_order_and_often() -> None:
    for _ in range(50):
        ours, theirs = socket.socketpair()
        channel = PlainChannel(ours, Session("gateway"))
        waiting = InThread(channel.receive)
        aborting = [InThread(channel.abort) for _ in range(4)]
        assert isinstance(waiting.join(), LinkClosed)
        channel.close()
        channel.close()
        channel.abort()
        assert [each.join() for each in aborting] == [None] * 4
        assert channel.is_closed
        theirs.close()


def test_abort_never_hits_the_socket_that_got_the_number_of_a_closed_one() -> None:
    for _ in range(200):
        ours, theirs = socket.socketpair()
        channel = PlainChannel(ours, Session("gateway"))
        aborting = InThread(channel.abort)
        channel.close()
        left, right = socket.socketpair()  # gets the number that has just become free
        aborting.join()
        left.sendall(b"x")
        assert right.recv(1) == b"x"
        for sock in (left, right, theirs):
            sock.close()


def test_a_peer_hears_the_close_though_a_forked_process_has_the_socket_too(
    tcp_pair: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = tcp_pair
    child = os.dup(gateway._sock.fileno())  # what a process has that multiprocessing has forked
    try:
        gateway.close()
        with pytest.raises(LinkClosed, match="the peer closed the connection"):
            controller.receive(PATIENCE_S)
    finally:
        os.close(child)


def test_a_closed_channel_says_so(pair: tuple[PlainChannel, PlainChannel]) -> None:
    controller, _ = pair
    assert not controller.is_closed
    controller.close()
    assert controller.is_closed
    with pytest.raises(LinkClosed, match="closed at this end"):
        controller.send(Frame(Kind.PING))
    for look in (controller.poll, controller.unsent_bytes):
        with pytest.raises(LinkClosed, match="closed at this end"):
            look()


# Socket options: the others are in test_traffic.py


@linux_only
def test_after_a_newest_only_stream_the_kernel_sizes_the_buffer_again(
    tcp_pair: tuple[PlainChannel, PlainChannel],
) -> None:
    controller, gateway = tcp_pair

    def buffered_bytes() -> int:
        """How much the kernel takes of 8 MB before the peer reads any."""
        gateway.send(Frame(Kind.ITEM, 0, b""))
        sender = InThread(lambda: gateway.send(Frame(Kind.ITEM, 0, bytes(8_000_000))))
        eventually(lambda: gateway._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > 1_000_000, 0.5)
        size = gateway._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        controller.receive(PATIENCE_S)
        controller.receive(PATIENCE_S)
        sender.join()
        return size

    controller.send(Frame(Kind.STREAM))
    gateway.receive(PATIENCE_S)
    gateway.keep_latest()
    assert buffered_bytes() <= 2 * 64 * 1024
    gateway.keep_every()
    assert buffered_bytes() > 4 * 64 * 1024
