"""The page of `benchmarks.messages`: tables and a picture; the prose around them is by hand."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.svg import FAINT, GRID, INK, WIDTH, rect, svg, text

PAGE: Final = Path(__file__).parent.parent / "docs/benchmarks/messages.md"
PICTURE: Final = "messages.svg"  # beside it
BEGIN: Final = "<!-- written by ./run bench messages --page from here on -->"
END: Final = "<!-- to here -->"
COLOURS: Final = {
    "pynet": "#0969da",
    "pynet TLS": "#54aeff",
    "pyzmq": "#d1242f",
    "pynetwork": "#57606a",
    "zenoh": "#1a7f37",
    "grpc": "#8250df",
    "rpyc": "#c45c00",
    "pyro5": "#bf3989",
    "pynng": "#9a6700",
    "websockets": "#1b7c83",
}
# px, of the picture: two columns of tests
TOP, ROW, GAP, NAMES, VALUES = 68, 14, 30, 92, 50


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contestant did in one test: medians over the rounds."""

    test: str
    contestant: str
    unit: str
    value: float
    cpu_us: float  # of both ends together, for each message; 0 where it is not known
    p50_us: float  # 0 where it is a rate
    p99_us: float
    lead: float  # over raw sockets, each round's own


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
    """Both files, where they are."""
    PAGE.write_text(placed(PAGE.read_text(), section(figures, said)))
    PAGE.with_name(PICTURE).write_text(picture(figures))


def placed(page: str, section: str) -> str:
    """The page with this between the marks, at its end when it has none."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2] or "\n"
    return f"{before}{BEGIN}\n\n{section}\n{END}{after}"


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
            f"![Leads over raw sockets]({PICTURE})",
            "",
            "### Results",
            "",
            *_table(figures, lambda one: _number(one.value), lambda one: f"{one.test}, {one.unit}"),
            "",
            "### Leads: times better than raw sockets",
            "",
            *_table(figures, lambda one: f"{one.lead:.2f}"),
            "",
            "### CPU of both ends for each message, us",
            "",
            *_table(figures, lambda one: _number(one.cpu_us)),
            "",
            "### p50 / p99 of round trips and ages, us",
            "",
            *_table(timed, lambda one: f"{_number(one.p50_us)} / {_number(one.p99_us)}"),
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


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def picture(figures: Sequence[Figure]) -> str:
    """Leads as bars on a logarithmic axis, to the right of raw sockets what is better than they are."""
    drawn = [one for one in figures if one.lead > 0 and one.contestant in COLOURS]
    groups = [[one for one in drawn if one.test == test] for test in dict.fromkeys(one.test for one in drawn)]
    logs = [math.log10(one.lead) for one in drawn]
    first, last = math.floor(min(logs, default=0)), max(1, math.ceil(max(logs, default=0)))
    column = WIDTH / 2
    scale = (column - NAMES - VALUES) / (last - first)

    def x_of(lead: float) -> float:
        return NAMES + (math.log10(lead) - first) * scale

    body: list[str] = []
    heights = []
    for number in range(2):
        left, y = number * column, TOP
        bars: list[str] = []
        for group in groups[number::2]:
            bars.append(text(left + 12, y + 8, group[0].test, weight="600"))
            y += 14
            for one in sorted(group, key=lambda one: -one.lead):
                ends = sorted((x_of(1), x_of(one.lead)))
                bars += [
                    text(left + NAMES - 6, y + 11, one.contestant, anchor="end", fill=FAINT),
                    rect(left + ends[0], y + 2, max(1, ends[1] - ends[0]), ROW - 4, COLOURS[one.contestant]),
                    text(left + column - 10, y + 11, f"{one.lead:.2f}", anchor="end"),
                ]
                y += ROW
            y += GAP - 14
        heights.append(y)
        for power in range(first, last + 1):
            x, colour = left + x_of(10.0**power), GRID if power else INK
            body += [
                f'<path d="M{x:.1f} {TOP - 8}V{y - 10}" stroke="{colour}"/>',
                text(x, TOP - 14, f"{10.0**power:g}", anchor="middle", fill=FAINT),
            ]
        body += bars
    title = "Times better than raw Python sockets, which are at 1, in the same round; logarithmic"
    return svg(max(heights), title, body)
