"""Where a tree lands: its folders, small files and links, and a staging folder for what is not whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

from pynet_core.transfer.folder import CannotStore, Folder, cannot, storing
from pynet_core.transfer.folders import FOLDER_FLAGS, Folders, split
from pynet_core.transfer.jail import NOFOLLOW, OPEN_FLAGS, PART_SUFFIX
from pynet_core.transfer.messages import Node
from pynet_core.transfer.options import Fsync
from pynet_core.transfer.tree_part import TreePart, claims_of

if sys.platform != "win32":
    import fcntl

LOCK_WAIT_S: Final = 5.0  # TCP tells within 4 s that a peer has gone
LOCK_POLL_S: Final = 0.05
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | OPEN_FLAGS
_HERE: Final = "cannot be stored here"


def staging_name(key: bytes) -> str:
    return f".{hashlib.sha256(key).hexdigest()[:16]}{PART_SUFFIX}"


class Ground:
    """A folder on this machine in which a tree is being built, and which it closes.  Any thread; close it.

    Paths have passed `check_path`.  What is on its way stands in a staging
    folder at the top, whose name comes from `key`: the same transfer again
    finds what it had, and refuses to run twice at a time.
    """

    def __init__(self, folder: Folder, key: bytes, *, preserve: bool, fsync: Fsync) -> None:
        """Raises:
        CannotStore: The folder takes no files, or this transfer is running already.
        """
        self._folder = folder
        self.fd = folder.fd
        self.fsync = fsync
        self._preserve = preserve
        self._umask = _umask()
        self.fresh: set[bytes] = set()  # folders that we have made: nothing of interest is in them
        self._attributes: list[tuple[bytes, int, int]] = []  # of folders: path, mode, mtime_ns
        self._lock = threading.Lock()
        self._staging_name = staging_name(key)
        self.folds = False  # `a` and `A` are one name here
        self.has_parts = False  # an earlier attempt has left something
        try:
            with storing(f"cannot use the folder {str(folder.path)!r}"):
                self.before = os.fstat(self.fd)
                self.staging = self._open_staging()
                with contextlib.suppress(FileNotFoundError):  # to file systems where it is not, A is a
                    self.folds = bool(os.stat(self._staging_name.upper(), dir_fd=self.fd))
        except BaseException:
            folder.close()
            raise

    def _open_staging(self) -> int:
        """Ours alone from now on.

        A peer that was killed, and is back, need not know how soon its end was
        noticed: so the one before has a few seconds to let go.
        """
        give_up_s = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                os.mkdir(self._staging_name, 0o700, dir_fd=self.fd)
            except FileExistsError:
                self.has_parts = True
            with contextlib.suppress(FileNotFoundError):  # it has just been done with
                fd = os.open(self._staging_name, FOLDER_FLAGS, dir_fd=self.fd)
                if _lock(fd) and self._is_staging(fd):
                    return fd
                os.close(fd)
            if time.monotonic() > give_up_s:
                where = repr(str(self._folder.path))
                raise CannotStore(f"the same files are on their way to {where} already")
            time.sleep(LOCK_POLL_S)

    def _is_staging(self, fd: int) -> bool:
        """And not one that has just been removed."""
        try:
            there = os.stat(self._staging_name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(fd))

    def is_own(self, path: bytes) -> bool:
        """A path that ends with the name of the staging folder."""
        return path.endswith(b"/" + self._staging_name.encode())

    def folder(self, node: Node, folders: Folders) -> None:
        """Make it; its time and permissions come at the end.

        Raises:
            CannotStore: It cannot be made.
        """
        with storing("cannot be stored here"):
            fd = folders.get(node.path)
            if node.path not in self.fresh and (mode := os.fstat(fd).st_mode & 0o7777) & 0o700 != 0o700:
                os.fchmod(fd, mode | 0o700)  # until all is in it
        with self._lock:
            self._attributes.append((node.path, node.mode, node.mtime_ns))

    def present(self, path: bytes, folders: Folders) -> os.stat_result | None:
        """What has this path here already, itself.

        Raises:
            CannotStore: The folder it belongs to cannot be.
        """
        parent, name = split(path)
        if parent in self.fresh:
            return None
        try:
            fd = folders.get(parent)
            if parent in self.fresh:
                return None
        except OSError as exc:
            raise cannot(_HERE, exc) from exc
        try:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise cannot(_HERE, exc) from exc

    def open_present(self, path: bytes, folders: Folders, flags: int = os.O_RDONLY) -> int:
        parent, name = split(path)
        return os.open(name, flags | NOFOLLOW | OPEN_FLAGS, dir_fd=folders.get(parent))

    def refresh(self, node: Node, found: os.stat_result, folders: Folders) -> None:
        """Its contents are right; see to its time and permissions.

        Raises:
            CannotStore: Not ours to change.
        """
        mode_differs = self._preserve and (found.st_mode ^ node.mode) & 0o777
        if not mode_differs and found.st_mtime_ns == node.mtime_ns:
            return
        with storing("cannot be stored here"):
            fd = self.open_present(node.path, folders)
            try:
                self.dress(fd, node)
            finally:
                os.close(fd)

    def write(self, node: Node, data: memoryview, temp: str, folders: Folders) -> None:
        """A whole small file, in one step; `temp` is a name that this thread alone uses.

        Raises:
            CannotStore: The disk is full, or something else is wrong.
        """
        parent, name = split(node.path)
        try:
            folder = folders.get(parent)
            self._fill(temp, node, data)
            self.give_name(temp, folder, name)
        except BaseException as exc:
            with contextlib.suppress(OSError):
                os.unlink(temp, dir_fd=self.staging)
            if isinstance(exc, (OSError, OverflowError)):
                raise cannot(_HERE, exc) from exc
            raise

    def _fill(self, temp: str, node: Node, data: memoryview) -> None:
        mode = node.mode & 0o777 if self._preserve else 0o666
        try:
            fd = os.open(temp, _NEW, mode, dir_fd=self.staging)
        except FileExistsError:  # left by one that was killed
            os.unlink(temp, dir_fd=self.staging)
            fd = os.open(temp, _NEW, mode, dir_fd=self.staging)
        try:
            written = os.write(fd, data)
            while written < len(data):
                written += os.write(fd, data[written:])
            if self._preserve and mode & self._umask:
                os.fchmod(fd, mode)
            os.utime(fd, ns=(node.mtime_ns, node.mtime_ns))
            if self.fsync == "each":
                os.fsync(fd)
        finally:
            os.close(fd)

    def give_name(self, staged: str, folder: int, name: bytes) -> None:
        """In one step; what had that name until now is gone.

        Raises:
            CannotStore: A folder has it.
            OSError: Anything else.
        """
        try:
            os.rename(staged, name, src_dir_fd=self.staging, dst_dir_fd=folder)
        except IsADirectoryError as exc:
            raise CannotStore("cannot be stored here: there is a folder of that name") from exc
        if self.fsync == "each":
            os.fsync(folder)

    def part(self, node: Node) -> TreePart:
        """For a large file.

        Raises:
            CannotStore: The folder takes no such file.
        """
        return TreePart(self, node)

    def claims(self, node: Node) -> deque[tuple[int, int]]:
        """Ranges of a large file, as (offset, length), that an earlier attempt may have brought."""
        return claims_of(self.staging, node) if self.has_parts else deque()

    def link(self, node: Node, folders: Folders) -> None:
        """Raises:
        CannotStore: As `write`.
        """
        parent, name = split(node.path)
        with storing("cannot be stored here"):
            folder = folders.get(parent)
            with contextlib.suppress(FileNotFoundError):
                os.unlink("link", dir_fd=self.staging)
            os.symlink(node.target, "link", dir_fd=self.staging)
            times = (node.mtime_ns, node.mtime_ns)
            os.utime("link", ns=times, dir_fd=self.staging, follow_symlinks=False)
            self.give_name("link", folder, name)

    def dress(self, fd: int, node: Node) -> None:
        """Give an open file its time and permissions."""
        if self._preserve:
            os.fchmod(fd, node.mode & 0o777)
        os.utime(fd, ns=(node.mtime_ns, node.mtime_ns))

    def finish(self, *, is_whole: bool) -> dict[bytes, str]:
        """All has landed: folders get their times, all outlasts a power cut if it is to.

        Returns the folders that could not be dressed, with the reason.  What
        is not needed any more goes; with `is_whole` false parts stay.

        Raises:
            CannotStore: It could not be made to last.
        """
        failed: dict[bytes, str] = {}
        folders = Folders(self)
        try:
            for path, mode, mtime_ns in reversed(self._attributes):
                try:
                    fd = folders.get(path)
                    if self._preserve:
                        os.fchmod(fd, mode & 0o777)
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
                except OSError as exc:
                    failed[path] = exc.strerror or str(exc)
        finally:
            folders.close()
        if is_whole:
            with os.scandir(self.staging) as left:
                for entry in list(left):
                    os.unlink(entry.name, dir_fd=self.staging)
        with contextlib.suppress(OSError):  # not empty: parts for another attempt
            os.rmdir(self._staging_name, dir_fd=self.fd)
        if self.fsync != "none":
            self._folder.sync_all()
        return failed

    def close(self) -> None:
        """Idempotent.  What is on its way stays for another attempt."""
        with self._lock:
            if self.staging >= 0:
                with contextlib.suppress(OSError):
                    os.rmdir(self._staging_name, dir_fd=self.fd)
                os.close(self.staging)
                self.staging = -1
                self._folder.close()


def _lock(fd: int) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _umask() -> int:
    """This process's, without changing it where it can be read."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("Umask:")).split()[1], 8)
    return 0o777  # unknown: set every file's permissions
