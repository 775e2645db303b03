"""The plot between a chart's titles and its values: one pyqtgraph curve a lane."""

from __future__ import annotations

from typing import Final

import pyqtgraph as pg
from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QWidget

from desktop_app.ink import hatch_brush
from desktop_app.lanes import Trace
from desktop_app.theme import Look

MARGIN: Final = 0.14  # of a lane's height, above and below its curve
EDGE: Final = 9.0  # design px at the right for the newest point
GRID: Final = 6


class ChartPlot(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no types
    """Draws traces, newest at the right.  GUI thread."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent, background=look.palette.panel)
        self._look = look
        self._box = pg.ViewBox(enableMenu=False, defaultPadding=0)
        self._box.setMouseEnabled(False, False)
        self._box.disableAutoRange()
        self.setCentralItem(self._box)
        self.setFocusPolicy(Qt.NoFocus)
        # A part would be cheaper, but what `paintEvent` adds on top would stay where it was.
        self.setViewportUpdateMode(self.FullViewportUpdate)
        self._curves: list[pg.PlotCurveItem] = []
        self._traces: tuple[Trace, ...] = ()
        self._span_s = 30.0
        self._is_old = False

    def set_look(self, look: Look) -> None:
        self._look = look
        self.setBackground(look.palette.panel)
        for curve in self._curves:
            curve.setPen(self._pen())

    def show_traces(self, traces: tuple[Trace, ...], span_s: float, *, is_old: bool) -> None:
        """Draw these, first one on top."""
        was_old, self._is_old = self._is_old, is_old
        self._traces, self._span_s = traces, span_s
        while len(self._curves) < len(traces):
            curve = pg.PlotCurveItem(pen=self._pen(), connect="finite", antialias=True, skipFiniteCheck=False)
            curve.setSegmentedLineMode("on")  # measured: 2/3 of what one long stroke costs
            self._box.addItem(curve, ignoreBounds=True)
            self._curves.append(curve)
        while len(self._curves) > len(traces):
            self._box.removeItem(self._curves.pop())
        width = max(1.0, self.width() - EDGE * self._look.scale)
        self._box.setRange(
            xRange=(-span_s, span_s * (self.width() / width - 1)), yRange=(0, max(1, len(traces))), padding=0
        )
        for i, (curve, trace) in enumerate(zip(self._curves, traces, strict=True)):
            bottom = len(traces) - 1 - i
            share = (trace.y - trace.low) / (trace.high - trace.low)
            curve.setData(trace.x, bottom + MARGIN + share.clip(0.0, 1.0) * (1 - 2 * MARGIN))
            if was_old != is_old:
                curve.setPen(self._pen())

    def _pen(self) -> QPen:
        palette = self._look.palette
        pen = QPen(palette.text3 if self._is_old else palette.accent, 1.5 * self._look.scale)
        pen.setCosmetic(True)  # the lane's own scale is not the pen's
        pen.setCapStyle(Qt.SquareCap)  # no gap shows where two segments meet
        return pen

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
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

    def drawBackground(self, painter: QPainter, rect: QRectF) -> None:
        super().drawBackground(painter, rect)
        painter.save()
        painter.resetTransform()
        palette, scale = self._look.palette, self._look.scale
        width = self.width() - EDGE * scale
        painter.setPen(QPen(palette.line, max(1.0, scale)))
        for i in range(GRID + 1):
            x = round(width * i / GRID) + 0.5
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        for i in range(1, len(self._traces)):
            y = round(self.height() * i / len(self._traces)) + 0.5
            painter.drawLine(QPointF(0, y), QPointF(self.width(), y))
        painter.restore()
