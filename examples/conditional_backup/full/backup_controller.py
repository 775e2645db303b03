"""The machine with room: when the other's storage is over 75 % full, takes its oldest files, down to 25 %.

    python backup_controller.py BACKUP_FOLDER [--gateway ADDRESS] [--port 1857]

Nothing is deleted over there that is not whole and verified here.  What could
not be moved is named, others are moved in its place, and the exit status is 1.
Run it again after whatever has gone wrong: it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import pynet
import pynet.backend2 as bk

FULL: Final = 0.75  # of the capacity: move files when more than this is used
ENOUGH: Final = 0.25  # until no more than this is
UNFINISHED: Final = ".unfinished"  # stands in the backup while a run lasts, and after one that was killed


class OldFile(NamedTuple):
    path: str  # over there
    size: int  # bytes
    mtime_ns: int


def back_up(client: pynet.Client, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Move what must be moved into the folder; returns it, and what could not be moved and why."""
    moved: list[str] = []
    left: dict[str, str] = {}
    unfinished = folder / UNFINISHED
    used, capacity = ask(client, "usage")
    if used <= FULL * capacity and not unfinished.exists():
        return moved, left
    folder.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    while used > ENOUGH * capacity:
        files = [file for one in ask(client, "oldest_first") if (file := OldFile(*one)).path not in left]
        for file in files:
            if in_the_way(file, folder):
                left[file.path] = "another file of its name is in the backup"
        chosen = just_enough([file for file in files if file.path not in left], used - ENOUGH * capacity)
        if not chosen:
            break
        try:
            arrived: list[str] = client.get_files_from_gateway(files=[file.path for file in chosen])
        except pynet.FilesInterrupted:
            raise  # nothing has been deleted; the next run goes on from here
        except pynet.FilesError as exc:
            arrived = exc.arrived
            left |= exc.failed
        there = {Path(file.path).name: file.path for file in chosen}
        for here in arrived:
            path = there[Path(here).name]
            try:
                remove(client, path, Path(here))
                moved.append(here)
            except pynet.SubroutineError as exc:
                left[path] = exc.reason
        used, capacity = ask(client, "usage")
    unfinished.unlink()
    return moved, left


def ask(client: pynet.Client, name: str) -> Any:
    return bk.from_bytes(bk.DataType.list, client.get_subroutine_batch(name))


def just_enough(files: list[OldFile], excess: float) -> list[OldFile]:
    """As many from the beginning as free that many bytes, and not one more."""
    chosen: list[OldFile] = []
    for file in files:
        if excess <= 0:
            break
        chosen.append(file)
        excess -= file.size
    return chosen


def in_the_way(file: OldFile, folder: Path) -> bool:
    """A log of the same name was backed up before, and this is another one: it may not take its place."""
    here = folder / Path(file.path).name
    if not here.exists():
        return False
    found = here.stat()
    return (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns)


def remove(client: pynet.Client, path: str, here: Path) -> None:
    """Delete it over there, if it is byte for byte what is here."""
    with here.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    client.get_subroutine_batch("remove", [path, digest])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gateway", default="", help="without it: this machine")
    parser.add_argument("--port", type=int, default=1857)
    options = parser.parse_args()
    controller = pynet.Controller(options.gateway, options.port, download_dir=str(options.folder))
    with controller.get_client() as client:
        moved, left = back_up(client, options.folder)
    bk.safe_print(len(moved), "files moved to", options.folder)
    for path, reason in left.items():
        bk.safe_print("not moved:", path, reason)
    return 1 if left else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except pynet.LinkError as exc:
        sys.exit(str(exc))
