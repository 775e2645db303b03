"""Pictures drawn by hand: rectangles and words, as SVG.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

INK, FAINT, PAPER, GRID = "#1f2328", "#59636e", "#ffffff", "#d1d9e0"
WIDTH: Final = 860  # px, as all lengths here


def rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def text(
    x: float, y: float, said: str, *, anchor: str = "start", fill: str = INK, weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">'
        f"{escape(said)}</text>"
    )


def svg(height: float, title: str, body: Sequence[str]) -> str:
    """The picture, its title above; `body` begins below 30 px."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" font-family="sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>',
            text(12, 22, title, weight="600"),
            *body,
            "</svg>\n",
        ]
    )
