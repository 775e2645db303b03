"""Strip charts: a lane for each number, one time axis, newest at the right.

Wheel: span, 10 s to 10 min.  Drag: look back.  Shift-click on a title: pin the
lane.  Wheel over the titles: other lanes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QEvent, QPoint, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QMouseEvent, QResizeEvent, QWheelEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.card import PADDING, Instrument
from desktop_app.chart_plot import ChartPlot
from desktop_app.ink import Align, Ink
from desktop_app.lanes import Lane, LaneInfo, Trace, lanes_of
from desktop_app.theme import AXIS, BODY, MINUS, MISSING, READOUT, SECOND, Look
from desktop_app.view import Sample, View

NONE_YET: Final = "No sensors yet. They appear when a robot connects."
SPANS_S: Final = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
LANE_LOWEST: Final = 33.0  # title and unit, one under the other
COLUMN_PX: Final = 2.0  # a curve of 1.75 px shows no more
SCALED_LANE: Final = 48.0  # from this height on a lane shows its scale
_LEFT: Final = 168.0  # of the plot
_RIGHT: Final = 96.0
_AXIS: Final = 22.0


@dataclass(frozen=True, slots=True)
class ChartsContent:
    lanes: tuple[LaneInfo, ...]
    is_old: bool


class Charts(Instrument[ChartsContent]):
    """GUI thread.  `tick` draws what has come since; call it as often as the screen may change."""

    title = "Charts"
    told = pyqtSignal(str, str)  # for the panel's header: words and their tone

    def __init__(
        self, look: Look, parent: QWidget | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._pinned: tuple[tuple[str, str], ...] = ()
        self._first = 0
        self._span_s = 30.0
        self._ended_s: float | None = None  # what the right edge stands at while looking back
        self._drag_from: tuple[QPoint, float] | None = None
        self._drawn_at_s = 0.0
        self._told = ("", "")
        self._values: tuple[str, ...] = ()
        self._traces: tuple[Trace, ...] = ()
        super().__init__(look, parent)
        self.plot = ChartPlot(look, self)
        self.plot.installEventFilter(self)

    # What comes in.

    def read(self, view: View) -> ChartsContent:
        return ChartsContent(lanes_of(view.description), view.is_assumed)

    def words(self, content: ChartsContent) -> str:
        return f"{len(content.lanes)} sensors" if content.lanes else NONE_YET

    def refresh(self) -> None:
        before = self.content
        super().refresh()
        if self.content is before:
            return
        known = {info.key: info for info in self.content.lanes}
        self._lanes = {
            key: self._lanes[key] if key in self._lanes and self._lanes[key].info == info else Lane(info)
            for key, info in known.items()
        }
        self._drawn_at_s = 0.0
        self.tick()

    def add(self, samples: list[Sample]) -> None:
        """Keep them; those of channels that the robot has not described are dropped."""
        for sample in samples:
            lane = self._lanes.get((sample.stream, sample.channel))
            if lane is not None:
                lane.add(sample)

    # What is shown.

    def shown(self) -> list[Lane]:
        """The lanes there is room for: pinned ones first."""
        pinned = [self._lanes[key] for key in self._pinned if key in self._lanes]
        others = [lane for key, lane in self._lanes.items() if key not in self._pinned]
        count = max(1, int(self._plot_area().height() // LANE_LOWEST))
        room = max(0, count - len(pinned))
        self._first = max(0, min(self._first, len(others) - room))
        return [*pinned[:count], *others[self._first : self._first + room]]

    def tick(self) -> None:
        """Draw the lanes anew if they have moved by a pixel."""
        now_s = self._clock() if self._ended_s is None else self._ended_s
        area = self._plot_area()
        self._tell()
        self.plot.setVisible(bool(self._lanes) and area.width() >= 40)
        if not self.plot.isVisible() or 0 <= now_s - self._drawn_at_s < self._span_s / area.width():
            return
        self._drawn_at_s = now_s
        columns = round(area.width() * self.look.scale / COLUMN_PX)
        lanes = self.shown()
        self._traces = tuple(lane.trace(now_s, self._span_s, columns) for lane in lanes)
        self.plot.show_traces(self._traces, self._span_s, is_old=self.content.is_old)
        values = tuple(
            MISSING if self.content.is_old else _value(lane.info, trace)
            for lane, trace in zip(lanes, self._traces, strict=True)
        )
        if values != self._values:
            self._values = values
            self.update(
                round((self.design_size().width() - _RIGHT) * self.look.scale), 0, 1000, self.height()
            )

    def _tell(self) -> None:
        if not self._lanes:
            told = ("", "text2")
        elif self._ended_s is not None:
            told = (f"{self._clock() - self._ended_s:.0f} s ago, click for now", "amber")
        else:
            told = (
                f"{len(self.shown())} of {len(self._lanes)} sensors   {_span_words(self._span_s)}",
                "text2",
            )
        if told != self._told:
            self._told = told
            self.told.emit(*told)

    def _plot_area(self) -> QRectF:
        size = self.design_size()
        return QRectF(_LEFT, 1, size.width() - _LEFT - _RIGHT, size.height() - _AXIS - 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def set_look(self, look: Look, *, is_compact: bool) -> None:
        super().set_look(look, is_compact=is_compact)
        self.plot.set_look(look)
        self._place()

    def _place(self) -> None:
        area, scale = self._plot_area(), self.look.scale
        self.plot.setGeometry(QRectF(area.topLeft() * scale, area.size() * scale).toRect())
        self._drawn_at_s = 0.0
        self.tick()

    # Hands.

    def eventFilter(self, target: object, event: QEvent) -> bool:
        """The plot's mouse."""
        if isinstance(event, QWheelEvent):
            self._zoom(1 if event.angleDelta().y() < 0 else -1)
            return True
        if isinstance(event, QMouseEvent):
            self._drag(event)
            return True
        return False

    def _zoom(self, step: int) -> None:
        at = min(range(len(SPANS_S)), key=lambda i: abs(SPANS_S[i] - self._span_s))
        self._span_s = SPANS_S[max(0, min(len(SPANS_S) - 1, at + step))]
        self._drawn_at_s = 0.0
        self.update()
        self.tick()

    def _drag(self, event: QMouseEvent) -> None:
        if event.type() == QEvent.MouseButtonPress:
            self._drag_from = (event.globalPos(), self._ended_s or self._clock())
        elif event.type() == QEvent.MouseMove and self._drag_from is not None:
            start, ended_s = self._drag_from
            moved = event.globalPos().x() - start.x()
            if abs(moved) > 3 or self._ended_s is not None:
                back_s = ended_s - moved / max(1, self.plot.width()) * self._span_s
                self._look_at(back_s)
        elif event.type() == QEvent.MouseButtonRelease and self._drag_from is not None:
            start, _ = self._drag_from
            self._drag_from = None
            if (event.globalPos() - start).manhattanLength() <= 3:
                self._look_at(self._clock())

    def _look_at(self, at_s: float) -> None:
        """Put the right edge there; at or after now is live again."""
        now_s = self._clock()
        self._ended_s = None if at_s >= now_s - 0.05 else max(at_s, now_s - 600.0)
        self._drawn_at_s = 0.0
        self.update()
        self.tick()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.modifiers() & Qt.ShiftModifier:
            lane = self._lane_at(event.localPos().y() / self.look.scale)
            if lane is not None:
                key = lane.info.key
                pinned = self._pinned
                self._pinned = tuple(k for k in pinned if k != key) if key in pinned else (*pinned, key)
                self._drawn_at_s = 0.0
                self.update()
                self.tick()
        elif self._ended_s is not None:
            self._look_at(self._clock())

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._first += 1 if event.angleDelta().y() < 0 else -1
        self._drawn_at_s = 0.0
        self.update()
        self.tick()
        event.accept()

    def _lane_at(self, y: float) -> Lane | None:
        lanes, area = self.shown(), self._plot_area()
        at = int((y - area.top()) // (area.height() / max(1, len(lanes))))
        return lanes[at] if 0 <= at < len(lanes) and y >= area.top() else None

    # Painting: all but the plot.

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def draw(self, ink: Ink, content: ChartsContent) -> None:
        palette = self.look.palette
        lanes, area = self.shown(), self._plot_area()
        if not lanes:
            ink.text(PADDING, 30, NONE_YET, BODY, palette.text3, room=ink.rect.width() - 32)
            return
        height = area.height() / len(lanes)
        for i, lane in enumerate(lanes):
            top = area.top() + i * height
            if i:  # in line with the plot's own
                y = (self.plot.y() + round(self.plot.height() * i / len(lanes)) + 0.5) / self.look.scale
                ink.line(PADDING, y, ink.rect.width() - PADDING, y, palette.line)
            self._draw_lane(ink, lane, i, QRectF(0, top, ink.rect.width(), height))
        y = area.bottom() + 15
        steps = 6 if area.width() > 360 else 3
        for i in range(steps + 1):
            x = area.left() + 1 + (area.width() - 10) * i / steps
            ago = self._span_s * (1 - i / steps)
            words = "now" if not ago and self._ended_s is None else f"{MINUS}{_span_words(ago)}"
            ink.text(x, y, words, AXIS, palette.text3, align=Align.CENTER)

    def _draw_lane(self, ink: Ink, lane: Lane, at: int, box: QRectF) -> None:
        palette = self.look.palette
        middle = box.center().y()
        left = PADDING
        room = _LEFT - PADDING - (44 if box.height() >= SCALED_LANE else 12)
        if lane.info.key in self._pinned:
            ink.plate(QRectF(left, middle - 9, 7, 7), palette.accent, radius=3.5)
            left += 12
            room -= 12
        title = ink.shorten(lane.info.title, BODY, room, bold=True)
        ink.text(left, middle - 2, title, BODY, palette.text, bold=True, room=room)
        ink.text(
            PADDING,
            middle + 13,
            ink.shorten(lane.info.under, AXIS + 1, room),
            SECOND,
            palette.text2,
            room=room,
        )
        value = self._values[at] if at < len(self._values) else MISSING
        tone = palette.text3 if value == MISSING else palette.text
        right = box.right() - PADDING
        ink.text(right, middle + 5, value, READOUT - 3, tone, bold=True, align=Align.RIGHT, room=_RIGHT - 24)
        if box.height() >= SCALED_LANE and at < len(self._traces):
            trace = self._traces[at]
            for y, figure in ((box.top() + 12, trace.high), (box.bottom() - 6, trace.low)):
                words = f"{figure:g}".replace("-", MINUS)
                ink.text(_LEFT - 6, y, words, AXIS, palette.text3, align=Align.RIGHT, room=36)


def _value(info: LaneInfo, trace: Trace) -> str:
    if trace.newest is None:
        return MISSING
    if trace.newest_is_clear:
        return "clear"
    figure = f"{trace.newest:+.2f}" if trace.low < 0 else f"{trace.newest:.2f}"
    return figure.replace("-", MINUS)


def _span_words(span_s: float) -> str:
    if span_s >= 120:
        return f"{span_s / 60:g} min"
    return f"{span_s:.3g} s"
