"""What one pair brings of a tree: keeps it asked, checks what it answers, writes it down.  In its thread."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from pynet_core.errors import RemoteProtocolError
from pynet_core.rawfile import Drain
from pynet_core.transfer.compression import unpacked
from pynet_core.transfer.digest import DIGEST_BYTES, HASHERS, READ_BYTES, FileHasher, Hasher, digest_of
from pynet_core.transfer.folder import CannotStore, NoRoom
from pynet_core.transfer.folders import Folders
from pynet_core.transfer.frames import Link
from pynet_core.transfer.intake import Intake
from pynet_core.transfer.messages import LOST, SAME, Bit, Hole, Node, Packed, Pull, unpack_dense
from pynet_core.transfer.positions import write_at
from pynet_core.transfer.sizes import Sizes
from pynet_core.transfer.units import Large, Pack, Range, Unit
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body

PULLS: Final = 3  # out at a time, so that the sender never waits; of files barely large so many more
RANGES: Final = 2  # of large files, each of which takes its time: what one pair has, no other can bring
MOST_PULLS: Final = 12
PULLS_PATH_BYTES: Final = 16 * 1024  # of these: so the requests fit the kernel's smallest buffers


class RawLink(Link, Protocol):
    """A channel, or what behaves like one."""

    def receive_raw(
        self, kind: int, land: Callable[[int, int], int], drain: Drain
    ) -> tuple[Frame, int, OSError | None]: ...


def bring(
    intake: Intake, link: RawLink, source: int = 0, carrier: int | None = None, *, rests: bool = False
) -> Frame | None:
    """Pull over this pair until all is here or given up, or the peer says something else: then that frame.

    `source`: 0 is who has listed; others have files of the same paths, sizes and times.
    `carrier`: by which the pair is known again when it was lost and has come back.
    `rests`: only what waits now, for then the pair is to go on with the list.

    Raises:
        RemoteProtocolError: The peer sends what was not asked for.
        LinkClosed: The connection is gone; what it held is for the other pairs.
    """
    pair = intake.enter(source, carrier)
    incoming = Incoming(intake, pair, link, source, rests=rests)
    try:
        return incoming.run()
    finally:
        incoming.close()
        intake.leave(pair)


@dataclass(slots=True)
class _Asked:
    unit: Unit
    have: bytes  # the sender was told what stands here already
    hasher: Hasher
    codec: str
    size: int  # bytes
    come: int = 0  # of these


class Incoming:
    """One pair of an Intake.  Its thread is the pair's; close it."""

    def __init__(self, intake: Intake, pair: int, link: RawLink, source: int, *, rests: bool = False) -> None:
        self._intake = intake
        self._source = source
        self._rests = rests
        self._pair = pair
        self._link = link
        self._folders = Folders(intake.ground)
        self._drain = Drain()
        self._hashing = FileHasher()
        self._asked: deque[_Asked] = deque()
        self._asked_bytes = 0
        self._sizes = Sizes()
        self._temp = f"small{pair}"

    def run(self) -> Frame | None:
        """As `bring`."""
        while self._ask():
            frame, length, problem = self._link.receive_raw(Kind.RAW, self._place, self._drain)
            match frame.kind:
                case Kind.PACK:
                    self._take_pack(frame)
                case Kind.RAW:
                    self._intake.wire(length)
                    self._took_raw(frame.ident, length, problem)
                case Kind.DENSE:
                    self._take_dense(frame)
                case Kind.HOLE:
                    self._take_hole(frame.ident, unpack_body(frame.body, Hole).length)
                case Kind.SEAL:
                    self._take_seal(frame.body)
                case Kind.SAME:
                    self._take_same()
                case Kind.LOST:
                    self._lose(unpack_body(frame.body, Failure))
                case _:
                    return frame
        return None

    def close(self) -> None:
        """Idempotent."""
        self._folders.close()
        self._drain.close()

    # Asking

    def _ask(self) -> bool:
        """Keep the sender busy; False when nothing is left to wait for."""
        stock = self._intake.stock
        while self._wants_more():
            if not self._asked:
                self._sizes.pause()
            unit = stock.take(
                self._pair,
                wait=not self._asked,
                range_bytes=self._sizes.range_bytes,
                pack_bytes=self._sizes.pack_bytes,
                rests=self._rests,
            )
            if unit is None:
                break
            if isinstance(unit, Pack):
                self._ask_pack(unit)
            else:
                self._ask_range(unit)
        return bool(self._asked)

    def _wants_more(self) -> bool:
        ranges = [one.unit for one in self._asked if isinstance(one.unit, Range)]
        if len(ranges) < len(self._asked):  # packs: the last are small, and over a long way three are few
            return len(self._asked) < PULLS
        return len(ranges) < RANGES or (
            len(ranges) < MOST_PULLS
            and not self._has_its_share()
            and sum(len(one.large.node.path) for one in ranges) < PULLS_PATH_BYTES
            and sum(one.length for one in ranges) < RANGES * self._sizes.range_bytes
        )

    def _has_its_share(self) -> bool:
        """Of what is left: in the end no pair has much to bring while others have nothing."""
        left_bytes = self._intake.amounts()[1]
        return left_bytes is not None and 2 * self._intake.stock.pairs * self._asked_bytes > left_bytes

    def _ask_pack(self, pack: Pack) -> None:
        have = self._intake.wants(pack, self._folders)
        bits = [self._bit(node, have[index]) for index, node in enumerate(pack.nodes)]
        self._pull(pack, pack.base, bits, b"", packed=True)

    def _ask_range(self, unit: Range) -> None:
        large, intake = unit.large, self._intake
        have = b""
        try:
            if unit.claimed and large.compares:
                with contextlib.suppress(CannotStore):  # what cannot be read cannot be the same
                    have = intake.digest_of_present(large.node, self._folders)
            elif unit.claimed:
                have = intake.part_of(large).digest(intake.digest, unit.offset, unit.length)
            else:
                intake.part_of(large)
        except CannotStore as exc:
            intake.spoil_large(large, str(exc))
            if intake.stock.done(self._pair, unit):
                intake.end_large(large)
            return
        bit = self._bit(large.node, have, unit.offset, unit.length)
        self._pull(unit, large.base, [bit], have, packed=False)

    def _pull(self, unit: Unit, base: bytes, bits: list[Bit], have: bytes, *, packed: bool) -> None:
        digest = self._intake.digest
        self._intake.limit.pace(sum(bit.length or bit.size for bit in bits if not bit.have))
        codec = self._intake.advisor.codec
        pull = Pull(base=base, digest=digest, bits=bits, packed=packed, codec=codec)
        self._link.send(Frame(Kind.PULL, 0, pack_body(pull)))
        size = sum(bit.length or bit.size for bit in bits)
        self._asked.append(_Asked(unit, have, HASHERS[digest](), codec, size))
        self._asked_bytes += size

    # Small files

    def _take_pack(self, frame: Frame) -> None:
        asked = self._expected(Pack)
        pack = asked.unit
        assert isinstance(pack, Pack)
        head = unpack_body(frame.body[: max(frame.ident, 0)], Packed)
        coming = [size for size in head.sizes if size >= 0]
        if (
            len(head.sizes) != len(pack.nodes)
            or any(
                size not in (SAME, LOST, node.size) for size, node in zip(head.sizes, pack.nodes, strict=True)
            )
            or len(head.digests) != DIGEST_BYTES * len(coming)
            or head.codec not in ("", asked.codec)
            or (not head.codec and frame.ident + sum(coming) != len(frame.body))
            or len(head.lost) != head.sizes.count(LOST)
        ):
            raise RemoteProtocolError("peer sent a pack that was not asked for")
        data = memoryview(frame.body)[frame.ident :]
        self._intake.wire(len(data))
        if head.codec:
            data = memoryview(unpacked(head.codec, data, sum(coming)))
        with self._intake.writing:
            self._write_pack(pack, head, data)
        self._asked_bytes -= self._asked.popleft().size
        self._sizes.done(asked.size, time.monotonic(), packed=True)
        self._intake.stock.done(self._pair, pack)
        self._intake.come(self._pair, pack.nodes[-1].path, sum(coming))

    def _bit(self, node: Node, have: bytes, offset: int = 0, length: int = 0) -> Bit:
        if self._source:  # inodes and their times are those of one machine
            return Bit(node.path, node.size, node.mtime_ns, 0, 0, have, offset, length)
        return Bit(node.path, node.size, node.mtime_ns, node.ctime_ns, node.inode, have, offset, length)

    def _write_pack(self, pack: Pack, head: Packed, data: memoryview) -> None:
        intake, base, digest = self._intake, pack.base, self._intake.digest
        landed: list[Node] = []
        missing: list[tuple[Node, str]] = []
        roomless: list[tuple[Node, str]] = []
        lost = iter(head.lost)
        at = index = 0
        for node, size in zip(pack.nodes, head.sizes, strict=True):
            try:
                if size >= 0:
                    view = data[at : at + size]
                    at += size
                    index += DIGEST_BYTES
                    if digest_of(digest, view) != head.digests[index - DIGEST_BYTES : index]:
                        intake.fail(base, node, "arrived corrupted")
                        continue
                    intake.ground.write(node, view, self._temp, self._folders)
                    landed.append(node)
                elif size == SAME:
                    intake.same(base, node, self._folders)
                else:
                    missing.append((node, next(lost)[1]))
            except NoRoom as exc:
                roomless.append((node, str(exc)))
            except CannotStore as exc:
                intake.fail(base, node, str(exc))
        intake.landed(base, landed)
        if roomless and not intake.stock.try_late(pack, [node for node, _ in roomless]):
            for node, reason in roomless:
                intake.fail(base, node, reason)
        if missing and not intake.stock.again(self._pair, pack, [node for node, _ in missing]):
            for node, reason in missing:
                intake.fail(base, node, reason)

    # Ranges of large ones

    def _place(self, offset: int, length: int) -> int:
        """Where the bytes that come now belong; -1: nowhere any more."""
        asked = self._expected(Range)
        unit = asked.unit
        assert isinstance(unit, Range)
        if offset != unit.offset + asked.come or not 0 < length <= unit.length - asked.come:
            raise RemoteProtocolError(f"peer sent {length} B at {offset} that were not asked for")
        if unit.large.is_over:
            return -1
        try:
            part = self._intake.part_of(unit.large)
        except CannotStore as exc:
            self._intake.spoil_large(unit.large, str(exc))
            return -1
        self._drain.turn = part.turn
        return part.fd

    def _took_raw(self, offset: int, length: int, problem: OSError | None) -> None:
        asked = self._asked[0]
        large = _large(asked)
        asked.come += length
        if problem is not None:
            reason = f"cannot be stored here: {problem.strerror or problem}"
            self._intake.spoil_large(large, reason)
        if not large.is_over:
            self._read_back(asked, large, offset, length)
        self._intake.come(self._pair, large.node.path, length)

    def _take_dense(self, frame: Frame) -> None:
        length, dense = unpack_dense(frame.body)
        self._intake.wire(len(dense))
        fd = self._place(frame.ident, length)
        data = unpacked(self._asked[0].codec, dense, length)
        problem = None
        try:
            if fd >= 0:
                write_at(fd, data, frame.ident)
        except OSError as exc:
            problem = exc
        self._took_raw(frame.ident, length, problem)

    def _take_hole(self, offset: int, length: int) -> None:
        fd = self._place(offset, length)
        asked = self._asked[0]
        large = _large(asked)
        asked.come += length
        if fd >= 0:
            try:
                self._intake.make_hole(large, offset, length)
            except OSError as exc:
                self._intake.spoil_large(large, f"cannot be stored here: {exc.strerror or exc}")
            else:
                for start in range(0, length, READ_BYTES):
                    asked.hasher.update(_ZEROS[: length - start])
        self._intake.come(self._pair, large.node.path, length)

    def _read_back(self, asked: _Asked, large: Large, offset: int, length: int) -> None:
        """Hash what stands in the part, not what has come."""
        try:
            self._hashing.add(asked.hasher, self._intake.part_of(large).fd, offset, length)
        except OSError as exc:
            self._intake.spoil_large(large, f"cannot be read back: {exc.strerror or exc}")

    def _take_seal(self, digest: bytes) -> None:
        asked = self._expected(Range)
        unit, large = asked.unit, _large(asked)
        assert isinstance(unit, Range)
        if asked.come != unit.length or len(digest) != DIGEST_BYTES:
            raise RemoteProtocolError("peer seals a piece that is not whole")
        if not large.is_over and asked.hasher.digest() != digest:
            self._intake.spoil_large(large, "arrived corrupted")
        try:
            if not large.is_over and unit.length < large.node.size:
                self._intake.part_of(large).verified(unit.offset, unit.length)
        except CannotStore as exc:
            self._intake.spoil_large(large, str(exc))
        self._finish(unit)

    def _take_same(self) -> None:
        asked = self._expected(Range)
        unit, large = asked.unit, _large(asked)
        assert isinstance(unit, Range)
        if not asked.have or asked.come:
            raise RemoteProtocolError("peer says that a piece is the same, and it cannot know")
        if not large.compares:  # else all of it is counted at once
            self._intake.come(self._pair, large.node.path, unit.length, brought=False)
        self._finish(unit)

    def _lose(self, failure: Failure) -> None:
        """The sender cannot give this piece, so the file is worth nothing."""
        asked = self._expected(Range)
        unit = asked.unit
        assert isinstance(unit, Range)
        if not self._intake.stock.again(self._pair, unit, []):
            # A log that has grown: the next attempt fetches its new end only.
            self._intake.fail_large(unit.large, failure.reason, keep=failure.error == "Changed")
        self._finish(unit)

    def _finish(self, unit: Range) -> None:
        self._asked_bytes -= self._asked.popleft().size
        intake, large = self._intake, unit.large
        self._sizes.done(unit.length, time.monotonic(), packed=False)
        if not intake.stock.done(self._pair, unit):
            return
        if not large.is_whole:
            intake.end_large(large)
            return
        try:
            if large.part is None:  # compared where it stands
                intake.same(large.base, large.node, self._folders)
                return
            large.part.land(self._folders)
        except CannotStore as exc:
            intake.fail(large.base, large.node, str(exc))
            return
        intake.landed(large.base, [large.node])

    def _expected(self, kind: type[Pack] | type[Range]) -> _Asked:
        if not self._asked or not isinstance(self._asked[0].unit, kind):
            raise RemoteProtocolError("peer sent bytes that nobody has asked for")
        return self._asked[0]


_ZEROS: Final = bytes(READ_BYTES)


def _large(asked: _Asked) -> Large:
    assert isinstance(asked.unit, Range)
    return asked.unit.large
