"""Pictures of figures, as SVG drawn by hand.  Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from typing import Final

from benchmarks.moving.figures import Figure

INK, FAINT, PAPER, GRID = "#1f2328", "#59636e", "#ffffff", "#d1d9e0"
OURS, BASE, OTHERS = "#0969da", "#57606a", "#b6bec7"
COLOURS: Final = ("#0969da", "#c45c00", "#1a7f37", "#8250df", "#d1242f", "#57606a")
WIDTH: Final = 860  # px, as all that follow
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
        body.append(_text(12, y + 2, group[0].title, weight="600"))
        y += 12
        for one in seen:
            length = min(one.speed, LONGEST) * scale
            body.append(_text(LEFT - 8, y + 13, one.mover, anchor="end", fill=FAINT))
            body.append(_rect(LEFT, y + 2, length, ROW - 5, _colour(one)))
            body.append(_text(LEFT + length + 6, y + 13, f"{one.speed:.2f}"))
            y += ROW
        y += GAP - 10
    one_x = LEFT + scale
    axis = f'<path d="M{one_x:.1f} {TOP}V{y - 10}" stroke="{INK}" stroke-dasharray="3 3"/>'
    return _svg(y, "Speed, times rsync's daemon in the same round", [*body, axis])


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
        body.append(_text(44, y + 4, f"{tick / 2:g}", anchor="end", fill=FAINT))
    for pairs in sorted({pairs for _, points in curves for pairs, _ in points}):
        label = f"{pairs:g} pair{'s' * (pairs > 1)}"
        body.append(_text(x_of(pairs), bottom + 18, label, anchor="middle", fill=FAINT))
    for number, (title, points) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x_of(pairs):.1f},{y_of(speed):.1f}" for pairs, speed in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x_of(p):.1f}" cy="{y_of(s):.1f}" r="3.5" fill="{colour}"/>' for p, s in points
        ]
        y = bottom + 44 + 20 * number
        body.append(_rect(50, y - 10, 14, 10, colour))
        body.append(_text(72, y, title))
    return _svg(bottom + 44 + 20 * len(curves), "Speed over the number of pairs, times rsync's daemon", body)


def _points(group: Sequence[Figure]) -> list[tuple[float, float]]:
    found = ((re.search(r"(\d+) pairs?\b", one.mover), one.speed) for one in group)
    return sorted((float(match[1]), speed) for match, speed in found if match and speed)


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", fill: str = INK, weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def _svg(height: float, title: str, body: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" font-family="sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>',
            _text(12, 22, title, weight="600"),
            *body,
            "</svg>\n",
        ]
    )
