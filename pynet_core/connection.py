"""One connection: what it is for, how the kernel is to treat it, and how it ends.  No frames."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator

from pynet_core.errors import LinkClosed
from pynet_core.traffic import (
    IMPATIENT,
    Pacer,
    give_up,
    has_gone,
    hold_as_needed,
    hold_little,
    mark,
    pacer_for,
    repeat,
    tune,
    unsent_bytes,
)


class Connection:
    """A socket that one thread owns.  `abort` is for everybody: it wakes the owner with LinkClosed."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sealed = False  # what comes is not frames, but is to become them
        self._purpose = "stream"
        self._pacer: Pacer | None = None  # of bulk
        self._keeps_latest = False
        # For what is sent and received whole and by itself; None where more must be done than that.
        self.bare: socket.socket | None = sock
        self.is_aborted = False
        self.is_closed = False  # at this end
        self._closing = threading.Lock()  # or abort could hit the socket that got this one's number next
        tune(sock)

    def carry(self, purpose: str) -> None:
        """What this pair is for: its packets say so, an urgent one gives a dead link up soon, bulk yields."""
        self._purpose = purpose
        mark(self._sock, purpose)
        repeat(self._sock, soon=purpose in IMPATIENT)
        give_up(self._sock, soon=purpose in IMPATIENT)
        if self._pacer is not None:
            self._pacer.end()
        self._pacer = pacer_for(self._sock) if purpose == "bulk" else None
        self.bare = None if self._sealed or self._pacer is not None else self._sock

    @contextlib.contextmanager
    def carrying_bulk(self) -> Iterator[None]:
        """Files pass in here, whatever else the pair is for."""
        purpose = self._purpose
        if purpose == "bulk":
            yield
            return
        self.carry("bulk")
        try:
            yield
        finally:
            self.carry(purpose)

    def keep_latest(self) -> None:
        """Newest-only items pass: hold little in the kernel, give a dead link up soon.  Idempotent."""
        if not self._keeps_latest:
            self._keeps_latest = True
            hold_little(self._sock)
            give_up(self._sock, soon=True)

    def keep_every(self) -> None:
        """They are over: take back what `keep_latest` has set.  Idempotent."""
        if self._keeps_latest:
            self._keeps_latest = False
            hold_as_needed(self._sock)
            give_up(self._sock, soon=self._purpose in IMPATIENT)

    def unsent_bytes(self) -> int:
        """Bytes that wait in the kernel for the link; 0 where it cannot be told."""
        try:
            return unsent_bytes(self._sock)
        except (OSError, ValueError) as exc:
            raise LinkClosed(f"connection lost: {words(exc)}") from exc

    def peer_has_gone(self) -> bool:
        """The peer has closed, even if bytes of it are still unread.  Any thread; never blocks."""
        return has_gone(self._sock)

    def abort(self) -> None:
        """End the connection now and wake its owner, who gets no frame that has come before.

        Any thread; idempotent.
        """
        self.is_aborted = True
        with self._closing, contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back.  Its owner only; idempotent."""
        with self._closing:
            self.is_closed, self.bare = True, None
            with contextlib.suppress(OSError):  # heard though a forked process has the socket too
                self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()


def words(exc: OSError | ValueError) -> str:
    """What happened to a connection, for people."""
    if isinstance(exc, ValueError) or exc.errno == errno.EBADF:  # a closed socket has number -1
        return "it was closed at this end"
    return exc.strerror or str(exc)
