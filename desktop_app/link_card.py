"""The link: a badge for the top bar, and a card with the last 30 s and the figures behind the word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QPainterPath, QPen, QPolygonF

from desktop_app.card import PADDING, Card, Instrument, Side
from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.theme import AXIS, BODY, MISSING, READOUT, ROUND_TRIP, SECOND
from desktop_app.view import Connection, LinkView, Quality, View

HISTORY_S: Final = 30.0
TOP_MS: Final = 200.0  # of the sparkline
GAP_S: Final = 1.5  # between two points of the history: more than this is silence too

_BARS: Final = {Quality.GOOD: 4, Quality.FAIR: 3, Quality.WEAK: 2, Quality.BAD: 1, Quality.LOST: 0}
_AMBER: Final = (Quality.WEAK, Quality.BAD, Quality.LOST)


@dataclass(frozen=True, slots=True)
class BadgeContent:
    bars: int
    figure: str
    under: str
    tone: str


class LinkBadge(Instrument[BadgeContent]):
    """Bars, round trip and a word."""

    title = "Link"

    def read(self, view: View) -> BadgeContent:
        link = view.link
        if view.connection in (Connection.NONE, Connection.CONNECTING):
            return BadgeContent(0, MISSING, "no link", "text3")
        if link.quality is Quality.LOST:
            return BadgeContent(0, "Lost", f"{link.silent_s:.1f} s silent", "amber")
        tone = "amber" if link.quality in _AMBER else "text"
        return BadgeContent(
            _BARS[link.quality], _milliseconds(link.rtt_ms), f"Link {link.quality.value.lower()}", tone
        )

    def words(self, content: BadgeContent) -> str:
        return f"{content.figure}, {content.under}"

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def draw(self, ink: Ink, content: BadgeContent) -> None:
        palette = self.look.palette
        color: QColor = getattr(palette, content.tone)
        middle = ink.rect.height() / 2
        if content.bars:
            _draw_bars(ink, 3, middle + 8, content.bars, color, palette.edge)
        else:
            ink.icon(Icon.STRUCK, 2, middle - 10, color)
        left = 30.0
        room = ink.rect.width() - left
        if self.is_compact:
            ink.text(left, middle + 5.5, content.figure, 15, color, bold=True, room=room)
            return
        ink.text(left, middle - 4, content.figure, READOUT, color, bold=True, room=room)
        under = palette.amber if content.tone == "amber" else palette.text2
        ink.text(left, middle + 16, content.under, SECOND, under, room=room)


def _draw_bars(ink: Ink, left: float, bottom: float, count: int, on: QColor, off: QColor) -> None:
    for i in range(4):
        height = 4.0 + 4.0 * i
        rect = QRectF(left + 5 * i, bottom - height, 3.6, height)
        if i < count:
            ink.plate(rect, on, radius=1)
        else:
            ink.plate(rect, edge=off, radius=1)


@dataclass(frozen=True, slots=True)
class LinkContent:
    side: Side
    figure: str
    rows: tuple[tuple[str, str, str], ...]  # label, value, tone
    history: tuple[tuple[float, float | None], ...]


class LinkCard(Card[LinkContent]):
    """Round trip, its last 30 s, and four figures.  A click asks for all of them, to copy."""

    title = "Link"
    is_pressable = True

    def read(self, view: View) -> LinkContent:
        link = view.link
        if view.connection in (Connection.NONE, Connection.CONNECTING):
            return LinkContent(Side(), MISSING, (), ())
        is_lost = link.quality is Quality.LOST
        tone = "amber" if link.quality in _AMBER else "text2"
        return LinkContent(
            side=Side(link.quality.value, tone),
            figure=MISSING if is_lost else _milliseconds(link.rtt_ms).removesuffix(" ms"),
            rows=_lost_rows(link) if is_lost else _rows(link),
            history=tuple((round(ago, 1), rtt) for ago, rtt in link.history),
        )

    def side(self, content: LinkContent) -> Side:
        return content.side

    def words(self, content: LinkContent) -> str:
        rows = ", ".join(f"{label} {value}" for label, value, _ in content.rows)
        return f"{content.side.text} {content.figure} milliseconds round trip. {rows}"

    def draw(self, ink: Ink, content: LinkContent) -> None:
        palette = self.look.palette
        height = ink.rect.height()
        is_missing = content.figure == MISSING
        width = ink.text(
            PADDING,
            64,
            content.figure,
            ROUND_TRIP,
            palette.text3 if is_missing else palette.text,
            bold=True,
        )
        ink.text(PADDING + width + 7, 64, "ms round trip", BODY, palette.text2)
        step = 20.0
        rows_top = height - 16 - step * max(0, 4 - 1)
        self._draw_history(
            ink, content, QRectF(PADDING, 84, ink.rect.width() - 2 * PADDING, rows_top - 38 - 84)
        )
        for i, (label, value, tone) in enumerate(content.rows):
            self.draw_row(ink, rows_top + i * step, label, value, tone)

    def _draw_history(self, ink: Ink, content: LinkContent, area: QRectF) -> None:
        palette = self.look.palette
        plot = QRectF(area.left(), area.top(), area.width() - 34, area.height())
        if plot.height() < 16:
            return
        for share, label in ((0.0, "200"), (0.5, "100"), (1.0, "0")):
            y = plot.top() + share * plot.height()
            ink.line(plot.left(), y, plot.right(), y, palette.line)
            ink.text(plot.right() + 5, y + 4, label, AXIS, palette.text3)
        ink.text(plot.left(), plot.bottom() + 18, "30 s", AXIS, palette.text3)
        ink.text(plot.right(), plot.bottom() + 18, "now", AXIS, palette.text3, align=Align.RIGHT)
        for left_s, right_s in _silences(content.history):
            x = plot.right() - left_s / HISTORY_S * plot.width()
            strip = QRectF(x, plot.top(), (left_s - right_s) / HISTORY_S * plot.width(), plot.height())
            ink.hatch(strip.intersected(plot), palette.amber, pitch=8, width=2.5)
        fill = QColor(palette.accent)
        fill.setAlpha(46)
        for run in _runs(content.history):
            points = [_place(plot, ago, rtt) for ago, rtt in run]
            path = QPainterPath()
            path.addPolygon(
                QPolygonF(
                    [
                        QPointF(points[0].x(), plot.bottom()),
                        *points,
                        QPointF(points[-1].x(), plot.bottom()),
                    ]
                )
            )
            ink.painter.fillPath(path, fill)
            ink.painter.setPen(QPen(palette.accent, 1.5))
            ink.painter.setBrush(Qt.NoBrush)
            ink.painter.drawPolyline(QPolygonF(points))


def _place(plot: QRectF, ago_s: float, rtt_ms: float) -> QPointF:
    share = min(1.0, max(0.0, rtt_ms / TOP_MS))
    return QPointF(plot.right() - ago_s / HISTORY_S * plot.width(), plot.bottom() - share * plot.height())


def _runs(history: tuple[tuple[float, float | None], ...]) -> list[list[tuple[float, float]]]:
    """Stretches without silence, oldest first; a line is never drawn across a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for ago, rtt in sorted(history, reverse=True):
        if ago > HISTORY_S:
            continue
        if rtt is None or (runs[-1] and runs[-1][-1][0] - ago > GAP_S):
            runs.append([])
        if rtt is not None:
            runs[-1].append((ago, rtt))
    return [run for run in runs if run]


