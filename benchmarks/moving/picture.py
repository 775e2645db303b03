"""Pictures of figures, as SVG.  Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from benchmarks.moving.figures import Figure
from benchmarks.svg import FAINT, GRID, INK, WIDTH, rect, svg, text

OURS, BASE, OTHERS = "#0969da", "#57606a", "#b6bec7"
COLOURS: Final = ("#0969da", "#c45c00", "#1a7f37", "#8250df", "#d1242f", "#57606a")
# px, as all that follow
ROW, GAP, LEFT, RIGHT, TOP = 18, 34, 190, 60, 46
LONGEST: Final = 3.0  # times the base: longer bars are cut and say how long they are
CHART_HEIGHT: Final = 320


def bars(groups: Sequence[Sequence[Figure]]) -> str:
    """How fast everybody was, a bar each, in groups; the base's speed is a line through all."""
    body: list[str] = []
    y = TOP
    scale = (WIDTH - LEFT - RIGHT) / LONGEST
    for group in groups:
        seen = sorted((one for one in group if one.speed), key=lambda one: -one.speed)
        if not seen:
            continue
        body.append(text(12, y + 2, group[0].title, weight="600"))
        y += 12
        for one in seen:
            length = min(one.speed, LONGEST) * scale
            body.append(text(LEFT - 8, y + 13, one.mover, anchor="end", fill=FAINT))
            body.append(rect(LEFT, y + 2, length, ROW - 5, _colour(one)))
            body.append(text(LEFT + length + 6, y + 13, f"{one.speed:.2f}"))
            y += ROW
        y += GAP - 10
    one_x = LEFT + scale
    axis = f'<path d="M{one_x:.1f} {TOP}V{y - 10}" stroke="{INK}" stroke-dasharray="3 3"/>'
    return svg(y, "Speed, times rsync's daemon in the same round", [*body, axis])


def _colour(one: Figure) -> str:
    return (
        OURS
        if one.mover.startswith("pynet") and "2.4" not in one.mover
        else BASE
        if one.speed == 1
        else OTHERS
    )


def lines(groups: Sequence[Sequence[Figure]]) -> str:
    """Speed over the number of pairs, a line for each workload."""
    curves = [(group[0].title, _points(group)) for group in groups]
    top = max((speed for _, points in curves for _, speed in points), default=1.0)
    top = max(1.0, math.ceil(top * 2) / 2)
    most = max((pairs for _, points in curves for pairs, _ in points), default=16)
    bottom = TOP + CHART_HEIGHT

    def x_of(pairs: float) -> float:
        return 50 + (WIDTH - 100) * math.log2(pairs) / max(1.0, math.log2(most))

    def y_of(speed: float) -> float:
        return bottom - CHART_HEIGHT * speed / top

    body = []
    for tick in range(int(top * 2) + 1):
        y = y_of(tick / 2)
        body.append(f'<line x1="50" y1="{y:.1f}" x2="{WIDTH - 50}" y2="{y:.1f}" stroke="{GRID}"/>')
        body.append(text(44, y + 4, f"{tick / 2:g}", anchor="end", fill=FAINT))
    for pairs in sorted({pairs for _, points in curves for pairs, _ in points}):
        label = f"{pairs:g} pair{'s' * (pairs > 1)}"
        body.append(text(x_of(pairs), bottom + 18, label, anchor="middle", fill=FAINT))
    for number, (title, points) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x_of(pairs):.1f},{y_of(speed):.1f}" for pairs, speed in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x_of(p):.1f}" cy="{y_of(s):.1f}" r="3.5" fill="{colour}"/>' for p, s in points
        ]
        y = bottom + 44 + 20 * number
        body.append(rect(50, y - 10, 14, 10, colour))
        body.append(text(72, y, title))
    return svg(bottom + 44 + 20 * len(curves), "Speed over the number of pairs, times rsync's daemon", body)


def _points(group: Sequence[Figure]) -> list[tuple[float, float]]:
    found = ((re.search(r"(\d+) pairs?\b", one.mover), one.speed) for one in group)
    return sorted((float(match[1]), speed) for match, speed in found if match and speed)
