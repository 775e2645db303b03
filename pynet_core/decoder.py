"""Bytes as they come, split anywhere, to frames.  No sockets, no threads, no clock."""

from __future__ import annotations

import io
from typing import Final

from pynet_core.errors import RemoteProtocolError
from pynet_core.wire import HEADER, HEADER_BYTES, KINDS, MAX_OPENING_BYTES, Frame, limit_bytes

BUFFER_BYTES: Final = 512 * 1024  # received at a time when much comes: a dozen camera frames
BUFFER_KEPT_BYTES: Final = 4 * 1024 * 1024  # a larger one is given back when it is empty
OWN_BYTES: Final = 128 * 1024  # a larger body is received where it will stay: a copy costs more than a call
OWN_SOON_BYTES: Final = 4 * 1024 * 1024  # up to here as soon as it is announced,
OWN_SHARE: Final = 16  # else when this part of it has come: nobody makes us hold more than 16 times that

_unpack: Final = HEADER.unpack_from


class _OwnBody:
    """A large body on its way into the bytes object that it will be."""

    def __init__(self, length: int, word: int, ident: int, stamp_ns: int) -> None:
        self._header = word, ident, stamp_ns
        self._body = b""  # as it came, if it came in one piece
        self._file: io.BytesIO | None = None
        self._view = memoryview(b"")
        self.held = 0
        self.missing = length

    def space(self) -> memoryview:
        if self._file is None:
            # Nobody else holds these bytes: BytesIO writes to them in place, and gives them out as they are.
            self._file = io.BytesIO(bytes(self.missing))
            self._view = self._file.getbuffer()
        return self._view[self.held :]

    def filled(self, count: int) -> None:
        self.held += count
        self.missing -= count

    def add(self, data: bytes | memoryview) -> int:
        """As much of it as belongs here; returns how much that is."""
        count = min(len(data), self.missing)
        if type(data) is bytes and count == len(data) == self.missing and not self.held:
            self._body = data
        elif count:
            self.space()[:count] = data[:count]
        self.filled(count)
        return count

    def frame(self) -> Frame:
        """Once nothing is missing."""
        self._view.release()
        word, ident, stamp_ns = self._header
        body = self._body if self._file is None else self._file.getvalue()
        return Frame(word & 0xFF, ident, body, stamp_ns, word >> 8 & 0xFF, word >> 16)


