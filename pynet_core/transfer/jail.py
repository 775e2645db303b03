"""The path jail: names a file may land under, and what a gateway's peers may read.

Names from a peer are checked as text, then opened below a descriptor of the
folder they belong to, following no link: what a name says and what another
process does to the folder meanwhile cannot lead out of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pynet_core.errors import PynetError

PART_SUFFIX: Final = ".pynet.part"
MAX_NAME_BYTES: Final = 255  # of every file system there is

WINDOWS: Final = os.name == "nt"
HAS_DIR_FD: Final = {os.open, os.stat, os.mkdir, os.unlink, os.rename} <= os.supports_dir_fd  # not on Windows
# A FIFO must not make us wait, nor a terminal become ours.
OPEN_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_DEVICES: Final = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    port + digit for port in ("COM", "LPT") for digit in "0123456789¹²³"
}


class PathRefused(PynetError):
    """This name or path may not be used; says what is wrong with it."""


class NoRegularFile(PynetError):
    """A folder, device, pipe or socket, or a link where none is followed."""


def landing_name(name: bytes, *, windows: bool = WINDOWS) -> str:
    """The name that a peer gives a file, if it is one and nothing else.

    Raises:
        PathRefused: It could lead elsewhere, here or on another system.
    """
    try:
        text = os.fsdecode(name)
    except UnicodeDecodeError as exc:
        raise PathRefused("has a name that this system cannot store") from exc
    if text in ("", ".", ".."):
        raise PathRefused(f"has {text!r} for a name")
    if len(name) > MAX_NAME_BYTES:
        raise PathRefused(f"has a name of {len(name)} B, limit {MAX_NAME_BYTES} B")
    if bad := {"/", "\\", "\0"}.intersection(text):
        raise PathRefused(f"has {bad.pop()!r} in its name")
    if text[1:2] == ":" and text[0].isascii() and text[0].isalpha():
        raise PathRefused("begins like a drive")
    if text.casefold().endswith(PART_SUFFIX):
        raise PathRefused("is named like the part of an unfinished transfer")
    if windows and (set(text) & set('<>:"|?*') or min(text) < " " or text[-1] in ". " or _is_device(text)):
        raise PathRefused("has a name that Windows keeps for itself")
    return text


def folder_parts(folder: str) -> tuple[str, ...]:
    """The steps of a relative path from a peer, outermost first; none for ''.

    Raises:
        PathRefused: It is not relative, or could lead elsewhere.
    """
    if folder.startswith("/"):
        raise PathRefused("is not relative")
    try:
        return tuple(landing_name(os.fsencode(part)) for part in folder.split("/") if part not in ("", "."))
    except UnicodeEncodeError as exc:
        raise PathRefused("has a name that this system cannot store") from exc


def part_name(name: str) -> str:
    """What an unfinished `name` is called, on all attempts alike."""
    if len(os.fsencode(name)) + len(PART_SUFFIX) <= MAX_NAME_BYTES:
        return name + PART_SUFFIX
    return hashlib.sha256(os.fsencode(name)).hexdigest() + PART_SUFFIX


def without_dots(path: bytes) -> bytes:
    """The same place on this machine without `..` in it, though there are links on the way."""
    if b".." not in path.split(b"/"):
        return path
    above, _, name = path.rstrip(b"/").rpartition(b"/")
    full = os.path.realpath(path) if name == b".." else os.path.realpath(above or b"/") + b"/" + name
    return full + b"/" * path.endswith(b"/")


def _is_device(name: str) -> bool:
    """NUL, aux.c, COM1.tar.gz ...: on Windows these are no files, in whatever folder."""
    return name.partition(".")[0].rstrip(" ").upper() in _DEVICES


def _full(root: str | os.PathLike[str]) -> Path:
    """Without `..`: paths from peers have none."""
    return Path(os.path.normpath(Path(root).absolute()))


class Roots:
    """The folders below which a gateway's peers may read; None: all that its user may.

    Below a root no link is followed, wherever it leads.  Without roots links
    are followed, as by any program of that user.
    """

    def __init__(self, roots: Iterable[str | os.PathLike[str]] | None) -> None:
        self._roots = None if roots is None else [_full(root) for root in roots]

    @property
    def folders(self) -> list[str] | None:
        """The roots themselves."""
        return None if self._roots is None else [str(root) for root in self._roots]

    def full_path(self, path: bytes) -> Path:
        """The path from a peer as one of ours; a relative one begins where this process does.

        Raises:
            PathRefused: It has `..` or NUL in it.
        """
        try:
            full = Path(os.fsdecode(path)).absolute()
        except UnicodeDecodeError as exc:
            raise PathRefused("is no path of this system") from exc
        if ".." in full.parts or "\0" in str(full):
            raise PathRefused("has '..' or NUL in it")
        return full

    def stat(self, path: Path) -> os.stat_result:
        """What is there.

        Raises:
            PathRefused: Outside the roots.
            OSError: Nothing, or nothing that we may see.
        """
        with self._parent(path) as (name, parent):
            return os.stat(name, dir_fd=parent, follow_symlinks=self._roots is None or parent is None)

    def lstat(self, path: Path) -> os.stat_result:
        """As `stat`, but of a link itself."""
        with self._parent(path) as (name, parent):
            return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def open(self, path: Path) -> int:
        """A descriptor of a regular file, for reading; the caller closes it.

        Raises:
            PathRefused: Outside the roots.
            NoRegularFile: Something else is there.
            OSError: Nothing is there, or nothing that we may read.
        """
        follow = 0 if self._roots is None else NOFOLLOW
        if not stat.S_ISREG(self.stat(path).st_mode):  # first: opening a device may already do something
            raise NoRegularFile("is no regular file")
        with self._parent(path) as (name, parent):
            fd = os.open(name, os.O_RDONLY | follow | OPEN_FLAGS, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NoRegularFile("is no regular file")
        return fd

    def open_folder(self, path: Path) -> int:
        """A descriptor of a folder; the caller closes it.  Where folders can be opened (`HAS_DIR_FD`).

        Raises:
            PathRefused: Outside the roots.
            OSError: No folder, or none that we may see.
        """
        with self._parent(path) as (name, parent):
            follow = 0 if self._roots is None or name == "." else NOFOLLOW
            return os.open(name, os.O_RDONLY | DIRECTORY | follow | OPEN_FLAGS, dir_fd=parent)

    def scan(self, folder: Path) -> Iterator[tuple[Path, os.stat_result | OSError]]:
        """What is in a folder, by name; an OSError where it cannot be seen.

        Raises:
            PathRefused: Outside the roots.
            OSError: No folder, or none that we may list.
        """
        here: int | None = None
        try:
            if HAS_DIR_FD:
                here = self.open_folder(folder)
            else:
                with self._parent(folder):
                    pass
            with os.scandir(folder if here is None else here) as entries:
                names = sorted(entry.name for entry in entries)
            for name in names:
                try:
                    found = os.stat(
                        folder / name if here is None else name,
                        dir_fd=here,
                        follow_symlinks=self._roots is None,
                    )
                except OSError as exc:
                    yield folder / name, exc
                else:
                    yield folder / name, found
        finally:
            if here is not None:
                os.close(here)

    @contextlib.contextmanager
    def _parent(self, path: Path) -> Iterator[tuple[str, int | None]]:
        """The last step of a path, and a descriptor of the folder it is to be taken from.

        Raises:
            PathRefused: Outside the roots.
            OSError: No such folder, or a link on the way.
        """
        if self._roots is None:
            yield str(path), None
            return
        root = next((root for root in self._roots if path.is_relative_to(root)), None)
        if root is None:
            raise PathRefused("is outside the folders that this gateway opens to its peers")
        *steps, name = path.relative_to(root).parts or (".",)
        if not HAS_DIR_FD:
            if Path(os.path.realpath(path)) != Path(os.path.realpath(root), *steps, name):
                raise PathRefused("leads through a link")
            yield str(path), None
            return
        fd = os.open(root, os.O_RDONLY | DIRECTORY | OPEN_FLAGS)
        try:
            for step in steps:
                inner = os.open(step, os.O_RDONLY | DIRECTORY | NOFOLLOW | OPEN_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield name, fd
        finally:
            os.close(fd)
