"""The end that wants a tree: judges what is listed, shares it among pairs, counts what becomes of it."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.compression import Advisor
from pynet_core.transfer.digest import agree, digest_at
from pynet_core.transfer.folder import CannotStore, storing
from pynet_core.transfer.folders import Folders, check_path
from pynet_core.transfer.jail import PathRefused
from pynet_core.transfer.landing import Landing
from pynet_core.transfer.limit import Limit
from pynet_core.transfer.messages import FILE, FOLDER, Node, Nodes
from pynet_core.transfer.options import MAX_NAMED, Compress, Moved, Select, miss
from pynet_core.transfer.part import Part
from pynet_core.transfer.plan import as_text, joined
from pynet_core.transfer.stock import SMALL_BYTES, Stock
from pynet_core.transfer.tree_part import gaps_between
from pynet_core.transfer.units import Large, Pack
from pynet_core.transfer.walk import shown

Arrived = Callable[[bytes, Node], object]  # base, and what has landed


class WithinItself(PynetError):
    """A tree that holds the folder it is to land in; says which."""


def within_itself(path: bytes) -> WithinItself:
    return WithinItself(f"{as_text(path)!r} is where it lands: leave that out, or choose another folder")


class Intake:
    """One transfer of files into a ground.

    One thread calls `found` with what the sender lists, then `end_of_list`;
    each pair's thread runs `bring`.  Whoever owns it calls `finish` or `stop`
    when they have come back, and closes the ground.
    """

    def __init__(
        self,
        ground: Landing,
        *,
        checksum: bool = False,
        links: bool = True,
        sparse: bool = True,
        moves: bool = False,
        select: Select | None = None,
        arrived: Arrived | None = None,
        limit: Limit | None = None,
        compress: Compress = "never",
        most_named: int = MAX_NAMED,
    ) -> None:
        self.ground = ground
        self.stock = Stock()
        self.moved = Moved()
        self.found_files = 0
        self.found_bytes = 0
        self.done_bytes = 0  # of all files, those that were here already too
        self.pair_bytes: list[int] = []
        self._carriers: dict[int, int] = {}  # their numbers as pairs
        self.now_path = b""  # a file that moves just now
        self.is_listed = False
        self.digest = ""
        self.writing = threading.Lock()  # one writer of small files: more are slower
        self.arrived = arrived or (lambda base, node: None)
        self.limit = limit or Limit(None)
        self.advisor = Advisor(compress)
        self._most_named = most_named
        self._checksum = checksum
        self._links = links
        self._sparse = sparse
        self._moves = moves
        self._select = select
        self._unselected = b""  # a folder that is not wanted, with its slash
        self._here = b""  # the full path of what may be the folder that it lands in, found in the tree
        self._names: dict[str, bytes] = {}  # where `a` and `A` are one name
        self._lister = Folders(ground)
        self._count = threading.Lock()
        self._began_s = time.monotonic()

    def amounts(self) -> tuple[int, int | None]:
        """Bytes that are done, and how many are left, None while that is not known."""
        return self.done_bytes, self.found_bytes - self.done_bytes if self.is_listed else None

    # The list

    def found(self, nodes: Nodes) -> None:
        """Some of what the sender has; waits while too much is waiting.

        Raises:
            RemoteProtocolError: It knows no digest that we know.
            WithinItself: The tree holds the folder that it lands in.
        """
        digest = agree(nodes.digests)
        if digest is None:
            raise RemoteProtocolError("peer lists files without a digest that we know")
        self.digest = digest
        self.advisor.agree(nodes.codecs)
        small: list[Node] = []
        for node in nodes.nodes:
            if self.stock.is_stopped:
                return
            try:
                if self._judge(nodes.base, node):
                    small.append(node)
            except (CannotStore, PathRefused) as exc:
                self._missed(as_text(joined(nodes.base, node.path)), str(exc), wanted=True)

        for one in nodes.missed:
            if self._here and one.path.startswith(self._here) and self.ground.is_own(one.path):
                raise within_itself(self._here)
            self._missed(as_text(one.path), one.reason, wanted=one.wanted)
        self.stock.add_small(nodes.base, small)

    def end_of_list(self) -> None:
        """No more of it comes; if that was all, whoever knows sets `is_listed`."""
        self._lister.close()
        self.stock.end_of_list()

    def _judge(self, base: bytes, node: Node) -> bool:
        """True for a small file that is to be fetched; all else is seen to."""
        check_path(node.path)
        if self._select is not None and not self._is_selected(node):
            return False
        if self.ground.folds and node.kind != FOLDER:
            name = unicodedata.normalize("NFC", as_text(node.path)).casefold()
            if (first := self._names.setdefault(name, node.path)) != node.path:
                raise CannotStore(f"has a name that is one with {as_text(first)!r} here")
        if node.kind == FILE:
            return self._judge_file(base, node)
        if node.kind == FOLDER:
            if (before := self.ground.before) and node.inode == before.st_ino:
                self._here = joined(base, node.path)
                if node.ctime_ns == before.st_ctime_ns:  # listed before we have touched it
                    raise within_itself(self._here)
            self.ground.folder(node, self._lister)
            self.moved.folders += 1
        elif not self._links:
            raise PathRefused("is a link, and none were asked for")
        elif b"\0" in node.target:
            raise PathRefused("is a link to a name with NUL in it")
        else:
            self.ground.link(node, self._lister)
            self.moved.links += 1
        return False

    def _is_selected(self, node: Node) -> bool:
        assert self._select is not None
        if self._unselected and node.path.startswith(self._unselected):
            return False
        if self._select(shown(node)):
            return True
        if node.kind == FOLDER:
            self._unselected = node.path + b"/"
        return False

    def _judge_file(self, base: bytes, node: Node) -> bool:
        self.found_files += 1
        self.found_bytes += node.size
        there = self.ground.present(node.path, self._lister)
        if self._moves and there and (there.st_ino, there.st_ctime_ns) == (node.inode, node.ctime_ns):
            raise CannotStore("is the very file that it would be moved to")
        compare = False
        if there is not None and stat.S_ISREG(there.st_mode) and there.st_size == node.size:
            compare = self._checksum
            if not compare and there.st_mtime_ns == node.mtime_ns:
                with contextlib.suppress(CannotStore):  # then it is fetched: to take its place needs less
                    self.ground.refresh(node, there, self._lister)
                    self._same(base, node)
                    return False
        if node.size <= SMALL_BYTES:
            return True
        claims: deque[tuple[int, int]] = deque()
        if compare:
            claims.append((0, node.size))
        else:
            claims = self.ground.claims(node)
        gaps = gaps_between(claims, node.size)
        self.stock.add_large(Large(base, node, claims, gaps, compares=compare))
        return False

    # What the pairs bring

    def enter(self, source: int, carrier: int | None) -> int:
        """One more pair brings, from this source; its number, that of before when it is `carrier` again."""
        with self._count:
            new = len(self.pair_bytes)
            pair = new if carrier is None else self._carriers.setdefault(carrier, new)
            if pair == new:
                self.pair_bytes.append(0)
        self.stock.enter(pair, source)
        return pair

    def leave(self, pair: int) -> None:
        """It brings nothing more; what it held is for the others."""
        for large in self.stock.give_back(pair):
            self.end_large(large)

    def wants(self, pack: Pack, folders: Folders) -> list[bytes]:
        """For each small file the digest of what stands in its place; b'' for one to be fetched anyhow."""
        if not self._checksum:
            return [b""] * len(pack.nodes)
        have = []
        for node in pack.nodes:
            try:
                there = self.ground.present(node.path, folders)
                comparable = there and stat.S_ISREG(there.st_mode) and there.st_size == node.size
                have.append(self.digest_of_present(node, folders) if comparable else b"")
            except CannotStore:
                have.append(b"")
        return have

    def digest_of_present(self, node: Node, folders: Folders) -> bytes:
        """Of what has this path here; b'' when it has just changed."""
        with storing("cannot be read back"):
            fd = self.ground.open_present(node.path, folders)
            try:
                return digest_at(self.digest, fd, 0, node.size) or b""
            finally:
                os.close(fd)

    def make_hole(self, large: Large, offset: int, length: int) -> None:
        """Zeros, stored or not as is asked for.

        Raises:
            CannotStore, OSError: The disk's.
        """
        part = self.part_of(large)
        if self._sparse:
            part.make_hole(offset, length)
        else:
            part.fill(offset, length)

    def part_of(self, large: Large) -> Part:
        """Raises:
        CannotStore: It cannot be opened.
        """
        with self._count:
            if large.part is None:
                large.part = self.ground.part(large.node)
            part: Part = large.part
            return part

    # What has become of it

    def same(self, base: bytes, node: Node, folders: Folders) -> None:
        """It stands here already, verified.

        Raises:
            CannotStore: Its time or permissions cannot be set.
        """
        there = self.ground.present(node.path, folders)
        if there is None:
            raise CannotStore("was here already, but has been removed meanwhile")
        self.ground.refresh(node, there, folders)
        self._same(base, node)

    def _same(self, base: bytes, node: Node) -> None:
        with self._count:
            self.moved.same += 1
            self.done_bytes += node.size
        self.arrived(base, node)

    def landed(self, base: bytes, nodes: list[Node]) -> None:
        """These have their names."""
        with self._count:
            self.moved.files += len(nodes)
            self.moved.bytes += sum(node.size for node in nodes)
        for node in nodes:
            self.arrived(base, node)

    def wire(self, count: int) -> None:
        """So many bytes of files have come off the wire, compressed or not."""
        with self._count:
            self.advisor.come(count, time.monotonic())

    def come(self, pair: int, path: bytes, size: int, *, brought: bool = True) -> None:
        """So many bytes of this file have come; or they stood here, and are what the sender has."""
        with self._count:
            self.pair_bytes[pair] += size if brought else 0
            self.done_bytes += size
        self.now_path = path

    def fail(self, base: bytes, node: Node, reason: str) -> None:
        """It does not arrive, and why."""
        self._missed(as_text(joined(base, node.path)), reason, wanted=True)

    def fail_large(self, large: Large, reason: str, *, keep: bool) -> None:
        """No more of this one; `keep` its part for another attempt."""
        if self.stock.drop(large, keep=keep):
            self.fail(large.base, large.node, reason)

    def spoil_large(self, large: Large, reason: str) -> None:
        """No more of this one: it cannot be stored here, or has come corrupted.  Others may have its room."""
        self.fail_large(large, reason, keep=False)

    def end_large(self, large: Large) -> None:
        """It has failed and nobody writes to it: only now its part may be closed."""
        if large.part is not None:
            large.part.abandon(keep=large.keep)
        self.stock.ended()

    def _missed(self, path: str, reason: str, *, wanted: bool) -> None:
        with self._count:
            miss(self.moved, path, reason, wanted=wanted, most=self._most_named)

    # The end

    def finish(self) -> Moved:
        """All pairs have come back, and all has been brought or given up.

        Raises:
            CannotStore: It cannot be made to outlast a power cut.
        """
        keeps = any(self.moved.failed)
        for path, reason in self.ground.finish(is_whole=not keeps).items():
            self._missed(as_text(path), reason, wanted=True)
        return self.result()

    def result(self) -> Moved:
        """As far as it has come."""
        self.moved.seconds = time.monotonic() - self._began_s
        self.moved.pair_bytes = tuple(self.pair_bytes)
        return self.moved

    def stop(self) -> None:
        """Nothing more is wanted.  Any thread; pairs that wait for their peer go on waiting."""
        self.limit.stop()
        self.stock.stop()

    def close(self) -> None:
        """All pairs have come back: give everything back.  Parts stay for another attempt."""
        self._lister.close()
        self.stock.close(lambda large: large.part and large.part.abandon(keep=True))
        with contextlib.suppress(CannotStore):
            self.ground.close()