class FrameDecoder:
    """Turn a byte stream, split anywhere, into frames.

    What is whole is read where it stands.  What is not is collected in one
    buffer, which is used again and again, or if it is large in bytes of its
    own; `space` is for receiving into either.
    """

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""  # what has come: as it came, or our buffer
        self._at = self._end = 0  # of it, the part that has not been taken yet
        self._needed = HEADER_BYTES  # bytes from _at on that make the next frame, or its header
        self._buffer = bytearray()
        self._view = memoryview(self._buffer)
        self.is_empty = True  # all that has come was taken as frames
        self._own: _OwnBody | None = None  # the one that comes now; then the buffer is empty
        self._after_own = False
        self.opening = True  # until WELCOME only small bodies are taken

    @property
    def held_bytes(self) -> int:
        """How many bytes have come and were not taken as frames."""
        return self._end - self._at if self._own is None else HEADER_BYTES + self._own.held

    @property
    def missing_bytes(self) -> int:
        """How many more bytes complete the frame, or the header, that has begun; `take` has given None."""
        return self._needed - self.held_bytes

    def add(self, data: bytes) -> None:
        """These bytes have come."""
        self.is_empty = False
        if self._own is not None:
            data = data[self._own.add(data) :]
        if self._at == self._end:
            self._data, self._at, self._end = data, 0, len(data)
        else:
            self.space(len(data))[: len(data)] = data
            self._end += len(data)

    def space(self, least: int = 1) -> memoryview:
        """Where more can be received; call `filled` when it has been.

        It grows with what has come, not with what the peer has announced.
        """
        if self._own is not None and self._own.missing:
            return self._own.space()
        held, size = self._end - self._at, len(self._buffer)
        if self._after_own and not held and size:
            # Large ones come in rows: the header alone, so that the body need not be moved.
            self._after_own = False
            self._data, self._at, self._end = self._buffer, 0, 0
            return self._view[:HEADER_BYTES]
        room = size - self._end if self._data is self._buffer else 0
        is_too_large = not held and size > BUFFER_KEPT_BYTES
        if not is_too_large and room >= (max(least, BUFFER_BYTES // 2) if self._at else least):
            return self._view[self._end :]
        rest = bytes(self._data[self._at : self._end])
        if is_too_large or held + least > size:
            self._buffer = bytearray(max(BUFFER_BYTES, held + least, min(self._needed, 2 * held)))
            self._view = memoryview(self._buffer)
        self._data = self._buffer
        self._view[:held] = rest
        self._at, self._end = 0, held
        return self._view[held:]

    def filled(self, count: int) -> None:
        """So many bytes have been received into `space`."""
        self.is_empty = False
        if self._own is not None and self._own.missing:
            self._own.filled(count)
        else:
            self._end += count

    def take(self, data: bytes = b"") -> Frame | None:
        """Add `data`, and give the next frame; None when it is not whole yet.

        Raises:
            RemoteProtocolError: Unknown kind, or a length over the limit: told by
                the header alone, so a peer cannot make us hold what it claims.
        """
        if self.is_empty and len(data) >= HEADER_BYTES:
            length, word, ident, stamp_ns = _unpack(data)
            if length == len(data) - HEADER_BYTES <= MAX_OPENING_BYTES and word in KINDS:
                return Frame(word, ident, data[HEADER_BYTES:], stamp_ns)  # as a rule there is no more
        if self._own is not None:
            return self._take_own(data)
        if data and self._at == self._end:
            source: bytes | bytearray = data
            at, end = 0, len(data)
        else:
            if data:
                self.add(data)
            source, at, end = self._data, self._at, self._end
        body_at = at + HEADER_BYTES
        if body_at <= end:
            length, word, ident, stamp_ns = _unpack(source, at)
            kind = word & 0xFF
            if kind not in KINDS:
                raise RemoteProtocolError(f"peer sent a frame of unknown kind {kind}")
            if length > MAX_OPENING_BYTES and length > limit_bytes(kind, opening=self.opening):
                limit = limit_bytes(kind, opening=self.opening)
                raise RemoteProtocolError(f"peer announced {length} B, limit {limit} B")
            stop = body_at + length
            if stop <= end:
                if stop == end:
                    self._at = self._end = 0
                    self.is_empty = True
                else:
                    self._data, self._at, self._end = source, stop, end
                    self.is_empty = False
                body = source[body_at:stop] if type(source) is bytes else bytes(self._view[body_at:stop])
                if word == kind:
                    return Frame(kind, ident, body, stamp_ns)
                return Frame(kind, ident, body, stamp_ns, word >> 8 & 0xFF, word >> 16)
            self._needed = HEADER_BYTES + length
            if length > OWN_BYTES and length <= max(OWN_SOON_BYTES, OWN_SHARE * (end - at)):
                self._own = _OwnBody(length, word, ident, stamp_ns)
                self._own.add(memoryview(source)[body_at:end])
                at = end
        else:
            self._needed = HEADER_BYTES
        self._data, self._at, self._end = source, at, end
        self.is_empty = self._own is None and at == end
        return None

    def _take_own(self, data: bytes) -> Frame | None:
        """`take` while a large body comes."""
        if data:
            self.add(data)
        own = self._own
        assert own is not None
        if own.missing:
            return None
        self._own, self._after_own = None, True
        self.is_empty = self._at == self._end
        return own.frame()

    def take_begun(self, kind: int) -> tuple[Frame, int, bytes] | None:
        """A frame of this kind of which a part has come: without its body, the length of that, and the part.

        Its taker sees to the rest of the body.  None when the next frame is
        another, is whole, is on its way already, or has no whole header yet.
        """
        if self._own is not None or self._end - self._at < HEADER_BYTES:
            return None
        length, word, ident, stamp_ns = HEADER.unpack_from(self._data, self._at)
        body_at = self._at + HEADER_BYTES
        if word != kind or length > limit_bytes(kind, opening=self.opening) or body_at + length <= self._end:
            return None
        part = bytes(self._data[body_at : self._end])
        self._at = self._end = 0
        self.is_empty = True
        return Frame(kind, ident, b"", stamp_ns), length, part

    def feed(self, data: bytes) -> list[Frame]:
        """Add `data`, and give all frames that are whole, in order."""
        self.add(data)
        return list(iter(self.take, None))

    def end(self) -> None:
        """The peer closed.

        Raises:
            RemoteProtocolError: It stopped in the middle of a frame.
        """
        if self.held_bytes:
            raise RemoteProtocolError(f"peer closed {self.held_bytes} B into a frame")
