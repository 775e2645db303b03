"""Where files land: a folder that is held open, so that no name, and nobody meanwhile, leads out of it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pynet_core.errors import PynetError
from pynet_core.transfer.jail import DIRECTORY, HAS_DIR_FD, NOFOLLOW, OPEN_FLAGS

DEFAULT_FOLDER: Final = "Downloads"
MANY_FILES: Final = 16  # from here on all at once is faster: 1000 files 0.4 s, one by one 1.3 s

_FULL: Final = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_syncfs: Final = ctypes.CDLL(None, use_errno=True).syncfs if sys.platform == "linux" else None


class CannotStore(PynetError):
    """Not in this folder, or not under this name; says why."""


class NoRoom(CannotStore):
    """The disk is full, or what this user may have of it."""


@contextlib.contextmanager
def storing(what: str) -> Iterator[None]:
    """What the system says, as CannotStore."""
    try:
        yield
    except (OSError, OverflowError) as exc:  # the latter: a time that no clock shows
        raise cannot(what, exc) from exc


def cannot(what: str, exc: OSError | OverflowError) -> CannotStore:
    """What the system says, as CannotStore; for where `storing` would take a tenth of the time."""
    kind = NoRoom if getattr(exc, "errno", None) in _FULL else CannotStore
    return kind(f"{what}: {getattr(exc, 'strerror', None) or exc}")


class Folder:
    """A folder on this machine; made if need be.  Close it.

    `path` is its owner's choice, whatever it is.  The `steps` from there come
    from a peer: each is one name, and no link is followed.
    """

    def __init__(self, path: str | os.PathLike[str], steps: Iterable[str] = ()) -> None:
        """Raises:
        CannotStore: There is no such folder and it cannot be made.
        """
        self.path = Path(path).absolute()
        self._fd: int | None = None
        try:
            with storing(f"cannot use the folder {'/'.join([str(self.path), *steps])!r}"):
                self.path.mkdir(parents=True, exist_ok=True)
                if HAS_DIR_FD:
                    self._fd = os.open(self.path, os.O_RDONLY | DIRECTORY | OPEN_FLAGS)
                for step in steps:
                    self._go_down(step)
        except BaseException:
            self.close()
            raise

    def _go_down(self, step: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._at(step), dir_fd=self._fd)
        if self._fd is not None:
            inner = self.open(step, os.O_RDONLY | DIRECTORY)
            os.close(self._fd)
            self._fd = inner
        elif os.path.realpath(self.path / step) != str(Path(os.path.realpath(self.path), step)):
            raise OSError("it leads through a link")
        elif not (self.path / step).is_dir():
            raise OSError("something else has that name")
        self.path /= step

    @property
    def fd(self) -> int:
        """Raises:
        CannotStore: This system opens no folders.
        """
        if self._fd is None:
            raise CannotStore("trees of files cannot land on this system: it opens no folders")
        return self._fd

    def open(self, name: str, flags: int) -> int:
        return os.open(self._at(name), flags | NOFOLLOW | OPEN_FLAGS, 0o666, dir_fd=self._fd)

    def stat(self, name: str) -> os.stat_result | None:
        """What has this name here: itself, not what it may link to.  None when nothing has."""
        try:
            return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def set_mtime(self, fd: int, name: str, mtime_ns: int) -> None:
        os.utime(fd if os.utime in os.supports_fd else self._at(name), ns=(mtime_ns, mtime_ns))

    def rename(self, name: str, to: str) -> None:
        """In one step; what was called `to` until now is gone."""
        os.replace(self._at(name), self._at(to), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._fd)

    def sync(self, names: list[str]) -> None:
        """See to it that these files outlast a power cut.

        Raises:
            CannotStore: They could not be written after all.
        """
        with storing(f"cannot write to {str(self.path)!r}"):
            if len(names) >= MANY_FILES and self._fd is not None and _syncfs is not None:
                if _syncfs(self._fd):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                return
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    _sync(self.open(name, os.O_RDWR))
            if names and self._fd is not None:
                os.fsync(self._fd)

    def sync_all(self) -> None:
        """See to it that all that has been written to this file system outlasts a power cut.

        Raises:
            CannotStore: It could not be written after all.
        """
        with storing(f"cannot write to {str(self.path)!r}"):
            if _syncfs is None:
                os.sync()
            elif _syncfs(self.fd):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        """Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
