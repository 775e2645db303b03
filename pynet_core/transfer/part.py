"""One file on its way: a part that is written and verified piece by piece, and renamed when it is whole."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from typing import Final

from pynet_core.errors import PynetError
from pynet_core.transfer.digest import digest_at
from pynet_core.transfer.folder import CannotStore, Folder, storing
from pynet_core.transfer.jail import WINDOWS, part_name
from pynet_core.transfer.messages import Version
from pynet_core.transfer.positions import write_at

if sys.platform != "win32":
    import fcntl

_ATTEMPTS: Final = 4  # to open it; each removes what the one before has found in its place

FileId = tuple[int, int]  # device and inode


class Corrupted(PynetError):
    """What stands in the part is not what was sent."""


class Part:
    """The part of one file, locked: a second transfer of that name is refused while this one lasts.

    It may hold what an earlier transfer left.  End it by `land` or `abandon`.
    """

    def __init__(self, folder: Folder, name: str, version: Version) -> None:
        """Raises:
        CannotStore: The folder takes no such file, or it is being written already.
        """
        self._folder = folder
        self._name = name
        self._version = version
        self._part = part_name(name)
        with storing("cannot be stored here"):
            self._fd = self._open()

    def digest(self, digest: str, offset: int, length: int) -> bytes:
        """Of this piece as it stands here; b'' when the part is shorter than that."""
        with storing("cannot be read back"):
            return digest_at(digest, self._fd, offset, length) or b""

    def write(self, offset: int, data: memoryview, digest: str, expected: bytes) -> None:
        """Put these bytes in their place, and read them back.

        Raises:
            CannotStore: The disk is full, or fails.
            Corrupted: Their digest is not the expected one.
        """
        with storing("cannot be stored here"):
            # What is nothing but zeros at the end stays a hole, as in a disk image or a database.
            if (
                data
                and not data[0]
                and bytes(data) == bytes(len(data))
                and offset >= os.fstat(self._fd).st_size
            ):
                os.ftruncate(self._fd, offset + len(data))
            else:
                write_at(self._fd, data, offset)
        if self.digest(digest, offset, len(data)) != expected:
            raise Corrupted("arrived corrupted")

    def land(self, landed: dict[FileId, str]) -> FileId:
        """Whole: give it its time and its name, in place of what had that name before.

        `landed` is what has arrived together with it, which it may not replace:
        there are file systems to which `a` and `A` are one name.

        Raises:
            CannotStore: It cannot have that name; the part is gone.
        """
        try:
            with storing("cannot be stored here"):
                os.ftruncate(self._fd, self._version.size)  # an earlier part may have been longer
                self._folder.set_mtime(self._fd, self._part, self._version.mtime_ns)
                if there := self._folder.stat(self._name):
                    if stat.S_ISDIR(there.st_mode):
                        raise CannotStore("cannot be stored here: there is a folder of that name")
                    if twin := landed.get((there.st_dev, there.st_ino)):
                        raise CannotStore(f"cannot be stored here: {twin!r} has just taken that name")
                itself = os.fstat(self._fd)
                if WINDOWS:  # renames no open file; elsewhere the lock guards the part until it has gone
                    self._close()
                self._folder.rename(self._part, self._name)
        except CannotStore:
            self.abandon(keep=False)
            raise
        self._close()
        return itself.st_dev, itself.st_ino

    def abandon(self, *, keep: bool) -> None:
        """Give up; `keep` what there is for another attempt."""
        with contextlib.suppress(OSError):
            if not keep or not os.fstat(self._fd).st_size:
                self._folder.remove(self._part)
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        for _ in range(_ATTEMPTS):
            try:
                fd = self._folder.open(self._part, os.O_RDWR | os.O_CREAT)
            except OSError:
                there = self._folder.stat(self._part)
                if there is None or not stat.S_ISLNK(there.st_mode):
                    raise
                self._folder.remove(self._part)  # the link, not where it leads
                continue
            try:
                if sys.platform != "win32":
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                itself, there = os.fstat(fd), self._folder.stat(self._part)
                if there and os.path.samestat(itself, there):
                    if stat.S_ISREG(itself.st_mode) and itself.st_nlink <= 1:
                        return fd
                    self._folder.remove(self._part)  # a pipe, or somebody's file under a second name
            except BlockingIOError:
                os.close(fd)
                raise CannotStore("is being written by another transfer") from None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # its last owner has just renamed it
        raise CannotStore("cannot be stored here: somebody keeps putting things in the way")
