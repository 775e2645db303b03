"""Folders below the place where a tree lands: paths from a peer, and folders kept open."""

from __future__ import annotations

import contextlib
import os
import re
from collections import OrderedDict
from typing import Final, Protocol

from pynet_core.transfer.jail import DIRECTORY, NOFOLLOW, OPEN_FLAGS, PathRefused, folder_parts
from pynet_core.transfer.plan import as_text

KEPT_FOLDERS: Final = 32  # open at a time, in each thread
FOLDER_FLAGS: Final = os.O_RDONLY | DIRECTORY | NOFOLLOW | OPEN_FLAGS
# The everyday path: what it matches is harmless on every system, save for names of parts.
_STEP: Final = rb"[A-Za-z0-9_][A-Za-z0-9_+=@,.-]{0,99}"
_PLAIN: Final = re.compile(rb"%s(?:/%s)*" % (_STEP, _STEP))


class Top(Protocol):
    """Where it lands."""

    @property
    def fd(self) -> int: ...
    @property
    def fresh(self) -> set[bytes]: ...


def check_path(path: bytes) -> None:
    """A relative path from a peer leads to one place below the folder it belongs to.

    Raises:
        PathRefused: Or it does not; says why.
    """
    if not path:
        raise PathRefused("has no path")
    if _PLAIN.fullmatch(path) and b".pynet.part" not in path.lower():
        return
    text = as_text(path)
    steps = folder_parts(text)
    if "/".join(steps) != text:  # an empty step or a dot
        raise PathRefused("has a step in its path that is none")


def split(path: bytes) -> tuple[bytes, bytes]:
    parent, _, name = path.rpartition(b"/")
    return parent, name


class Folders:
    """Folders below the top, kept open from one file to the next.  One thread's; close it."""

    def __init__(self, top: Top) -> None:
        self._top = top
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def get(self, path: bytes) -> int:
        """A descriptor of this folder, made if need be; ours, and good until the next call.

        Raises:
            OSError: It cannot be made, or a link or a file has its name.
        """
        missing: list[bytes] = []  # the innermost first; no recursion: paths have up to 2000 steps
        while path and path not in self._open:
            missing.append(path)
            path = split(path)[0]
        fd = self._top.fd
        if path:
            fd = self._open[path]
            self._open.move_to_end(path)
        while missing:
            fd = self._go_down(fd, missing.pop())
        return fd

    def _go_down(self, above: int, path: bytes) -> int:
        name = split(path)[1]
        try:
            fd = os.open(name, FOLDER_FLAGS, dir_fd=above)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o777, dir_fd=above)
                self._top.fresh.add(path)
            fd = os.open(name, FOLDER_FLAGS, dir_fd=above)
        self._open[path] = fd
        if len(self._open) > KEPT_FOLDERS:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def close(self) -> None:
        """Idempotent."""
        while self._open:
            os.close(self._open.popitem()[1])
