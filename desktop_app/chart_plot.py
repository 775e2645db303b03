"""The plot between a chart's titles and its values: a line a lane, made into pixels once for each change."""

from __future__ import annotations

from typing import Final

import numpy as np
from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QImage, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.ink import hatch_brush
from desktop_app.lanes import Trace
from desktop_app.strokes import FINER, coverage, extents
from desktop_app.theme import Look

MARGIN: Final = 0.14  # of a lane's height, above and below its curve
EDGE: Final = 9.0  # design px at the right for the newest point
GRID: Final = 6
PEN: Final = 1.75  # design px


class ChartPlot(QWidget):
    """Draws traces, newest at the right.  GUI thread.

    Not by pyqtgraph: it strokes its curves in each paint.  Measured in one run,
    seven lanes of 532 x 37 px: a paint took 4.3 ms (noise: 9.9) and takes 0.4,
    after 1.9 for the pixels when new samples have come.
    """

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self._look = look
        self._traces: tuple[Trace, ...] = ()
        self._lines = QImage()
        self._span_s = 30.0
        self._is_old = False

    def set_look(self, look: Look) -> None:
        self._look = look
        self._make_lines()
        self.update()

    def show_traces(self, traces: tuple[Trace, ...], span_s: float, *, is_old: bool) -> None:
        """Draw these, first one on top."""
        self._traces, self._span_s, self._is_old = traces, span_s, is_old
        self._make_lines()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._make_lines()

    def _make_lines(self) -> None:
        """Every lane's line in one picture, in device px."""
        ratio = self.devicePixelRatioF()
        pen, edge = PEN * self._look.scale * ratio, EDGE * self._look.scale * ratio
        columns, rows = round(self.width() * ratio - edge), round(self.height() * ratio)
        if not self._traces or columns < 1 or rows < 1:
            self._lines = QImage()
            return
        wide = -(-columns // 4) * 4  # QImage wants whole words
        pixels = np.zeros((rows, wide), np.uint8)
        for i, trace in enumerate(self._traces):
            top, bottom = (round(rows * at / len(self._traces)) for at in (i, i + 1))
            share = (trace.y - trace.low) / (trace.high - trace.low)
            y = (1 - MARGIN - share.clip(0.0, 1.0) * (1 - 2 * MARGIN)) * (bottom - top)
            x = (trace.x / self._span_s + 1) * columns * FINER
            least, most = extents(x, y, columns * FINER)
            pixels[top:bottom, :columns] = coverage(least, most, bottom - top, pen)
        palette = self._look.palette
        color = palette.text3 if self._is_old else palette.accent
        image = QImage(pixels.tobytes(), wide, rows, wide, QImage.Format_Indexed8)
        image.setColorTable([color.rgb() & 0xFFFFFF | alpha << 24 for alpha in range(256)])
        self._lines = image.convertToFormat(QImage.Format_ARGB32_Premultiplied)
        self._lines.setDevicePixelRatio(ratio)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._draw_ground(painter)
        if not self._lines.isNull():
            painter.drawImage(0, 0, self._lines)
        painter.setRenderHint(QPainter.Antialiasing)
        scale = self._look.scale
        painter.scale(scale, scale)
        for i, trace in enumerate(self._traces):
            height = self.height() / scale / len(self._traces)
            self._draw_over(painter, trace, QRectF(0, i * height, self.width() / scale - EDGE, height))
        painter.end()

    def _draw_over(self, painter: QPainter, trace: Trace, lane: QRectF) -> None:
        """Stretches that are no line, and the newest point."""
        palette, scale = self._look.palette, self._look.scale

        def x(at: float) -> float:
            return lane.right() + at / self._span_s * lane.width()

        hatch = hatch_brush(palette.amber.name(), 7.0, 2.0, scale * self.devicePixelRatioF())
        for start, end in trace.bad:
            painter.fillRect(QRectF(x(start), lane.top() + 1, x(end) - x(start), lane.height() - 2), hatch)
        pen = QPen(palette.text2, 1.75, Qt.CustomDashLine, Qt.FlatCap)
        pen.setDashPattern([3, 2.5])
        painter.setPen(pen)
        y = lane.top() + lane.height() * MARGIN
        for start, end in trace.clear:
            painter.drawLine(QPointF(x(start), y), QPointF(x(end), y))
        if trace.newest is not None and not self._is_old:
            share = 1.0 if trace.newest_is_clear else (trace.newest - trace.low) / (trace.high - trace.low)
            share = max(0.0, min(1.0, share))
            at = lane.bottom() - lane.height() * (MARGIN + share * (1 - 2 * MARGIN))
            painter.setPen(Qt.NoPen)
            painter.setBrush(palette.text)
            painter.drawEllipse(QPointF(lane.right(), at), 3.5, 3.5)

    def _draw_ground(self, painter: QPainter) -> None:
        palette, scale = self._look.palette, self._look.scale
        painter.fillRect(self.rect(), palette.panel)
        width = self.width() - EDGE * scale
        painter.setPen(QPen(palette.line, max(1.0, scale)))
        for i in range(GRID + 1):
            x = round(width * i / GRID) + 0.5
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        for i in range(1, len(self._traces)):
            y = round(self.height() * i / len(self._traces)) + 0.5
            painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
