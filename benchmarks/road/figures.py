"""What was measured, and how it is shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TRIPS: Final = "failsafe trips"
MOST_TRIPS: Final = "most in a turn"


@dataclass(frozen=True, slots=True)
class Figure:
    """One contestant in one scene; names of the figures say their units."""

    scene: str
    contestant: str
    figures: dict[str, float]


def percentile(times: Sequence[float], share: float) -> float:
    """`share` in [0, 1]; of at least one."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def of_times(times_ms: Sequence[float]) -> dict[str, float]:
    return {
        "p50 ms": percentile(times_ms, 0.5),
        "p99 ms": percentile(times_ms, 0.99),
        "max ms": max(times_ms),
    }


def medians(figures: Sequence[Figure]) -> list[Figure]:
    """Of all rounds of a contestant in a scene, each column's own; of trips the most in one round too."""
    turns: dict[tuple[str, str], list[dict[str, float]]] = {}
    for each in figures:
        turns.setdefault((each.scene, each.contestant), []).append(each.figures)
    figures = []
    for who, found in turns.items():
        middle = {column: statistics.median(turn[column] for turn in found) for column in found[0]}
        if TRIPS in middle:
            middle[MOST_TRIPS] = max(turn[TRIPS] for turn in found)
        figures.append(Figure(*who, middle))
    return figures


def tables(figures: Sequence[Figure]) -> str:
    """One for each scene, in Markdown."""
    lines: list[str] = []
    for scene in dict.fromkeys(each.scene for each in figures):
        rows = [each for each in figures if each.scene == scene]
        columns = list(dict.fromkeys(column for row in rows for column in row.figures))
        head = ["", *columns]
        cells = [[row.contestant, *(_shown(row.figures.get(column)) for column in columns)] for row in rows]
        widths = [max(len(line[at]) for line in [head, *cells]) for at in range(len(head))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines += ["", f"### {scene}", ""]
        for line in [head, rule, *cells]:
            padded = [
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append(f"| {' | '.join(padded)} |")
    return "\n".join(lines[1:]) + "\n"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
