"""Files side by side in one folder, each `NAME.pynet.part` until it is whole.

The simple transfers, over one pair.  Needs no more of a system than files, so
Windows will do.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections import deque
from typing import Final

from pynet_core.transfer.folder import CannotStore, Folder, storing
from pynet_core.transfer.folders import Folders
from pynet_core.transfer.jail import WINDOWS, PathRefused, landing_name, part_name
from pynet_core.transfer.messages import Node
from pynet_core.transfer.part import Part
from pynet_core.transfer.positions import write_at

if sys.platform != "win32":
    import fcntl

# Small enough that a killed transfer costs little; 4 MiB are a second of bad Wi-Fi.
PIECE_BYTES: Final = 4 * 1024 * 1024
_ATTEMPTS: Final = 4  # to open a part; each removes what the one before has found in its place
_HERE: Final = "cannot be stored here"

FileId = tuple[int, int]  # device and inode


class Flat:
    """A folder on this machine, which it closes.  One thread's; close it.

    `keeps_parts`: what has come of a file stays for another attempt.  Times
    are kept, permissions not.
    """

    folds = False  # it looks itself, when a file takes its name
    before = None

    def __init__(self, folder: Folder, *, keeps_parts: bool) -> None:
        self.store = folder
        self.keeps_parts = keeps_parts
        self.fresh: set[bytes] = set()
        self._landed: dict[FileId, str] = {}

    @property
    def fd(self) -> int:
        return self.store.fd

    def folder(self, node: Node, folders: Folders) -> None:
        """Raises:
        PathRefused: Always.
        """
        raise PathRefused("is no regular file")

    link = folder

    def is_own(self, path: bytes) -> bool:
        """Nothing: it has no staging folder."""
        return False

    def present(self, path: bytes, folders: Folders) -> os.stat_result | None:
        """What has this name here already, itself.

        Raises:
            PathRefused: It is no name, or one that may not be used.
            CannotStore: It cannot be looked at.
        """
        with storing("cannot be looked at"):
            return self.store.stat(landing_name(path))

    def open_present(self, path: bytes, folders: Folders) -> int:
        return self.store.open(landing_name(path), os.O_RDONLY)

    def refresh(self, node: Node, found: os.stat_result, folders: Folders) -> None:
        """Its contents are right; see to its time.

        Raises:
            CannotStore: Not ours to change, or not what was compared.
        """
        if not stat.S_ISREG(found.st_mode) or found.st_size != node.size:
            raise CannotStore("was here already, but has been changed meanwhile")
        name = landing_name(node.path)
        if found.st_mtime_ns != node.mtime_ns:
            with storing(_HERE):
                fd = self.store.open(name, os.O_RDONLY)
                try:
                    self.store.set_mtime(fd, name, node.mtime_ns)
                finally:
                    os.close(fd)
        self._landed[found.st_dev, found.st_ino] = name

    def write(self, node: Node, data: memoryview, temp: str, folders: Folders) -> None:
        """A whole small file.

        Raises:
            CannotStore: The disk is full, or something else is wrong.
        """
        part = self.part(node)
        try:
            with storing(_HERE):
                write_at(part.fd, data, 0)
        except BaseException:
            part.abandon(keep=False)
            raise
        part.land(folders)

    def part(self, node: Node) -> FlatPart:
        """Raises:
        CannotStore: The folder takes no such file, or it is being written already.
        """
        return FlatPart(self, node)

    def claims(self, node: Node) -> deque[tuple[int, int]]:
        """Pieces of a large file, as (offset, length), of which an earlier attempt may have left the bytes.

        Raises:
            CannotStore: What is there cannot be looked at.
        """
        with storing("cannot be looked at"):
            there = self.store.stat(part_name(landing_name(node.path)))
        here = there.st_size if there is not None and stat.S_ISREG(there.st_mode) else 0
        starts = range(0, min(here, node.size), PIECE_BYTES)
        pieces = ((start, min(PIECE_BYTES, node.size - start)) for start in starts)
        return deque((start, length) for start, length in pieces if start + length <= here)

    def take_name(self, part: str, name: str) -> None:
        """In one step; what had that name until now is gone, unless it has landed together with this one.

        There are file systems to which `a` and `A` are one name.

        Raises:
            CannotStore: That, or a folder has it.
            OSError: Anything else.
        """
        if there := self.store.stat(name):
            if stat.S_ISDIR(there.st_mode):
                raise CannotStore(f"{_HERE}: there is a folder of that name")
            if twin := self._landed.get((there.st_dev, there.st_ino)):
                raise CannotStore(f"{_HERE}: {twin!r} has just taken that name")
        itself = self.store.stat(part)
        self.store.rename(part, name)
        if itself is not None:
            self._landed[itself.st_dev, itself.st_ino] = name

    def finish(self, *, is_whole: bool) -> dict[bytes, str]:
        """See to it that what has landed outlasts a power cut.

        Raises:
            CannotStore: It could not be written after all.
        """
        self.store.sync(list(self._landed.values()))
        return {}

    def close(self) -> None:
        """Idempotent."""
        self.store.close()


class FlatPart(Part):
    """Locked: a second transfer of that name is refused while this one lasts.

    It may hold what an earlier transfer has left, which its content tells.
    """

    def __init__(self, flat: Flat, node: Node) -> None:
        """Raises:
        CannotStore: The folder takes no such file, or it is being written already.
        """
        self._flat = flat
        self._node = node
        self._name = landing_name(node.path)
        self._part = part_name(self._name)
        with storing(_HERE):
            super().__init__(self._open())

    def verified(self, offset: int, length: int) -> None:
        """Another attempt compares it again."""

    def land(self, folders: Folders) -> None:
        """Whole: give it its length, time and name.

        Raises:
            CannotStore: It cannot have that name; the part is gone.
        """
        try:
            with storing(_HERE):
                os.ftruncate(self.fd, self._node.size)  # an earlier part may have been longer
                self._flat.store.set_mtime(self.fd, self._part, self._node.mtime_ns)
                if WINDOWS:  # renames no open file; elsewhere the lock guards the part until it has gone
                    self._close()
                self._flat.take_name(self._part, self._name)
        except BaseException:
            self.abandon(keep=False)
            raise
        self._close()

    def abandon(self, *, keep: bool) -> None:
        """Give up; `keep` what there is for another attempt, if any is kept.  Idempotent."""
        if self.fd >= 0:
            with contextlib.suppress(OSError):
                if not (keep and self._flat.keeps_parts and os.fstat(self.fd).st_size):
                    self._flat.store.remove(self._part)
        self._close()

    def _close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _open(self) -> int:
        store = self._flat.store
        for _ in range(_ATTEMPTS):
            try:
                fd = store.open(self._part, os.O_RDWR | os.O_CREAT)
            except OSError:
                there = store.stat(self._part)
                if there is None or not stat.S_ISLNK(there.st_mode):
                    raise
                store.remove(self._part)  # the link, not where it leads
                continue
            try:
                if sys.platform != "win32":
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                itself, there = os.fstat(fd), store.stat(self._part)
                if there and os.path.samestat(itself, there):
                    if stat.S_ISREG(itself.st_mode) and itself.st_nlink <= 1:
                        return fd
                    store.remove(self._part)  # a pipe, or somebody's file under a second name
            except BlockingIOError:
                os.close(fd)
                raise CannotStore("is being written by another transfer") from None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # its last owner has just renamed it
        raise CannotStore(f"{_HERE}: somebody keeps putting things in the way")