def _silences(history: tuple[tuple[float, float | None], ...]) -> list[tuple[float, float]]:
    """Stretches of silence as (from, to) seconds ago, from > to."""
    found: list[tuple[float, float]] = []
    points = sorted(history, reverse=True)
    for i, (ago, rtt) in enumerate(points):
        until = points[i + 1][0] if i + 1 < len(points) else 0.0
        if rtt is None or ago - until > GAP_S:
            found.append((ago, until))
    return found


def _rows(link: LinkView) -> tuple[tuple[str, str, str], ...]:
    dropped = MISSING if link.pictures_dropped is None else f"{link.pictures_dropped * 100:.1f} %"
    return (
        ("Worst gap, 10 s", _milliseconds(link.worst_gap_ms), "text"),
        ("Command age", _milliseconds(link.command_age_ms), "text"),
        ("Pictures dropped", dropped, "text"),
        ("Failsafe trips", str(link.failsafe_trips), "text"),
    )


def _lost_rows(link: LinkView) -> tuple[tuple[str, str, str], ...]:
    return (
        ("Last heard", f"{link.silent_s:.1f} s ago", "amber"),
        ("Command age", MISSING, "text3"),
        ("New link", "tried from 1.0 s" if link.silent_s < 1.0 else "tried every 0.5 s", "text"),
        ("Failsafe trips", str(link.failsafe_trips), "text"),
    )


def _milliseconds(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.0f} ms" if value >= 1 else "< 1 ms"
