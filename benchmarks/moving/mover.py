"""One way to move a tree of files: the command of the end that serves, and of the end that asks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Mtime = Literal["ns", "s", "lost"]
APT: Final = "apt-get install"


@dataclass(frozen=True, slots=True)
class Job:
    """What is moved: `source` to `target`, which is there and empty."""

    source: Path
    target: Path
    work: Path  # settings and keys of the contestants; theirs to fill
    host: str  # where the serving end listens, and nobody else does
    port: int
    up: bool = False  # the asking end has the source


@dataclass(frozen=True, slots=True)
class Mover:
    """A contestant.  A command that prints `took SECONDS` is believed, others are timed from start to end."""

    name: str
    move: Callable[[Job], list[str]]
    serve: Callable[[Job], list[str]] | None = None  # None: nobody serves, both folders are here
    lacks: Callable[[], str] = lambda: ""  # what to type to have it; '' when it is here
    goes_up: bool = False
    mtime: Mtime = "ns"  # of the files that arrive
    flat: bool = False  # all files land in one folder
    one_file: bool = False  # the whole tree arrives as one file, in the order of its names
    environment: tuple[tuple[str, str], ...] = ()


def needs(*programs: str, package: str) -> Callable[[], str]:
    """What to type when one of these programs is not here."""

    def lacks() -> str:
        return "" if all(find(program) for program in programs) else f"{APT} {package}"

    return lacks


def find(program: str) -> str | None:
    """Its path; daemons are where only root looks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
