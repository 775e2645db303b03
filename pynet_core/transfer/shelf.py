"""Where a sender's files stand: opens what lies below a base, following no link there unless it may."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Self

from pynet_core.errors import PynetError
from pynet_core.transfer.jail import (
    DIRECTORY,
    HAS_DIR_FD,
    NOFOLLOW,
    OPEN_FLAGS,
    NoRegularFile,
    PathRefused,
    Roots,
)
from pynet_core.transfer.plan import joined

KEPT_FOLDERS: Final = 64  # open at a time: those of one pack, and the way to them

_FOLDER: Final = os.O_RDONLY | DIRECTORY | NOFOLLOW | OPEN_FLAGS
_FILE: Final = os.O_RDONLY | NOFOLLOW | OPEN_FLAGS

# Raises PathRefused for a base and path that nobody has offered.
Admit = Callable[["Shelf", bytes, bytes, os.stat_result], object]


class Changed(PynetError):
    """The file is not the one that was found any more."""


class Shelf:
    """Folders stay open from one file to the next.  One thread's; close it.

    `roots` says which bases may be; the way from a base down is the peer's, and
    each step of it is a name and no link.  `follows`: but the last may be a
    link, for a peer that may read everything.
    """

    def __init__(
        self,
        roots: Roots,
        admit: Admit | None = None,
        *,
        follows: bool = False,
    ) -> None:
        self._roots = roots
        self._admit = admit
        self._follows = follows
        self._open: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()

    def folder(self, base: bytes, path: bytes) -> int:
        """A descriptor of the folder `path` below `base`; ours, and good until the next call.

        Raises:
            PathRefused: Outside the roots, or with steps that are none.
            OSError: No such folder, or a link on the way.
        """
        missing: list[bytes] = []  # the innermost first; no recursion: paths have up to 2000 steps
        while path and (base, path) not in self._open and not self._is_root(base, path):
            missing.append(path)
            path = path.rpartition(b"/")[0]
        if (fd := self._open.get((base, path))) is None:
            full = self._roots.full_path(joined(base, path) if path else base)
            fd = self._keep(base, path, self._roots.open_folder(full))
        else:
            self._open.move_to_end((base, path))
        while missing:
            path = missing.pop()
            name = checked(path.rpartition(b"/")[2])
            fd = self._keep(base, path, os.open(name, _FOLDER, dir_fd=fd))
        return fd

    def _keep(self, base: bytes, path: bytes, fd: int) -> int:
        self._open[base, path] = fd
        if len(self._open) > KEPT_FOLDERS:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def place(self, base: bytes, path: bytes) -> tuple[int, bytes]:
        """The folder that something is in, and its name there.

        Raises:
            PathRefused, OSError: As `folder`.
        """
        parent, _, name = path.rpartition(b"/")
        return self.folder(base, parent), checked(name)

    def look(self, base: bytes, path: bytes) -> os.stat_result:
        """What is there itself, not what it may link to.

        Raises:
            PathRefused, OSError: As `folder`.
        """
        if self._is_root(base, path):
            return os.fstat(self.folder(base, path))
        folder, name = self.place(base, path)
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _is_root(self, base: bytes, path: bytes) -> bool:
        """A root as a source that lands under its own name: what it stands in nobody may see."""
        if not path or b"/" in path or self._roots.folders is None:
            return False
        return str(self._roots.full_path(joined(base, checked(path)))) in self._roots.folders

    def open(self, base: bytes, path: bytes) -> tuple[int, os.stat_result]:
        """A descriptor of a regular file, and its state before that; the caller closes it.

        Raises:
            NoRegularFile: Something else is there.
            PathRefused, OSError: As `folder`.
        """
        if not HAS_DIR_FD:
            return self._open_by_path(base, path)
        try:
            folder, name = self.place(base, path)
        except PermissionError:
            if not self._follows:
                raise
            return self._open_by_path(base, path)  # a folder may let through who may not read it
        found = os.stat(name, dir_fd=folder, follow_symlinks=self._follows)
        if self._admit is not None:
            self._admit(self, base, path, found)
            folder = self.place(base, path)[0]  # it may have closed the folder
        if not stat.S_ISREG(found.st_mode):  # first: opening a device may already do something
            raise NoRegularFile("is no regular file")
        return os.open(name, OPEN_FLAGS if self._follows else _FILE, dir_fd=folder), found

    def _open_by_path(self, base: bytes, path: bytes) -> tuple[int, os.stat_result]:
        full = self._roots.full_path(joined(base, path))
        found = self._roots.stat(full)
        if self._admit is not None:
            self._admit(self, base, path, found)
        return self._roots.open(full), found

    def close(self) -> None:
        """Idempotent."""
        while self._open:
            os.close(self._open.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def checked(name: bytes) -> bytes:
    """One step of a path.

    Raises:
        PathRefused: It is none.
    """
    if name in (b"", b".", b"..") or b"\0" in name:
        raise PathRefused(f"has the step {name!r} in its path")
    return name
