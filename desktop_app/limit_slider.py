"""The slider under the drive pad: how much of full throttle may be asked."""

from __future__ import annotations

from typing import Final

from PyQt5.QtCore import QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QMouseEvent
from PyQt5.QtWidgets import QAbstractSlider, QWidget

from desktop_app.ink import Ink
from desktop_app.painted import Ringed
from desktop_app.theme import Look

SMALLEST: Final = 10  # per cent of full throttle
STEP: Final = 5
KNOB: Final = 10.0


class LimitSlider(Ringed, QAbstractSlider):
    """In per cent; what it shows comes from outside, what a hand does to it is only asked."""

    limit_asked = pyqtSignal(float)  # (0, 1]

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.look = look
        self._is_held = False
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.TabFocus)
        self.setRange(SMALLEST, 100)
        self.setSingleStep(STEP)
        self.setAccessibleName("Limit")
        self.setMinimumHeight(32)

    def show_limit(self, limit: float, words: str) -> None:
        """Show this limit, unless a hand is on the knob just now."""
        value = round(limit * 100)
        if words != self.accessibleDescription():  # the same limit in m/s, once the robot has said its speed
            self.setAccessibleDescription(words)
        if not self._is_held and value != self.value():
            self.setValue(value)
            self.update()

    def set_look(self, look: Look) -> None:
        self.look = look
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.LeftButton:
            self._is_held = True
            self._follow(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._is_held:
            self._follow(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._is_held = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key_Left: -1, Qt.Key_Down: -1, Qt.Key_Right: 1, Qt.Key_Up: 1}
        step = steps.get(Qt.Key(event.key()))
        if step is None:
            event.ignore()
        else:
            self._ask(self.value() + step * STEP)

    def _follow(self, event: QMouseEvent) -> None:
        reach = self.width() / self.look.scale - 2 * KNOB
        share = (event.localPos().x() / self.look.scale - KNOB) / reach
        self._ask(round(share * 100 / STEP) * STEP)

    def _ask(self, value: int) -> None:
        value = max(SMALLEST, min(100, value))
        if value != self.value():
            self.setValue(value)
            self.update()
            self.limit_asked.emit(value / 100)

    def paint(self, ink: Ink) -> None:
        rect = ink.rect
        palette = self.look.palette
        ink.painter.fillRect(rect, palette.panel)
        track = QRectF(KNOB - 4, rect.center().y() - 3, rect.width() - 2 * KNOB + 8, 6)
        at = KNOB + (rect.width() - 2 * KNOB) * self.value() / 100
        ink.plate(track, palette.panel, palette.edge, radius=3)
        ink.plate(QRectF(track.left(), track.top(), at - track.left(), 6), palette.accent, radius=3)
        knob = QRectF(at - 9.5, rect.center().y() - 9.5, 19, 19)
        ink.plate(knob, palette.panel, palette.text, radius=9.5, width=2)
