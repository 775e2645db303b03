"""Which files a query means: those of a folder, of the roots, or named one by one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.found import unpack_found
from pynet_core.transfer.frames import Link
from pynet_core.transfer.jail import MAX_NAME_BYTES, NoRegularFile, PathRefused, Roots
from pynet_core.transfer.messages import FILE, MAX_PATH_BYTES, Missed, Node, Nodes, Query
from pynet_core.transfer.pattern import Pattern
from pynet_core.transfer.walk import node
from pynet_core.wire import Frame, Kind

MAX_LIST_BYTES: Final = 64 * 1024 * 1024  # of one list: about 300,000 files; it is held as a whole

Found = tuple[bytes, Node | Missed]  # with its base


class ListTooLong(PynetError):
    """More files than one transfer takes."""


def find(query: Query, roots: Roots) -> Iterator[Found]:
    """Each file that is meant, and each thing that cannot be had, with the reason.

    A folder's by name, its own before those of folders in it.  Files asked for
    by path come in the order asked for, each once.

    Raises:
        PathRefused, OSError: The folder cannot be listed.
        BadPattern: The regex is none, or costs too much.
        ListTooLong: It is longer than the other end takes.
    """
    return limited(_find(query, roots))


def limited(found: Iterable[Found]) -> Iterator[Found]:
    """The same, if the other end takes a list so long.

    Raises:
        ListTooLong: It does not.
    """
    left = MAX_LIST_BYTES
    for base, one in found:
        left -= len(base) + len(one.path) + 100  # more than it takes on the wire
        if left < 0:
            raise ListTooLong(f"more than {MAX_LIST_BYTES} B of names; ask for fewer files at a time")
        yield base, one


def receive_list(link: Link) -> tuple[list[Nodes], Frame]:
    """The whole list that the other end sends, and the frame that ends it.

    Raises:
        RemoteProtocolError: It has no end.
    """
    found: list[Nodes] = []
    total = 0
    while (frame := link.receive()).kind == Kind.FOUND:
        found.append(unpack_found(frame))
        total += max(len(frame.body), frame.ident)
        if total > MAX_LIST_BYTES:
            raise RemoteProtocolError(f"peer lists files without end: {total} B, limit {MAX_LIST_BYTES} B")
    return found, frame


def look_at(path: bytes, roots: Roots) -> Found:
    """One file, asked for by its path."""
    try:
        full = roots.full_path(path)
        found = roots.stat(full)
        if not stat.S_ISREG(found.st_mode):
            raise NoRegularFile("is no regular file")
        base, name = os.path.split(path)  # so that it is told under the path it was asked for by
        if name != os.fsencode(full.name):
            return _file(full, found)
        return base, node(name, FILE, found)
    except (OSError, PathRefused, NoRegularFile) as exc:
        return b"", _missed(path, exc)


def _find(query: Query, roots: Roots) -> Iterator[Found]:
    if query.files:
        for path in dict.fromkeys(query.files):
            yield look_at(path, roots)
        return
    pattern = Pattern(query.regex) if query.regex else None
    if query.folder:
        folders = [roots.full_path(query.folder)]
    elif roots.folders is not None:
        folders = [Path(root) for root in roots.folders]
    else:
        raise PathRefused("a regex alone searches the gateway's roots, and it has none: name a folder")
    for folder in folders:
        yield from _walk(folder, query, pattern, roots)


def _file(path: Path, found: os.stat_result) -> Found:
    return os.fsencode(path.parent), node(os.fsencode(path.name), FILE, found)


def _walk(top: Path, query: Query, pattern: Pattern | None, roots: Roots) -> Iterator[Found]:
    todo = [top]
    while todo:
        folder = todo.pop()
        inner: list[Path] = []
        try:
            for path, found in roots.scan(folder):
                if query.recursive and _is_folder(path, found):
                    inner.append(path)
                elif pattern is None or pattern.matches(str(path)):
                    yield _judge(path, found)
        except OSError as exc:
            if folder is top:
                raise
            yield b"", _missed(os.fsencode(folder), exc)
        todo += reversed(inner)


def _is_folder(path: Path, found: os.stat_result | OSError) -> bool:
    """A folder to go into: links to folders lead round in circles, and a longer path could not travel."""
    is_folder = isinstance(found, os.stat_result) and stat.S_ISDIR(found.st_mode)
    return is_folder and not path.is_symlink() and len(os.fsencode(path)) < MAX_PATH_BYTES - MAX_NAME_BYTES


def _judge(path: Path, found: os.stat_result | OSError) -> Found:
    if isinstance(found, os.stat_result) and stat.S_ISREG(found.st_mode):
        try:
            return _file(path, found)
        except PathRefused as exc:
            return os.fsencode(path.parent), _missed(os.fsencode(path), exc)
    # What has gone since the folder was listed was not there to be wanted.
    why = found if isinstance(found, OSError) else None
    if why is None or isinstance(why, FileNotFoundError):
        return os.fsencode(path.parent), _missed(os.fsencode(path), NoRegularFile("is no regular file"))
    return os.fsencode(path.parent), _missed(os.fsencode(path), why)


def _missed(path: bytes, why: Exception) -> Missed:
    reason = (why.strerror if isinstance(why, OSError) else None) or str(why)
    return Missed(path=path, reason=reason, wanted=not isinstance(why, NoRegularFile))
