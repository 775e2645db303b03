"""The end that wants the files: asks for pieces, writes and verifies them, gives whole files their names."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pynet_core.errors import RemoteProtocolError
from pynet_core.transfer.digest import digest_at
from pynet_core.transfer.folder import CannotStore, Folder, storing
from pynet_core.transfer.frames import Link, unpack_chunk
from pynet_core.transfer.jail import part_name
from pynet_core.transfer.ledger import Ledger
from pynet_core.transfer.messages import Take, Version, Wanted
from pynet_core.transfer.part import Corrupted, FileId, Part
from pynet_core.transfer.plan import PIECE_BYTES, Piece, Planned, count, cut
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body

# Two TAKEs are out at a time, so that the sender never waits.  Both together fit the kernel's smallest
# buffers: else two ends that both send would wait for each other for ever.
TAKES: Final = 2
TAKE_PIECES: Final = 32
TAKE_BYTES: Final = 6 * 1024  # of the request; beyond it at most one more path of 4 KiB

OnStep = Callable[[Planned, int], object]  # a file, and how many bytes of it have come


@dataclass(slots=True)
class _Asked:
    """A piece that is on its way."""

    piece: Piece
    have: bool  # the sender was told what stands here already
    is_last: bool  # of its TAKE
    come: int = 0  # bytes


class Receiver:
    """Brings the planned files into a folder.  Its thread is the pair's.

    `keep_parts`: leave what has come of a file for another attempt, where that
    can make sense.  What `on_step` raises comes out of `run`.
    """

    def __init__(
        self,
        files: list[Planned],
        folder: Folder,
        digest: str,
        *,
        keep_parts: bool,
        on_step: OnStep = lambda planned, come: None,
    ) -> None:
        self._files = files
        self._folder = folder
        self._digest = digest
        self._keep_parts = keep_parts
        self._on_step = on_step
        self._parts: dict[int, Part] = {}
        self._present = {index: found for index, one in enumerate(files) if (found := self._is_there(one))}
        self._ledger = Ledger(
            (cut(index, one.version.size, size), count(one.version.size, size))
            for index, one in enumerate(files)
            # What seems to be here already is compared as a whole.
            for size in [max(1, one.version.size) if index in self._present else PIECE_BYTES]
        )
        self._landed: dict[FileId, str] = {}
        self._asked: deque[_Asked] = deque()
        self._takes = 0
        self.arrived: list[int] = []  # indexes in `files`
        self.failed: dict[int, str] = {}  # index: why

    def run(self, link: Link) -> Frame | None:
        """Until all files have arrived or failed, or the peer says something else: then that frame.

        Raises:
            RemoteProtocolError: The peer sends what was not asked for.
            LinkClosed: The connection is gone.  Files that have arrived stay.
        """
        try:
            while self._ask(link):
                frame = link.receive()
                match frame.kind:
                    case Kind.CHUNK:
                        self._write(link, frame)
                    case Kind.SAME:
                        self._keep(link)
                    case Kind.LOST:
                        self._lose(link, unpack_body(frame.body, Failure))
                    case _:
                        return frame
            return None
        finally:
            self._ledger.give_back(link)
            for part in self._parts.values():
                part.abandon(keep=self._keep_parts)
            self._parts.clear()

    def settle(self) -> None:
        """See to it that what has arrived outlasts a power cut; else it counts as failed."""
        try:
            self._folder.sync([self._files[index].name for index in self.arrived])
        except CannotStore as exc:
            self.failed |= dict.fromkeys(self.arrived, str(exc))
            self.arrived.clear()

    def _ask(self, link: Link) -> bool:
        """Keep the sender busy; False when nothing is left to wait for."""
        while self._takes < TAKES:
            pieces: list[Wanted] = []
            request_bytes = piece_bytes = 0
            while len(pieces) < TAKE_PIECES and request_bytes < TAKE_BYTES and piece_bytes < PIECE_BYTES:
                piece = self._ledger.take(link, wait=not self._asked)
                if piece is None:
                    break
                try:
                    wanted = self._wanted(piece)
                except CannotStore as exc:
                    self._ledger.done(link, piece)
                    self._fail(piece.file, str(exc))
                    continue
                pieces.append(wanted)
                self._asked.append(_Asked(piece, bool(wanted.have), False))
                request_bytes += len(pack_body(wanted))
                piece_bytes += piece.length
            if not pieces:
                break
            self._asked[-1].is_last = True
            self._takes += 1
            link.send(Frame(Kind.TAKE, 0, pack_body(Take(digest=self._digest, pieces=pieces))))
        return bool(self._asked)

    def _wanted(self, piece: Piece) -> Wanted:
        """The piece, and what stands in its place already.

        Raises:
            CannotStore: There is a part of this file that is not for us.
        """
        planned = self._files[piece.file]
        have = b""
        if piece.file in self._present:
            have = self._digest_of_present(piece.file)
        # A new part is made only once bytes for it have come: no litter of empty ones when we are killed.
        elif piece.file in self._parts or self._has_a_part(planned):
            have = self._part(piece.file).digest(self._digest, piece.offset, piece.length)
        return Wanted(
            path=planned.path, version=planned.version, offset=piece.offset, length=piece.length, have=have
        )

    def _write(self, link: Link, frame: Frame) -> None:
        asked = self._expected()
        digest, data = unpack_chunk(frame)
        left = asked.piece.length - asked.come
        if frame.ident != asked.piece.offset + asked.come or len(data) > left or (left and not data):
            raise RemoteProtocolError(f"peer sent {len(data)} B at {frame.ident} that were not asked for")
        file = asked.piece.file
        if file not in self.failed:
            try:
                self._part(file).write(frame.ident, data, self._digest, digest)
            except (CannotStore, Corrupted) as exc:
                self._fail(file, str(exc))
        asked.come += len(data)
        if asked.come == asked.piece.length:
            self._finish(link)
        self._on_step(self._files[file], len(data))

    def _keep(self, link: Link) -> None:
        """What stands here is what the sender has."""
        asked = self._expected()
        if not asked.have or asked.come:
            raise RemoteProtocolError("peer says that a piece is the same, and it cannot know")
        self._finish(link)
        self._on_step(self._files[asked.piece.file], asked.piece.length)

    def _lose(self, link: Link, failure: Failure) -> None:
        """The sender cannot give this piece, so the file is worth nothing."""
        asked = self._expected()
        # A log that has grown: the next attempt fetches its new end only.
        self._fail(asked.piece.file, failure.reason, keep=self._keep_parts and failure.error == "Changed")
        self._finish(link)
        self._on_step(self._files[asked.piece.file], 0)

    def _expected(self) -> _Asked:
        if not self._asked:
            raise RemoteProtocolError("peer sent bytes that nobody has asked for")
        return self._asked[0]

    def _finish(self, link: Link) -> None:
        """The oldest piece that was asked for is done with, one way or another."""
        asked = self._asked.popleft()
        self._takes -= asked.is_last
        file = asked.piece.file
        if not self._ledger.done(link, asked.piece):
            return
        name = self._files[file].name
        try:
            if file in self._present and file not in self._parts:
                landed = self._still_present(file)
            else:
                landed = self._parts.pop(file).land(self._landed)
        except CannotStore as exc:
            self._fail(file, str(exc))
            return
        self._landed[landed] = name
        self.arrived.append(file)

    def _fail(self, file: int, reason: str, *, keep: bool = False) -> None:
        self._ledger.drop(file)
        self.failed.setdefault(file, reason)
        if part := self._parts.pop(file, None):
            part.abandon(keep=keep)

    def _part(self, file: int) -> Part:
        """Raises:
        CannotStore: It cannot be opened.
        """
        if file not in self._parts:
            planned = self._files[file]
            self._parts[file] = Part(self._folder, planned.name, planned.version)
        return self._parts[file]

    def _has_a_part(self, planned: Planned) -> bool:
        with storing("cannot be looked at"):
            return self._folder.stat(part_name(planned.name)) is not None

    def _is_there(self, planned: Planned) -> os.stat_result | None:
        """What has its name here already, if it may be the same file."""
        with contextlib.suppress(OSError):
            found = self._folder.stat(planned.name)
            if found and stat.S_ISREG(found.st_mode) and _matches(found, planned.version):
                return found
        return None

    def _digest_of_present(self, file: int) -> bytes:
        """b'' when it has just changed: then the sender's comes in its place."""
        with storing("cannot be read back"):
            fd = self._folder.open(self._files[file].name, os.O_RDONLY)
            try:
                now = os.fstat(fd)
                if not os.path.samestat(now, self._present[file]):
                    return b""
                return digest_at(self._digest, fd, 0, now.st_size) or b""
            finally:
                os.close(fd)

    def _still_present(self, file: int) -> FileId:
        planned = self._files[file]
        with storing("cannot be looked at"):
            now = self._folder.stat(planned.name)
        if now and os.path.samestat(now, self._present[file]) and _matches(now, planned.version):
            return now.st_dev, now.st_ino
        raise CannotStore("was here already, but has been changed meanwhile")


def _matches(found: os.stat_result, version: Version) -> bool:
    return (found.st_size, found.st_mtime_ns) == (version.size, version.mtime_ns)
