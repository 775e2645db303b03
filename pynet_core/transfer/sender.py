"""The end that has a tree: answers what the receiver pulls, small files in packs, large ones in ranges."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.compression import CODECS, Effort, squeezed
from pynet_core.transfer.digest import HASHERS, READ_BYTES, FileHasher, Hasher, digest_at, digest_of
from pynet_core.transfer.frames import Link
from pynet_core.transfer.jail import NoRegularFile, PathRefused
from pynet_core.transfer.messages import (
    LOST,
    MAX_PACK_BYTES,
    MAX_PACK_FILES,
    MAX_RAW_BYTES,
    SAME,
    Bit,
    Hole,
    Packed,
    Pull,
    pack_dense,
)
from pynet_core.transfer.positions import read_at
from pynet_core.transfer.shelf import Changed
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body

MAX_WAITING: Final = 16  # pulls read ahead; more wait in the kernel
MAX_HOLE_BYTES: Final = 64 * 1024 * 1024  # hashed between two looks at the peer: 0.1 s at worst
_ZEROS: Final = bytes(READ_BYTES)
_HAS_HOLES: Final = hasattr(os, "SEEK_DATA")


class RawLink(Link, Protocol):
    """A channel, or what behaves like one."""

    def send_raw(self, kind: int, fd: int, offset: int, length: int) -> int: ...


class Opens(Protocol):
    """A Shelf, or what behaves like one."""

    def open(self, base: bytes, path: bytes) -> tuple[int, os.stat_result]: ...


class Sender:
    """Answers PULLs until the receiver says something else.  Its thread is the pair's.

    `pace(bytes)` is called before so many are sent, and may wait.
    `on_sent(path, bytes, files)` hears of each step; the last are those that it has made whole.
    """

    def __init__(
        self,
        link: RawLink,
        shelf: Opens,
        *,
        pace: Callable[[int], object] = lambda size: None,
        on_sent: Callable[[bytes, int, int], object] = lambda path, size, files: None,
    ) -> None:
        self._link = link
        self._shelf = shelf
        self._pace = pace
        self._on_sent = on_sent
        self._asked: deque[Pull] = deque()
        self._last_word: Frame | None = None
        self._buffer = memoryview(bytearray(MAX_PACK_BYTES + 1))
        self._hashing = FileHasher()
        self._effort = Effort()

    def serve(self, first: Frame | None = None) -> Frame:
        """Send what is asked for, from this frame on; returns the first frame that is no PULL.

        Raises:
            RemoteProtocolError: The peer asks for nonsense.
            LinkClosed: The connection is gone.
        """
        if first is not None:
            self._hear(first)
        while self._last_word is None:
            if not self._asked:
                self._hear(self._link.receive())
                continue
            pull = self._asked.popleft()
            if pull.packed:
                self._send_pack(pull)
            else:
                self._send_range(pull)
            self._look_up()
        return self._last_word

    def _look_up(self) -> None:
        """Has the peer said something meanwhile?"""
        if len(self._asked) < MAX_WAITING and (frame := self._link.poll()) is not None:
            self._hear(frame)

    def _hear(self, frame: Frame) -> None:
        if frame.kind != Kind.PULL:
            self._last_word = frame
            return
        pull = unpack_body(frame.body, Pull)
        if pull.digest not in HASHERS:
            raise RemoteProtocolError(f"peer wants digests by {pull.digest[:32]!r}")
        if pull.codec and pull.codec not in CODECS:
            raise RemoteProtocolError(f"peer wants to have it compressed by {pull.codec[:32]!r}")
        if pull.packed:
            size = sum(bit.size for bit in pull.bits)
            if len(pull.bits) > MAX_PACK_FILES or size > MAX_PACK_BYTES:
                raise RemoteProtocolError(f"peer wants {len(pull.bits)} files, {size} B, in one pack")
        elif len(pull.bits) != 1 or pull.bits[0].offset + pull.bits[0].length > pull.bits[0].size:
            raise RemoteProtocolError("peer asks for more of a file than there is")
        self._asked.append(pull)

    def _send_pack(self, pull: Pull) -> None:
        sizes, digests, lost, at = [], [], [], 0
        for bit in pull.bits:
            try:
                view = self._read_whole(pull.base, bit, at)
            except (PynetError, OSError) as exc:
                failure = _failure(exc)
                sizes.append(LOST)
                lost.append((failure.error, failure.reason))
                continue
            digest = digest_of(pull.digest, view)
            if digest == bit.have:
                sizes.append(SAME)
                continue
            sizes.append(len(view))
            digests.append(digest)
            at += len(view)
        made = self._squeezed(pull.codec, self._buffer[:at])
        codec, data = (pull.codec, memoryview(made)) if made else ("", self._buffer[:at])
        head = pack_body(Packed(sizes=sizes, digests=b"".join(digests), lost=lost, codec=codec))
        self._pace(len(data))
        self._link.send(Frame(Kind.PACK, len(head), b"".join((head, data))))
        self._on_sent(pull.bits[-1].path if pull.bits else b"", at, len(pull.bits) - len(lost))

    def _read_whole(self, base: bytes, bit: Bit, at: int) -> memoryview:
        fd, found = self._shelf.open(base, bit.path)
        try:
            _check(found, bit)
            # One more than there is: files in /proc do not say how long they are.
            view = self._buffer[at : at + bit.size + 1]
            count = os.readv(fd, [view])
            while 0 < count < bit.size and (more := os.readv(fd, [view[count:]])):
                count += more
            _check(os.fstat(fd), bit)
        finally:
            os.close(fd)
        if count != bit.size:
            raise Changed("has shrunk" if count < bit.size else "has grown, or does not say how long it is")
        return view[:count]

    def _send_range(self, pull: Pull) -> None:
        (bit,) = pull.bits
        try:
            fd, found = self._shelf.open(pull.base, bit.path)
            try:
                _check(found, bit)
                if bit.have and digest_at(pull.digest, fd, bit.offset, bit.length) == bit.have:
                    _check(os.fstat(fd), bit)
                    self._link.send(Frame(Kind.SAME))
                    self._sent_all(bit)
                else:
                    self._send_bytes(fd, pull, bit, found)
            finally:
                os.close(fd)
        except FileNotFoundError:
            self._fail(Changed("has vanished"))
        except (Changed, NoRegularFile, PathRefused, OSError) as exc:
            self._fail(exc)

    def _send_bytes(self, fd: int, pull: Pull, bit: Bit, found: os.stat_result) -> None:
        hasher = HASHERS[pull.digest]()
        is_sparse = _HAS_HOLES and found.st_blocks * 512 < found.st_size
        for is_data, offset, end in _stretches(fd, bit.offset, bit.offset + bit.length, is_sparse):
            if not is_data:
                self._send_hole(hasher, offset, end)
                if self._last_word is not None:
                    return
                continue
            for start in range(offset, end, MAX_RAW_BYTES):
                length = min(MAX_RAW_BYTES, end - start)
                # Read before it is sent: what a bad disk does not give costs its file, not the connection.
                if not self._hashing.add(hasher, fd, start, length) or not (
                    self._send_dense(fd, pull.codec, start, length)
                    if pull.codec
                    else self._send_raw(fd, start, length)
                ):
                    raise Changed("has shrunk")
                _check(os.fstat(fd), bit)
                self._on_sent(bit.path, length, 0)
                self._look_up()
                if self._last_word is not None:  # nobody waits for the rest
                    return
        _check(os.fstat(fd), bit)
        self._link.send(Frame(Kind.SEAL, 0, hasher.digest()))
        self._sent_all(bit)

    def _sent_all(self, bit: Bit) -> None:
        self._on_sent(bit.path, 0, int(bit.offset + bit.length == bit.size))

    def _send_hole(self, hasher: Hasher, offset: int, end: int) -> None:
        for start in range(offset, end, MAX_HOLE_BYTES):
            length = min(MAX_HOLE_BYTES, end - start)
            self._link.send(Frame(Kind.HOLE, start, pack_body(Hole(length=length))))
            for done in range(0, length, READ_BYTES):
                hasher.update(_ZEROS[: length - done])
            self._look_up()
            if self._last_word is not None:  # nobody waits for the rest
                return

    def _send_raw(self, fd: int, offset: int, length: int) -> bool:
        """False when the file has fewer bytes."""
        self._pace(length)
        return self._link.send_raw(Kind.RAW, fd, offset, length) == length

    def _send_dense(self, fd: int, codec: str, offset: int, length: int) -> bool:
        """The same, compressed if that pays."""
        data = read_at(fd, length, offset)
        made = self._squeezed(codec, data) if len(data) == length else None
        if made is None:
            return self._send_raw(fd, offset, length)
        self._pace(len(made))
        self._link.send(Frame(Kind.DENSE, offset, pack_dense(length, made)))
        return True

    def _squeezed(self, codec: str, data: bytes | memoryview) -> bytes | None:
        began_s = time.monotonic()
        made = squeezed(codec, data, self._effort.step)
        if made is not None:
            self._effort.made(began_s, time.monotonic())
        return made

    def _fail(self, exc: BaseException) -> None:
        """This piece cannot be had; the next may."""
        self._link.send(Frame(Kind.LOST, 0, pack_body(_failure(exc))))


def _failure(exc: BaseException) -> Failure:
    if isinstance(exc, FileNotFoundError):
        return Failure(error="Changed", reason="has vanished")
    reason = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
    return Failure(error=type(exc).__name__, reason=reason)


def _stretches(fd: int, offset: int, end: int, is_sparse: bool) -> Iterator[tuple[bool, int, int]]:
    """(is data, offset, end) of each; the system may know of fewer holes than there are."""
    while is_sparse and offset < end:
        try:
            data = min(os.lseek(fd, offset, os.SEEK_DATA), end)
        except OSError:  # none from here on
            data = end
        if data > offset:
            yield False, offset, data
        if data < end:
            hole = min(os.lseek(fd, data, os.SEEK_HOLE), end)
            yield True, data, hole
            data = hole
        offset = data
    if offset < end:
        yield True, offset, end


def _check(found: os.stat_result, bit: Bit) -> None:
    """Raises:
    Changed: It is another state than the receiver knows of, or another file.
    """
    if (
        found.st_size == bit.size
        and found.st_mtime_ns == bit.mtime_ns
        and found.st_nlink
        and (not bit.ctime_ns or (found.st_ctime_ns == bit.ctime_ns and found.st_ino == bit.inode))
    ):
        return
    if not found.st_nlink:
        raise Changed("has been removed while it was read")
    if not stat.S_ISREG(found.st_mode) or (bit.ctime_ns and found.st_ino != bit.inode):
        raise Changed("has been replaced")
    if found.st_size != bit.size:
        verb = "grown" if found.st_size > bit.size else "shrunk"
        raise Changed(f"has {verb} from {bit.size} to {found.st_size} B while it was read")
    raise Changed("has been written to or moved while it was read")
