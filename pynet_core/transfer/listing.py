"""Which files a query means: those of a folder, of the roots, or named one by one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pynet_core.transfer.jail import MAX_NAME_BYTES, NoRegularFile, PathRefused, Roots
from pynet_core.transfer.messages import MAX_PATH_BYTES, Missed, Offered, Query
from pynet_core.transfer.pattern import Pattern
from pynet_core.transfer.sender import version_of


def find(query: Query, roots: Roots) -> Iterator[Offered | Missed]:
    """Each file that is meant, and each thing that cannot be had, with the reason.

    A folder's by name, its own before those of folders in it.  Files asked for
    by path come in the order asked for, each once.

    Raises:
        PathRefused, OSError: The folder cannot be listed.
        BadPattern: The regex is none, or costs too much.
    """
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


def _offer_of(path: Path, found: os.stat_result) -> Offered:
    return Offered(path=os.fsencode(path), name=os.fsencode(path.name), version=version_of(found))


def _walk(top: Path, query: Query, pattern: Pattern | None, roots: Roots) -> Iterator[Offered | Missed]:
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
            yield _missed(os.fsencode(folder), exc)
        todo += reversed(inner)


def _is_folder(path: Path, found: os.stat_result | OSError) -> bool:
    """A folder to go into: links to folders lead round in circles, and a longer path could not travel."""
    is_folder = isinstance(found, os.stat_result) and stat.S_ISDIR(found.st_mode)
    return is_folder and not path.is_symlink() and len(os.fsencode(path)) < MAX_PATH_BYTES - MAX_NAME_BYTES


def _judge(path: Path, found: os.stat_result | OSError) -> Offered | Missed:
    if isinstance(found, os.stat_result) and stat.S_ISREG(found.st_mode):
        return _offer_of(path, found)
    # What has gone since the folder was listed was not there to be wanted.
    if isinstance(found, OSError) and not isinstance(found, FileNotFoundError):
        return _missed(os.fsencode(path), found)
    return _missed(os.fsencode(path), NoRegularFile("is no regular file"))


def look_at(path: bytes, roots: Roots) -> Offered | Missed:
    try:
        full = roots.full_path(path)
        found = roots.stat(full)
    except (OSError, PathRefused) as exc:
        return _missed(path, exc)
    if not stat.S_ISREG(found.st_mode):
        return _missed(path, NoRegularFile("is no regular file"))
    # Under the path it was asked for by: the receiver knows it by that.
    return Offered(path=path, name=os.fsencode(full.name), version=version_of(found))


def _missed(path: bytes, why: Exception) -> Missed:
    reason = (why.strerror if isinstance(why, OSError) else None) or str(why)
    return Missed(path=path, reason=reason, wanted=not isinstance(why, NoRegularFile))
