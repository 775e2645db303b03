"""Pictures of `benchmarks.messages`: leads over raw sockets, and how times and ages are spread.  Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.contestants import BINS, BINS_PER_DECADE
from benchmarks.messages_figures import Figure, number
from benchmarks.svg import FAINT, GRID, INK, WIDTH, rect, svg, text

COLOURS: Final = {
    "raw": "#8c959f",
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
RAMP: Final = " .:-=+*#@"  # from nothing to as many as in the fullest bin
# px: two columns of tests
TOP, ROW, GAP, NAMES = 68, 14, 30, 92
LEAD_PX: Final = 50  # for the number to the right of a bar
TIMES_PX: Final = 84


def leads(figures: Sequence[Figure]) -> str:
    """Leads as bars on a logarithmic axis, to the right of raw sockets what is better than they are."""
    drawn = [one for one in figures if one.lead > 0 and one.contestant in COLOURS and one.contestant != "raw"]
    logs = [math.log10(one.lead) for one in drawn]
    first, last = math.floor(min(logs, default=0)), max(1, math.ceil(max(logs, default=0)))

    def bar(one: Figure, x_of: Callable[[float], float], y: float) -> list[str]:
        ends = sorted((x_of(0), x_of(math.log10(one.lead))))
        colour = COLOURS[one.contestant]
        return [rect(ends[0], y + 2, max(1, ends[1] - ends[0]), ROW - 4, colour)]

    return _columns(
        sorted(drawn, key=lambda one: -one.lead),
        dict.fromkeys(one.test for one in drawn),
        title="Times better than raw Python sockets, which are at 1, in the same round; logarithmic",
        axis=[(power, f"{10.0**power:g}", INK if power == 0 else GRID) for power in range(first, last + 1)],
        draw=bar,
        told=lambda one: f"{one.lead:.2f}",
        told_px=LEAD_PX,
    )


def spreads(figures: Sequence[Figure]) -> str:
    """How many took how long, for each contestant by itself: as high as in its fullest bin."""
    drawn = [one for one in figures if any(one.counts) and one.contestant in COLOURS]
    used = [number for one in drawn for number, count in enumerate(one.counts) if count]
    first = min(used, default=0) // BINS_PER_DECADE
    last = max(first + 1, -(-(max(used, default=0) + 1) // BINS_PER_DECADE))

    def ridge(one: Figure, x_of: Callable[[float], float], y: float) -> list[str]:
        most, foot = max(one.counts), y + ROW - 1
        steps = [f"M{x_of(first):.1f} {foot}"]
        for bin_, count in enumerate(one.counts):
            if count:
                height = max(0.7, (ROW - 2) * count / most)  # one among thousands is seen
                ends = (x_of(bin_ / BINS_PER_DECADE), x_of((bin_ + 1) / BINS_PER_DECADE))
                steps.append(f"H{ends[0]:.1f}V{foot - height:.1f}H{ends[1]:.1f}V{foot}")
        return [f'<path d="{"".join(steps)}Z" fill="{COLOURS[one.contestant]}"/>']

    units = ("1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s")
    return _columns(
        drawn,
        dict.fromkeys(one.test for one in drawn),
        title="How long round trips took and how old items were: all rounds, logarithmic; p50 / p99",
        axis=[(power, units[power], GRID) for power in range(first, last + 1)],
        draw=ridge,
        told=lambda one: f"{number(one.p50_us)} / {number(one.p99_us)}",
        told_px=TIMES_PX,
    )


def _columns(
    drawn: Sequence[Figure],
    tests: Sequence[str] | dict[str, None],
    *,
    title: str,
    axis: Sequence[tuple[int, str, str]],
    draw: Callable[[Figure, Callable[[float], float], float], list[str]],
    told: Callable[[Figure], str],
    told_px: float,
) -> str:
    """Two columns, a group for each test, a row for each contestant; `axis`: power of ten, words, colour."""
    column = WIDTH / 2
    first, last = axis[0][0], axis[-1][0]
    scale = (column - NAMES - told_px) / (last - first)
    body: list[str] = []
    heights = []
    for side in range(2):
        left, y = side * column, TOP
        rows: list[str] = []

        def x_of(power: float, left: float = left) -> float:
            return left + NAMES + (power - first) * scale

        for test in list(tests)[side::2]:
            rows.append(text(left + 12, y + 8, test, weight="600"))
            y += 14
            for one in (one for one in drawn if one.test == test):
                rows += [
                    text(left + NAMES - 6, y + 11, one.contestant, anchor="end", fill=FAINT),
                    *draw(one, x_of, y),
                    text(left + column - 10, y + 11, told(one), anchor="end"),
                ]
                y += ROW
            y += GAP - 14
        heights.append(y)
        for power, said, colour in axis:
            body += [
                f'<path d="M{x_of(power):.1f} {TOP - 8}V{y - 10}" stroke="{colour}"/>',
                text(x_of(power), TOP - 14, said, anchor="middle", fill=FAINT),
            ]
        body += rows
    return svg(max(heights), title, body)


def strip(counts: Sequence[int]) -> str:
    """The same in a line of letters, one a bin."""
    most = max(counts, default=0)
    marks = len(RAMP) - 1
    filled = [RAMP[0 if not count else max(1, round(marks * count / most))] for count in counts]
    return "".join(filled).ljust(BINS)
