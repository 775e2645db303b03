"""Removing files, below one folder and following no link."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pynet_core.errors import FilesError
from pynet_core.transfer.asking import StrPath
from pynet_core.transfer.jail import PathRefused, Roots
from pynet_core.transfer.messages import Doomed, Missed, Remove
from pynet_core.transfer.plan import as_text
from pynet_core.transfer.shelf import Changed, Shelf


def remove(request: Remove, base: bytes, roots: Roots) -> Iterator[Missed | None]:
    """Remove each; None for one that has gone, else why not.  No link is followed."""
    with Shelf(roots) as shelf:
        for doomed in request.things:
            try:
                _remove(shelf, base, doomed, recursive=request.recursive)
            except RecursionError:
                yield Missed(path=doomed.path, reason="has too many folders in each other: not all have gone")
            except (OSError, PathRefused, Changed) as exc:
                reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
                yield Missed(path=doomed.path, reason=reason)
            else:
                yield None


def remove_here(paths: Sequence[str], folder: StrPath) -> int:
    """Remove these below a folder here; folders only when they are empty.  Returns how many have gone.

    Raises:
        FilesError: Some could not be removed.
    """
    base = os.fsencode(Path(folder).absolute())
    request = Remove(base=base, landed=False, things=[Doomed(os.fsencode(path)) for path in paths])
    found = list(remove(request, base, Roots([folder])))
    return told(len(found), {as_text(one.path): one.reason for one in found if one is not None})


def told(count: int, failed: dict[str, str]) -> int:
    """Of so many, how many have gone.

    Raises:
        FilesError: Some have not.
    """
    if failed:
        raise FilesError(failed, what=f"{len(failed)} of {count} could not be removed")
    return count


def _remove(shelf: Shelf, base: bytes, doomed: Doomed, *, recursive: bool) -> None:
    folder, name = shelf.place(base, doomed.path)
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if doomed.inode and not _is_as_it_was(found, doomed):
        raise Changed("has changed since it was read: kept")
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=folder)
    elif recursive:
        shutil.rmtree(
            name, dir_fd=folder
        )  # by descriptors: what is swapped for a link meanwhile is not followed
    else:
        os.rmdir(name, dir_fd=folder)


def _is_as_it_was(found: os.stat_result, doomed: Doomed) -> bool:
    now = found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
    return now == (doomed.size, doomed.mtime_ns, doomed.ctime_ns, doomed.inode)
