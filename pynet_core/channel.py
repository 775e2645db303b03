"""One socket behind send and receive: frames in, frames out, every OSError translated once."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from pynet_core.clock import FOR_EVER_S, Deadline
from pynet_core.connection import Connection
from pynet_core.connection import words as words
from pynet_core.decoder import BUFFER_BYTES, OWN_BYTES, OWN_SOON_BYTES, FrameDecoder
from pynet_core.errors import DeadlineExceeded, LinkClosed, LinkError, RemoteProtocolError
from pynet_core.rawfile import Drain, landed, put, send_from
from pynet_core.session import Session
from pynet_core.traffic import watch
from pynet_core.wire import HEADER, HEADER_BYTES, MAX_CONTROL_BYTES, Frame, Kind, encode_header

RECEIVE_BYTES: Final = 2 * 1024  # a reply; a large bytes object per call costs more than a second recv
LEFTOVER_BYTES: Final = 64 * 1024  # read at a time of what nobody wants any more
JOIN_BELOW_BYTES: Final = 16 * 1024  # header + body in one bytes object up to here, two in one sendmsg above
TYPE_BYTES: Final = 3  # tell a TLS record from a frame: behind its type would be a length over all limits

_Argument = TypeVar("_Argument")
_Received = TypeVar("_Received")

_NEVER: Final = Deadline(None, "peer")
_ITEM: Final = Kind.ITEM  # on 3.11 a member of an enum class is found by a Python function
_pack: Final = HEADER.pack
_unpack: Final = HEADER.unpack_from
_DONTWAIT: Final = getattr(socket, "MSG_DONTWAIT", 0)
_MORE: Final = getattr(socket, "MSG_MORE", 0)


class PlainChannel(Connection):
    """A TCP connection that carries frames, checked by a Session.

    One thread owns it.  `abort` is for everybody: it wakes the owner with LinkClosed.
    """

    def __init__(self, sock: socket.socket, session: Session) -> None:
        super().__init__(sock)
        self.session = session
        self.decoder = FrameDecoder()
        self._much_comes = False  # so it is received into the decoder's own buffer
        self._come: deque[Frame] = deque()  # items that came together; what the decoder holds came later
        self._watch: Callable[[int], object] | None = None  # from the first poll on

    def begins_with_tls(self, deadline: Deadline) -> bool:
        """Wait for the peer's first bytes: True when they are TLS, else they can be received as frames.

        Raises:
            DeadlineExceeded, LinkClosed, RemoteProtocolError: As `receive`.
        """
        first = b""
        while len(first) < TYPE_BYTES:
            data = self._recv(RECEIVE_BYTES, deadline)
            if not data:
                self._feed(first or data)
                self._feed(data)
            first += data
        if first[1] == 3 and 1 <= first[2] <= 4:  # version 3.1 to 3.4
            self._take_tls(first)
            return True
        self._feed(first)
        return False

    def _take_tls(self, data: bytes) -> None:
        """The beginning of a handshake: nothing to a channel that is plain."""

    def opened(self) -> None:
        """WELCOME has passed: bodies may be large from now on."""
        self.decoder.opening = False

    def send(self, frame: Frame) -> None:
        """Send one frame; waits while the peer does not read.

        Raises:
            LocalProtocolError: Too large, or not our turn; nothing was sent.
            LinkClosed: The connection is gone.
        """
        length = len(frame.body)
        try:
            header = encode_header(frame, length)
            self.session.send(frame)
            if self._pacer is not None:
                self._pacer.send(header + frame.body[:JOIN_BELOW_BYTES])
                self._pacer.send(memoryview(frame.body)[JOIN_BELOW_BYTES:])
                return
            if length < JOIN_BELOW_BYTES:
                self._sock.sendall(header + frame.body)
                return
            sent = self._sock.sendmsg((header, frame.body))
            if sent < len(header) + length:
                self._send_rest(sent, header, frame.body)
        except OSError as exc:
            raise LinkClosed(f"connection lost while sending: {words(exc)}") from exc

    def send_item(self, ident: int, body: bytes, stamp_ns: int) -> None:
        """`send` of an ITEM without credit, with little Python before it leaves; raises what that does."""
        sock, session, size = self.bare, self.session, len(body)
        if sock is None or session.here is not session.streaming or size > MAX_CONTROL_BYTES:
            self.send(Frame(_ITEM, ident, body, stamp_ns))
            return
        try:
            header = _pack(size, _ITEM, ident, stamp_ns)
            if size < JOIN_BELOW_BYTES:
                sock.sendall(header + body)
                return
            sent = sock.sendmsg((header, body))
            if sent < HEADER_BYTES + size:
                self._send_rest(sent, header, body)
        except OSError as exc:
            raise LinkClosed(f"connection lost while sending: {words(exc)}") from exc
        except struct.error:
            self.send(Frame(_ITEM, ident, body, stamp_ns))  # which says what is wrong

    def _send_rest(self, sent: int, header: bytes, body: bytes) -> None:
        """Of the two, what a sendmsg has left over."""
        self._sock.sendall(header[sent:])
        self._sock.sendall(memoryview(body)[max(0, sent - len(header)) :])

    def receive(self, timeout_s: float | None = None, what: str = "peer") -> Frame:
        """Wait for the next frame that means something.

        Raises:
            DeadlineExceeded: Nothing whole within `timeout_s`.
            LinkClosed: The peer closed, or the connection broke.
            RemoteProtocolError: The peer broke the wire format, or the order of frames.
        """
        if self._come:
            self._check_aborted()
            return self._come.popleft()
        deadline = _NEVER if timeout_s is None else Deadline(timeout_s, what)
        waits_ms = 0 if timeout_s is None or not 0 < timeout_s < FOR_EVER_S else int(timeout_s * 1000) + 1
        if (
            not self.decoder.is_empty
            or (timeout_s is not None and not waits_ms)
            or (self._sealed and (waits_ms or self._much_comes))
        ):
            return self.receive_by(deadline)
        # As a rule a frame comes by itself and in one piece.  It is read here, with little Python after the
        # wait for it: caches are cold then.
        passes = self.session.here.passes
        data: bytes | memoryview
        if waits_ms and not self._comes_within(waits_ms):
            return self.receive_by(deadline)  # which says so
        try:
            if self._much_comes:
                data = self.decoder.space()
                size = self._sock.recv_into(data)
            else:
                data = self._sock.recv(RECEIVE_BYTES)
                size = len(data)
        except OSError as exc:
            raise LinkClosed(f"connection lost: {words(exc)}") from exc
        if size >= HEADER_BYTES and not self._sealed and not self.is_aborted:
            length, kind, ident, stamp_ns = _unpack(data)
            if length == size - HEADER_BYTES and length <= MAX_CONTROL_BYTES and kind in passes:
                return Frame(kind, ident, bytes(data[HEADER_BYTES:size]), stamp_ns)
            if kind == _ITEM and kind in passes and HEADER_BYTES + length <= size < RECEIVE_BYTES:
                data = self._split(bytes(data[:size]))
        if self._come:
            if data:
                self.decoder.add(bytes(data))
            return self._come.popleft()
        if type(data) is bytes:
            return self.go_on(data, deadline)
        self._much_comes = size >= RECEIVE_BYTES or size == len(data)
        if size:
            self.decoder.filled(size)
        else:
            self._feed(b"")
        return self.receive_by(deadline)

    def _split(self, data: bytes) -> bytes:
        """Take the whole items that have come at once; returns what is behind them."""
        at, size = 0, len(data)
        while (body_at := at + HEADER_BYTES) <= size:
            length, kind, ident, stamp_ns = _unpack(data, at)
            end = body_at + length
            if kind != _ITEM or end > size:
                break
            self._come.append(Frame(kind, ident, data[body_at:end], stamp_ns))
            at = end
        return data[at:]

    def go_on(self, data: bytes, deadline: Deadline = _NEVER) -> Frame:
        """`receive_by`, when these bytes have been read already; b'' is the end."""
        self._much_comes = len(data) == RECEIVE_BYTES
        self._feed(data)
        return self.receive_by(deadline)

    def _comes_within(self, timeout_ms: int) -> object:
        """Wait until bytes can be read, or the end; falsy when nothing has come."""
        try:
            if self._watch is None:
                self._watch = watch(self._sock)
            return self._watch(timeout_ms)
        except (OSError, ValueError) as exc:
            raise LinkClosed(f"connection lost: {words(exc)}") from exc

    def close(self) -> None:
        super().close()
        self._watch = None  # it knows the socket by a number, which may be another's soon

    def is_at_rest(self) -> bool:
        """Nothing is on its way, as far as this end can know."""
        return self.decoder.is_empty and self.session.is_at_rest

    def send_raw(self, kind: int, fd: int, offset: int, length: int) -> int:
        """Send a frame whose body is this piece of a file; returns how much of that there was.

        Zeros stand for the rest.

        Raises:
            LocalProtocolError, LinkClosed: As `send`.
        """
        frame = Frame(kind, offset)
        try:
            header = encode_header(frame, length)
            self.session.send(frame)
            self._sock.sendall(header, _MORE)
            if self._pacer is None:
                return send_from(self._sock, fd, offset, length)
            sent = at = 0
            while at < length:
                size = self._pacer.admit(length - at)
                sent += send_from(self._sock, fd, offset + at, size)
                at += size
            return sent
        except OSError as exc:
            raise LinkClosed(f"connection lost while sending: {words(exc)}") from exc

    def receive_raw(
        self, kind: int, land: Callable[[int, int], int], drain: Drain
    ) -> tuple[Frame, int, OSError | None]:
        """`receive`, but bodies of this kind go into the file that `land(ident, length)` gives.

        It lands at offset `ident`; -1 throws it away.  Returns the frame
        without that body, the body's length, and what the file said.

        Raises:
            LinkClosed, RemoteProtocolError: As `receive`.
        """
        while (begun := self.decoder.take_begun(kind)) is None:
            if (frame := self._next()) is not None:
                return landed(frame, kind, land)
            # No more than is missing: what follows is to come past our memory.
            missing = min(self.decoder.missing_bytes, BUFFER_BYTES)
            view = self.decoder.space(missing)[:missing]
            if count := self._wait(self._sock.recv_into, view, _NEVER):
                self.decoder.filled(count)
            else:
                self._feed(b"")
        head, length, part = begun
        self._check_aborted()
        self.session.receive(head)
        fd = land(head.ident, length)
        problem = put(fd, part, head.ident)
        try:
            rest = length - len(part)
            come, later = drain.receive(self._sock, -1 if problem else fd, head.ident + len(part), rest)
        except OSError as exc:
            raise LinkClosed(f"connection lost: {words(exc)}") from exc
        if come < rest:
            raise LinkClosed("connection lost: peer closed in the middle of a file")
        return head, length, problem or later

    def receive_by(self, deadline: Deadline) -> Frame:
        """`receive` for what must be done by the same instant as something else."""
        while (frame := self._next()) is None:
            self._read(deadline)
        return frame

    def poll(self) -> Frame | None:
        """The next frame if it is there already; None when not.

        Raises:
            LinkClosed, RemoteProtocolError: As `receive`.
        """
        while (frame := self._next()) is None:
            if not self._comes_within(0):
                return None
            try:
                data = self._sock.recv(RECEIVE_BYTES, _DONTWAIT)
            except BlockingIOError:
                return None
            except OSError as exc:
                raise LinkClosed(f"connection lost: {words(exc)}") from exc
            self._feed(data)
        return frame

    def _next(self) -> Frame | None:
        """The next frame that has been read and means something."""
        if self._come:
            self._check_aborted()
            return self._come.popleft()
        while (frame := self.decoder.take()) is not None:
            if self.is_aborted:
                self._check_aborted()
            # Items need not be told of; in a rush that is two functions less for each.
            if (frame.kind in self.session.here.passes and not frame.flags) or self.session.receive(frame):
                return frame
        return None

    def _check_aborted(self) -> None:
        if self.is_aborted:
            raise LinkClosed("connection lost: it was cut at this end")

    def _read(self, deadline: Deadline) -> None:
        """Wait for more bytes."""
        if not self._much_comes and self.decoder.missing_bytes <= RECEIVE_BYTES:
            data = self._recv(RECEIVE_BYTES, deadline)
            self._much_comes = len(data) == RECEIVE_BYTES
            self._feed(data)
            return
        if deadline is _NEVER and self.decoder.missing_bytes > OWN_BYTES:
            # In one piece if that is all of a body; else it is copied to what there is, and so not too much.
            size = min(self.decoder.missing_bytes, OWN_SOON_BYTES)
            self._feed(self._wait(lambda size: self._sock.recv(size, socket.MSG_WAITALL), size, deadline))
            return
        space = self.decoder.space()
        count = self._wait(self._sock.recv_into, space, deadline)
        self._much_comes = count >= RECEIVE_BYTES or count == len(space)
        if count:
            self.decoder.filled(count)
        else:
            self._feed(b"")

    def _recv(self, size: int, deadline: Deadline) -> bytes:
        """What the socket has, at most `size` bytes of it; b'' when the peer has closed."""
        return self._wait(self._sock.recv, size, deadline)

    def _wait(
        self, receive: Callable[[_Argument], _Received], argument: _Argument, deadline: Deadline
    ) -> _Received:
        while True:
            try:
                timeout_s = deadline.remaining_s()
                if timeout_s is None:
                    return receive(argument)
                self._sock.settimeout(timeout_s)
                try:
                    return receive(argument)
                finally:
                    self._sock.settimeout(None)
            except DeadlineExceeded:
                raise
            except OSError as exc:
                if not isinstance(exc, TimeoutError) or exc.errno is not None:  # a number: it is the kernel's
                    raise LinkClosed(f"connection lost: {words(exc)}") from exc

    def _feed(self, data: bytes) -> None:
        if data:
            self.decoder.add(data)
            return
        self._check_aborted()
        try:
            self.decoder.end()
        except RemoteProtocolError as exc:
            raise LinkClosed(f"connection lost: {exc}") from exc
        raise LinkClosed("the peer closed the connection")

    def say_last(self, deadline: Deadline) -> None:
        """Nothing more is sent; wait until the peer has closed.

        Closing at once while bytes of its are unread would reset the
        connection, and what we said last with it.
        """
        with contextlib.suppress(LinkError, OSError):
            self._sock.shutdown(socket.SHUT_WR)
            while self._recv(LEFTOVER_BYTES, deadline):
                pass
