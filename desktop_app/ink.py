"""A painter that speaks in design px: text in fixed cells, plates, hatches, key caps.

Every text that is drawn is noted with its place and the room it had, so that
tests can measure what a person really sees: nothing cut, nothing overlapping.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PyQt5.QtCore import QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import QBrush, QColor, QPainter, QPainterPath, QPen, QPixmap, QTransform

from desktop_app.icons import Icon, draw_icon
from desktop_app.theme import AXIS, Look

SMALLEST_SHARE: Final = 0.72  # of its size that a text may shrink to where its room is too narrow
CARD_RADIUS: Final = 8.0


class Align(enum.Enum):
    LEFT = 0.0
    CENTER = 0.5
    RIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """One text on the widget, in design px: `box` is what it covers, `room` the width it was given."""

    text: str
    box: QRectF
    room: float

    @property
    def is_cut(self) -> bool:
        return self.box.width() > self.room + 0.5


class Ink:
    """Draws one paint of one widget.  GUI thread; lives as long as its painter."""

    def __init__(self, painter: QPainter, look: Look, size: QRectF) -> None:
        painter.setRenderHint(QPainter.Antialiasing)
        self.painter = painter
        self.look = look
        self.rect = size  # of the widget, in design px
        self.drawn: list[Drawn] = []

    def text(
        self,
        x: float,
        baseline: float,
        text: str,
        size_px: int,
        color: QColor,
        *,
        bold: bool = False,
        align: Align = Align.LEFT,
        room: float = 10_000.0,
    ) -> float:
        """Draw one line and return its width; a line wider than its room is set smaller until it fits."""
        if not text:
            return 0.0
        width = self.look.type.width(text, size_px, bold)
        smallest = size_px * SMALLEST_SHARE
        while width > room and size_px - 1 >= smallest:
            size_px -= 1
            width = self.look.type.width(text, size_px, bold)
        left = x - width * align.value
        metrics = self.look.type.metrics(size_px, bold)
        self.painter.setFont(self.look.type.font(size_px, bold))
        self.painter.setPen(color)
        self._glyphs(left, baseline, text, size_px, bold)
        # From the top of a capital to the baseline: accents and descenders may touch a neighbour's air.
        top = metrics.capHeight()
        self.drawn.append(Drawn(text, QRectF(left, baseline - top, width, top), room))
        return width

    def _glyphs(self, left: float, baseline: float, text: str, size_px: int, bold: bool) -> None:
        cell, is_even = self.look.type.digit(size_px, bold)
        if is_even or not any(char.isdigit() for char in text):
            self.painter.drawText(QPointF(left, baseline), text)
            return
        metrics = self.look.type.metrics(size_px, bold)
        for char in text:  # a face with narrow ones: each digit centred in its cell
            advance = metrics.horizontalAdvance(char)
            width = cell if char.isdigit() else advance
            self.painter.drawText(QPointF(left + (width - advance) / 2, baseline), char)
            left += width

    def width(self, text: str, size_px: int, *, bold: bool = False) -> float:
        return self.look.type.width(text, size_px, bold)

    def fits(self, text: str, size_px: int, room: float, *, bold: bool = False) -> bool:
        return self.look.type.fits(text, size_px, room, bold=bold)

    def shorten(self, name: str, size_px: int, room: float, *, bold: bool = False) -> str:
        """A name that somebody else chose, cut with an ellipsis if it cannot fit even when set smaller."""
        smallest = int(size_px * SMALLEST_SHARE) + 1
        if self.fits(name, smallest, room, bold=bold):
            return name
        return self.look.type.shorten(name, smallest, room, bold=bold)

    def icon(self, icon: Icon, x: float, y: float, color: QColor, size: float = 20.0) -> None:
        draw_icon(self.painter, icon, x, y, color, size)

    def plate(
        self,
        rect: QRectF,
        fill: QColor | None = None,
        edge: QColor | None = None,
        *,
        radius: float = CARD_RADIUS,
        width: float = 1.0,
        style: Qt.PenStyle = Qt.SolidLine,
    ) -> None:
        """A rounded rectangle; its edge lies inside `rect`."""
        painter = self.painter
        painter.setBrush(fill if fill is not None else Qt.NoBrush)
        if edge is None:
            painter.setPen(Qt.NoPen)
        else:
            painter.setPen(QPen(edge, width, style))
            half = width / 2
            rect = rect.adjusted(half, half, -half, -half)
        painter.drawRoundedRect(rect, radius, radius)

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        color: QColor,
        width: float = 1.0,
        style: Qt.PenStyle = Qt.SolidLine,
        cap: Qt.PenCapStyle = Qt.FlatCap,
    ) -> None:
        self.painter.setPen(QPen(color, width, style, cap))
        self.painter.drawLine(QPointF(x1, y1), QPointF(x2, y2))

    def dashes(
        self, x1: float, y1: float, x2: float, y2: float, color: QColor, width: float, dash: float, gap: float
    ) -> None:
        pen = QPen(color, width, Qt.CustomDashLine, Qt.FlatCap)
        pen.setDashPattern([dash / width, gap / width])
        self.painter.setPen(pen)
        self.painter.drawLine(QPointF(x1, y1), QPointF(x2, y2))

    def key_cap(self, right: float, middle: float, key: str, color: QColor, height: float = 18.0) -> float:
        """A key's name in its outline, ending at `right`; returns its width."""
        width = max(height, self.width(key, AXIS) + 12)
        self.plate(
            QRectF(right - width, middle - height / 2, width, height), edge=color, radius=4, width=1.25
        )
        self.text(right - width / 2, middle + 4, key, AXIS, color, align=Align.CENTER)
        return width

    def hatch(
        self, shape: QPainterPath | QRectF, color: QColor, *, pitch: float = 6.0, width: float = 1.5
    ) -> None:
        """Fill with strokes that rise to the right, `pitch` apart along x."""
        brush = hatch_brush(color.name(QColor.HexArgb), pitch, width, self.scale_px)
        if isinstance(shape, QRectF):
            self.painter.fillRect(shape, brush)
        else:
            self.painter.fillPath(shape, brush)

    @property
    def scale_px(self) -> float:
        """Device px to a design px."""
        return self.look.scale * self.painter.device().devicePixelRatioF()


@lru_cache(maxsize=32)
def hatch_brush(color: str, pitch: float, width: float, scale: float) -> QBrush:
    """A seamless tile of strokes at 45 degrees, in device px so that it is painted 1:1."""
    side = max(2, round(pitch * scale))
    tile = QPixmap(QSize(side, side))
    tile.fill(Qt.transparent)
    painter = QPainter(tile)
    painter.setRenderHint(QPainter.Antialiasing)
    painter.setPen(QPen(QColor(color), width * scale, Qt.SolidLine, Qt.SquareCap))
    for shift in (-side, 0, side):
        painter.drawLine(QPointF(shift, side), QPointF(shift + side, 0))
    painter.end()
    brush = QBrush(tile)
    brush.setTransform(QTransform.fromScale(1 / scale, 1 / scale))
    return brush
