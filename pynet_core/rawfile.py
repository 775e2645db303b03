"""Bytes of a file from and to a socket, past this process's memory where the system can: sendfile and splice.

Not under TLS, which must see them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from typing import Final

from pynet_core.transfer.positions import read_at, write_at
from pynet_core.wire import Frame

if sys.platform == "linux":
    import fcntl

BLOCK_BYTES: Final = 1024 * 1024  # at a time; 64 KB halves the rate
_HAS_SENDFILE: Final = hasattr(os, "sendfile") and sys.platform == "linux"
_HAS_SPLICE: Final = hasattr(os, "splice")
_ZEROS: Final = bytes(BLOCK_BYTES)


def send_from(sock: socket.socket, fd: int, offset: int, length: int) -> int:
    """Send this piece of a file; returns how much of it there was: zeros stand for the rest.

    Raises:
        OSError: The socket's, or the file's: either way the connection is of no more use.
    """
    sent = 0
    while sent < length:
        if _HAS_SENDFILE:
            count = os.sendfile(sock.fileno(), fd, offset + sent, length - sent)
        else:
            data = read_at(fd, min(BLOCK_BYTES, length - sent), offset + sent)
            sock.sendall(data)
            count = len(data)
        if not count:
            break
        sent += count
    for start in range(sent, length, BLOCK_BYTES):
        sock.sendall(_ZEROS[: length - start])
    return sent


class Drain:
    """Takes bytes from a socket into files, through a pipe if the system can.

    Its thread is the pair's; close it.  `turn` is held while a file is written
    to, never while the socket is waited for: the system lets one in at a time,
    and others would burn a processor until then.
    """

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None
        self._room = 0  # bytes the pipe holds
        self.turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        self._buffer = memoryview(b"")

    def receive(self, sock: socket.socket, fd: int, offset: int, length: int) -> tuple[int, OSError | None]:
        """Bring the next `length` bytes of the socket to this place; fd -1 throws them away.

        Returns how many have come, fewer only when the peer has closed, and
        what the file said: after that the rest is taken from the socket as well.

        Raises:
            OSError: The socket's.
        """
        problem: OSError | None = None
        come = 0
        while come < length:
            if fd < 0 or problem or not _HAS_SPLICE:
                view = self._view()[: length - come]
                count = sock.recv_into(view)
                if not count:
                    break
                if fd >= 0 and not problem:
                    try:
                        write_at(fd, view[:count], offset + come)
                    except OSError as exc:
                        problem = exc
            else:
                source, sink = self._open()
                count = os.splice(sock.fileno(), sink, min(self._room, length - come))
                if not count:
                    break
                try:
                    with self.turn:
                        _empty(source, fd, offset + come, count)
                except OSError as exc:
                    problem = exc
                    self.close()  # what is left in the pipe belongs nowhere
            come += count
        return come, problem

    def close(self) -> None:
        """Idempotent."""
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None

    def _open(self) -> tuple[int, int]:
        if self._pipe is None:
            self._pipe = os.pipe()
            self._room = 64 * 1024
            with contextlib.suppress(OSError):  # beyond what this user's pipes may hold
                self._room = fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, BLOCK_BYTES)
        return self._pipe

    def _view(self) -> memoryview:
        if not self._buffer:
            self._buffer = memoryview(bytearray(BLOCK_BYTES))
        return self._buffer


def _empty(source: int, fd: int, offset: int, count: int) -> None:
    while count:
        moved = os.splice(source, fd, count, offset_dst=offset)
        count -= moved
        offset += moved


def landed(frame: Frame, kind: int, land: Callable[[int, int], int]) -> tuple[Frame, int, OSError | None]:
    """A frame that has come whole: its body, if it is of this kind, goes where it belongs."""
    if frame.kind != kind:
        return frame, 0, None
    length = len(frame.body)
    problem = put(land(frame.ident, length), frame.body, frame.ident)
    return Frame(kind, frame.ident, b"", frame.stamp_ns), length, problem


def put(fd: int, data: bytes, offset: int) -> OSError | None:
    """Write it there, nowhere if `fd` is -1; returns what the file said."""
    try:
        if fd >= 0 and data:
            write_at(fd, data, offset)
    except OSError as exc:
        return exc
    return None
