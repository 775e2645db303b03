"""What a transfer consists of: which file lands under which name, in which pieces.  Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pynet_core.errors import FilesError
from pynet_core.transfer.jail import PathRefused, landing_name
from pynet_core.transfer.messages import Missed, Offered, Version

# Small enough that a killed transfer, a dead pair or a cancel costs little; 4 MiB are a second of bad Wi-Fi.
PIECE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    file: int  # index in the plan
    offset: int  # bytes
    length: int  # bytes; 0 only for an empty file


@dataclass(frozen=True, slots=True)
class Planned:
    """One file of a transfer."""

    path: bytes  # at the sender
    name: str  # in the receiver's folder
    version: Version


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is; what `on_progress` is called with, after each step."""

    path: str  # the file that this step was about, where it comes from
    files_done: int  # arrived, or given up
    files: int
    bytes_done: int  # of files given up too, as far as they came
    bytes: int


def plan(offered: Iterable[Offered]) -> tuple[list[Planned], list[Missed]]:
    """The files to fetch, in the order offered, and those whose name may not be used here.

    Raises:
        FilesError: Two of them would land under one name; nothing has moved.
    """
    planned: list[Planned] = []
    refused: list[Missed] = []
    by_name: dict[str, Offered] = {}
    twins: dict[str, str] = {}
    for one in offered:
        try:
            name = landing_name(one.name)
        except PathRefused as exc:
            refused.append(Missed(path=one.path, reason=str(exc)))
            continue
        if name in by_name:
            twins[as_text(one.path)] = f"lands under the same name as {as_text(by_name[name].path)}"
            continue
        by_name[name] = one
        planned.append(Planned(one.path, name, one.version))
    if twins:
        raise FilesError(twins, what="two files of one name, nothing was moved; fetch them one by one")
    return planned, refused


def cut(file: int, size: int, piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """Pieces that cover [0, size) exactly, in order; one of no length for an empty file.

    One at a time: a peer may claim any size.
    """
    if not size:
        yield Piece(file, 0, 0)
    for offset in range(0, size, piece_bytes):
        yield Piece(file, offset, min(piece_bytes, size - offset))


def count(size: int, piece_bytes: int = PIECE_BYTES) -> int:
    """How many pieces `cut` makes."""
    return max(1, -(-size // piece_bytes))


def as_text(path: bytes) -> str:
    """The path for people, and for `os` calls on a system like this one."""
    try:
        return os.fsdecode(path)
    except UnicodeDecodeError:  # Windows
        return path.decode(errors="replace")
