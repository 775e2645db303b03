"""What was measured, and a table of it.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.moving.mover import Mtime

_TIMES: Final[dict[str, str]] = {"ns": "ns", "s": "seconds", "lost": "lost"}
HEAD: Final = (
    *("contestant", "s", "from-to", "x rsync daemon", "x, fastest runs"),
    *("files/s", "MB/s", "CPU s", "times kept"),
)
BASE: Final = "rsync daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one contestant did with one workload: medians over the rounds."""

    workload: str
    title: str
    mover: str
    took_s: float  # 0 when it has a problem
    low_s: float
    high_s: float
    speed: float  # times rsync's daemon, each round's own; 0 when that is not here
    cpu_move_s: float  # processor time of the asking end
    cpu_serve_s: float
    rounds: int
    files: int
    total_bytes: int
    mtime: Mtime
    problem: str = ""  # why it is left out


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """Cells of a table, as HEAD names them; the fastest first, then who was left out."""
    cells: list[tuple[str, ...]] = []
    base_s = next((one.low_s for one in figures if one.mover == BASE and not one.problem), 0.0)
    for one in sorted(figures, key=lambda one: (bool(one.problem), one.took_s)):
        if one.problem:
            cells.append((one.mover, one.problem, "", "", "", "", "", "", ""))
            continue
        cells.append(
            (
                one.mover,
                f"{one.took_s:.3f}",
                f"{one.low_s:.3f}-{one.high_s:.3f}",
                f"{one.speed:.2f}" if one.speed else "",
                f"{base_s / one.low_s:.2f}" if base_s else "",
                f"{one.files / one.took_s:,.0f}",
                f"{one.total_bytes / one.took_s / 1e6:,.1f}",
                f"{one.cpu_move_s:.2f} + {one.cpu_serve_s:.2f}",
                _TIMES[one.mtime],
            )
        )
    return cells


def table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    lines = [f"\n{figures[0].title}, {max(one.rounds for one in figures)} rounds"]
    cells = [HEAD, *rows(figures)]
    widths = [max(len(row[column]) for row in cells if row[2]) for column in range(len(HEAD))]
    for row in cells:
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines)
