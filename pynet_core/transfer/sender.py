"""The end that has the files: answers what the receiver asks for, piece by piece."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Final

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.digest import HASHERS, digest_at, digest_of
from pynet_core.transfer.frames import CHUNK_BYTES, Link, pack_chunk
from pynet_core.transfer.jail import NoRegularFile, PathRefused
from pynet_core.transfer.messages import Take, Version, Wanted
from pynet_core.transfer.positions import read_at
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body

MAX_WAITING: Final = 256  # pieces read ahead from a peer that asks for many; more wait in the kernel


class Changed(PynetError):
    """The file is not the one that was offered any more."""


class Sender:
    """Answers TAKEs until the receiver says something else.  Its thread is the pair's.

    `open_file` gives a descriptor for the path of an offer, or refuses.
    `on_sent(path, bytes)` hears of each step; it may raise anything but an OSError.
    """

    def __init__(
        self,
        link: Link,
        open_file: Callable[[bytes], int],
        on_sent: Callable[[bytes, int], object] = lambda path, sent: None,
    ) -> None:
        self._link = link
        self._open_file = open_file
        self._on_sent = on_sent
        self._asked: deque[tuple[str, Wanted]] = deque()
        self._last_word: Frame | None = None

    def serve(self, first: Frame | None = None) -> Frame:
        """Send what is asked for, from this frame on; returns the first frame that is no TAKE.

        Raises:
            RemoteProtocolError: The peer asks for nonsense.
            LinkClosed: The connection is gone.
        """
        if first is not None:
            self._hear(first)
        while self._last_word is None:
            if self._asked:
                self._answer(*self._asked.popleft())
            else:
                self._hear(self._link.receive())
        return self._last_word

    def _hear(self, frame: Frame) -> None:
        if frame.kind != Kind.TAKE:
            self._last_word = frame
            return
        take = unpack_body(frame.body, Take)
        if take.digest not in HASHERS:
            raise RemoteProtocolError(f"peer wants digests by {take.digest[:32]!r}")
        for wanted in take.pieces:
            if wanted.offset + wanted.length > wanted.version.size:
                raise RemoteProtocolError("peer asks for more of a file than there is")
            self._asked.append((take.digest, wanted))

    def _answer(self, digest: str, wanted: Wanted) -> None:
        try:
            fd = self._open_file(wanted.path)
            try:
                self._send(fd, digest, wanted)
            finally:
                os.close(fd)
        except FileNotFoundError:
            self._fail(Changed("has vanished"))
        except (Changed, NoRegularFile, PathRefused, OSError) as exc:
            self._fail(exc)

    def _send(self, fd: int, digest: str, wanted: Wanted) -> None:
        offset, end = wanted.offset, wanted.offset + wanted.length
        _check(fd, wanted.version)
        if wanted.have and digest_at(digest, fd, offset, wanted.length) == wanted.have:
            _check(fd, wanted.version)
            self._link.send(Frame(Kind.SAME))
            self._on_sent(wanted.path, wanted.length)
            return
        while True:
            data = read_at(fd, min(CHUNK_BYTES, end - offset), offset)
            # After reading: what is sent was all read from the file as it was offered.
            _check(fd, wanted.version)
            if not data and offset < end:
                raise Changed("has shrunk")  # nothing but that, and its times do not show it
            if end == wanted.version.size == offset + len(data) and read_at(fd, 1, end):
                raise Changed("has grown, or does not say how long it is")  # as files in /proc
            self._link.send(pack_chunk(offset, digest_of(digest, data), data))
            self._on_sent(wanted.path, len(data))
            offset += len(data)
            if offset == end:
                return
            if len(self._asked) < MAX_WAITING and (frame := self._link.poll()) is not None:
                self._hear(frame)
                if self._last_word is not None:  # nobody waits for the rest
                    return

    def _fail(self, exc: BaseException) -> None:
        """This piece cannot be had; the next may."""
        reason = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
        self._link.send(Frame(Kind.LOST, 0, pack_body(Failure(error=type(exc).__name__, reason=reason))))


def version_of(found: os.stat_result) -> Version:
    """What tells this state of a file from every other."""
    return Version(
        size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns, inode=found.st_ino
    )


def _check(fd: int, offered: Version) -> None:
    """Raises:
    Changed: It is another state, or another file.
    """
    found = os.fstat(fd)
    now = version_of(found)
    if now == offered:
        return
    if not found.st_nlink:
        raise Changed("has been removed while it was read")
    if now.inode != offered.inode:
        raise Changed("has been replaced")
    if now.size != offered.size:
        verb = "grown" if now.size > offered.size else "shrunk"
        raise Changed(f"has {verb} from {offered.size} to {now.size} B while it was read")
    raise Changed("has been written to or moved while it was read")
