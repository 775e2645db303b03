"""How far a transfer is, on a terminal: files, bytes, rate, time left, and each pair's share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn
from rich.text import Text

from pynet_core.cli_frame import printable
from pynet_core.transfer.options import OnTreeProgress, TreeProgress

MAX_PAIRS_SHOWN: Final = 8
_PATH_CHARS: Final = 50


@contextlib.contextmanager
def no_progress() -> Iterator[OnTreeProgress | None]:
    yield None


@contextlib.contextmanager
def shown_progress() -> Iterator[OnTreeProgress | None]:
    """Drawn on stderr while it lasts, when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[files]}"),
        DownloadColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Board(progress).show


class _Board:
    """The rows; its owner is the thread that reports progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._whole = progress.add_task("", total=None, files="")
        self._pairs: list[TaskID] = []

    def show(self, now: TreeProgress) -> None:
        path = printable(now.path)
        if len(path) > _PATH_CHARS:
            path = f"...{path[3 - _PATH_CHARS :]}"
        self._progress.update(
            self._whole,
            # Until all is listed nobody knows how long it takes.
            total=now.bytes if now.is_listed else None,
            completed=now.bytes_done,
            description=Text(path).markup,
            files=f"{now.files_done:,}/{now.files:,}{'' if now.is_listed else '+'} files",
        )
        for number, count in enumerate(now.pair_bytes[:MAX_PAIRS_SHOWN]):
            if number == len(self._pairs):
                self._pairs.append(self._progress.add_task(f"  pair {number + 1}", total=None, files=""))
            self._progress.update(self._pairs[number], completed=count)
