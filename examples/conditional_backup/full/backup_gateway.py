"""The machine whose storage fills up: says how full it is, and gives its oldest files away.

    python backup_gateway.py FOLDER [--port 1857] [--capacity BYTES]

How full is a question with many answers, so it is an argument of `offer`: a
function that gives (used, capacity) in bytes.  Here it is the disk's, or with
--capacity what the files in the folder take of that many bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pynet
import pynet.backend2 as bk

Usage = Callable[[], tuple[int, int]]  # used, capacity; in bytes


def offer(gateway: pynet.Gateway, folder: Path, usage: Usage) -> None:
    """Let controllers of role admin see what is there, and have verified files removed."""
    gateway.add_subroutine("usage", lambda: bk.to_bytes(bk.DataType.list, list(usage())), role="admin")
    gateway.add_subroutine("oldest_first", partial(oldest_first, folder), role="admin")
    gateway.add_subroutine("remove", partial(remove, folder), role="admin")


def oldest_first(folder: Path) -> bytes:
    """[path, bytes, mtime in ns] of each file, the oldest first."""
    files = sorted((found.st_mtime_ns, str(path), found.st_size) for path, found in regular_files(folder))
    return bk.to_bytes(bk.DataType.list, [(path, size, mtime_ns) for mtime_ns, path, size in files])


def remove(folder: Path, path: str, sha256: str) -> bytes:
    """Delete a file of the folder if its bytes are still those that the controller has.

    Raises:
        ValueError: They are not, or it is a file of another folder.
    """
    if Path(path).parent != folder:
        raise ValueError(f"{path!r} is not in {str(folder)!r}")
    with Path(path).open("rb") as file:
        before = os.fstat(file.fileno())
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise ValueError(f"{path!r} is another one by now")
        if Path(path).stat().st_ctime_ns != before.st_ctime_ns:  # written to while we read it
            raise ValueError(f"{path!r} has just changed")
    Path(path).unlink()
    bk.safe_print("removed", path)
    return b""


def regular_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            yield path, path.stat()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=1857)
    parser.add_argument("--capacity", type=int, help="bytes; without it, the disk's")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not folder.is_dir():
        parser.error(f"there is no folder {folder}")

    def usage() -> tuple[int, int]:
        if options.capacity:
            return sum(found.st_size for _, found in regular_files(folder)), options.capacity
        disk = shutil.disk_usage(folder)
        return disk.used, disk.total

    gateway = pynet.Gateway(options.port, roots=[folder])  # nobody reads anything else
    offer(gateway, folder, usage)
    bk.safe_print(f"gives away files of {folder} on port {options.port}", flush=True)
    gateway.start(blocking=True)


if __name__ == "__main__":
    try:
        main()
    except pynet.LinkError as exc:
        sys.exit(str(exc))
