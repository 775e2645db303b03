"""The page of `benchmarks.messages`: goals, tables and pictures; the prose around them is by hand."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.marks import placed
from benchmarks.messages_figures import Figure, goals, number, under_tls
from benchmarks.messages_pictures import leads, spreads

PAGE: Final = Path(__file__).parent.parent / "docs/benchmarks/messages.md"
LEADS: Final = "messages.svg"  # beside it, as the other
SPREADS: Final = "messages-times.svg"
GOALS_BEGIN: Final = "<!-- goals: written by ./run bench messages --page -->"
BEGIN: Final = "<!-- written by ./run bench messages --page from here on -->"


def conditions(command: str, rounds: int, load: float, versions: Mapping[str, str]) -> str:
    """Where and when it was measured, now that it has been."""
    after = f" before and {os.getloadavg()[0]:.1f} after" if load else ""
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"`{command.strip()}`, {time.strftime('%Y-%m-%d')}, medians of {rounds} rounds; "
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), load {load:.1f}{after}; "
        f"Python {platform.python_version()}{', ' * bool(libraries)}{libraries}."
    )


def write(figures: Sequence[Figure], said: str) -> None:
    """All three files, where they are."""
    page = placed(PAGE.read_text(), "\n".join(goals(figures)) + "\n", GOALS_BEGIN)
    PAGE.write_text(placed(page, section(figures, said), BEGIN))
    PAGE.with_name(LEADS).write_text(leads(figures))
    PAGE.with_name(SPREADS).write_text(spreads(figures))


def section(figures: Sequence[Figure], said: str) -> str:
    """The tables, in Markdown."""
    timed = [one for one in figures if one.p99_us]
    return "\n".join(
        [
            "## Every contestant",
            "",
            said,
            "Each library is used as its own documentation says for such a job (`benchmarks/contestants`),",
            "over plain TCP, under `cubic` and without delay; `-`: it did not come to an end.",
            "",
            f"![Leads over raw sockets]({LEADS})",
            "",
            "### Results",
            "",
            *_table(figures, lambda one: number(one.value), lambda one: f"{one.test}, {one.unit}"),
            "",
            "### Leads: times better than raw sockets",
            "",
            *_table(figures, lambda one: f"{one.lead:.2f}"),
            "",
            "### Under TLS",
            "",
            "Nobody else has TLS here: not raw sockets either.",
            "",
            *under_tls(figures),
            "",
            "### CPU of both ends for each message, us",
            "",
            *_table(figures, lambda one: number(one.cpu_us)),
            "",
            "### p50 / p99 of round trips and ages, us",
            "",
            *_table(timed, lambda one: f"{number(one.p50_us)} / {number(one.p99_us)}"),
            "",
            f"![How times and ages are spread]({SPREADS})",
            "",
        ]
    )


def _table(
    figures: Sequence[Figure],
    cell: Callable[[Figure], str],
    title: Callable[[Figure], str] = lambda one: one.test,
) -> list[str]:
    """A row for each test, a column for each contestant."""
    names = list(dict.fromkeys(one.contestant for one in figures))
    rows: dict[str, dict[str, str]] = {}
    for one in figures:
        rows.setdefault(title(one), {})[one.contestant] = cell(one)
    return [
        f"| | {' | '.join(names)} |",
        f"|---|{'--:|' * len(names)}",
        *(f"| {row} | {' | '.join(cells.get(name, '-') for name in names)} |" for row, cells in rows.items()),
    ]
