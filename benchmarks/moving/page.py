"""The page of the figures: docs/benchmarks/files.md, its tables and pictures drawn from files.json beside it.

`python -m benchmarks.moving.page` draws them anew; the prose around the tables is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.moving.figures import HEAD, Figure, rows
from benchmarks.moving.goals import GOALS, goals
from benchmarks.moving.goals import HEAD as GOAL_HEAD
from benchmarks.moving.picture import bars, lines
from benchmarks.moving.workloads import workloads

FOLDER: Final = Path(__file__).parent.parent.parent / "docs/benchmarks"
PAGE: Final = "docs/benchmarks/files.md"
FIGURES: Final = FOLDER / "files.json"
BEGIN: Final = "<!-- drawn from files.json from here on -->"
END: Final = "<!-- to here -->"
ORDER: Final = [one.key for one in workloads(quick=False)]


def load() -> list[Figure]:
    """What was measured last."""
    return msgspec.json.decode(FIGURES.read_bytes(), type=list[Figure])


def save(figures: Sequence[Figure]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(msgspec.to_builtins(list(figures)), indent=1) + "\n")


def drawn(figures: Sequence[Figure], page: str) -> dict[str, str]:
    """The files of the page by name, from the page as it was."""
    groups: dict[str, list[Figure]] = {}
    for one in sorted(figures, key=lambda one: ORDER.index(one.workload)):
        groups.setdefault(one.workload, []).append(one)
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2] or "\n"
    text = [BEGIN, "", "### Goals", "", *_table(GOAL_HEAD, goals(GOALS, figures)), ""]
    for group in groups.values():
        text += [f"### {group[0].title}", "", *_markdown(group), ""]
    return {
        "files.md": f"{before}{chr(10).join(text)}{END}{after}",
        "files-speed.svg": bars([group for group in groups.values() if not _by_pairs(group)]),
        "files-pairs.svg": lines([group for group in groups.values() if _by_pairs(group)]),
    }


def draw() -> None:
    page = FOLDER / "files.md"
    for name, text in drawn(load(), page.read_text() if page.exists() else "# Moving files\n\n").items():
        (FOLDER / name).write_text(text)


def _by_pairs(group: Sequence[Figure]) -> bool:
    return sum(" pair" in one.mover for one in group) > 1


def _markdown(group: Sequence[Figure]) -> list[str]:
    counts = sorted({one.rounds for one in group if not one.problem})
    said = f"{'-'.join(map(str, counts))} rounds" if counts else "nobody did it"
    return [f"{said}, medians; times are those of the whole run.", "", *_table(HEAD, rows(group))]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    draw()
