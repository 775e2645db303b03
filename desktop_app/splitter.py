"""The gap between the picture and the bottom panel: drag it to give one of them more room."""

from __future__ import annotations

from typing import Final

from PyQt5.QtCore import QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QMouseEvent, QPainter
from PyQt5.QtWidgets import QWidget

from desktop_app.ground import Ground
from desktop_app.theme import Look

STEP: Final = 20.0


class Splitter(Ground):
    moved = pyqtSignal(float)  # by so many design px, + is a higher panel

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(look, parent)
        self.setCursor(Qt.SplitVCursor)
        self.setFocusPolicy(Qt.TabFocus)
        self.setAccessibleName("Height of the panel")
        self._from: float | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._from = event.screenPos().y()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._from is not None:
            moved = (self._from - event.screenPos().y()) / self.look.scale
            if abs(moved) >= 1:
                self._from = event.screenPos().y()
                self.moved.emit(moved)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._from = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Up, Qt.Key_Down):
            self.moved.emit(STEP if event.key() == Qt.Key_Up else -STEP)
        else:
            event.ignore()

    def draw_more(self, painter: QPainter) -> None:
        palette = self.look.palette
        color = palette.accent if self.hasFocus() else palette.line
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        painter.setBrush(color)
        grip = QRectF(0, 0, 40 * self.look.scale, 3 * self.look.scale)
        grip.moveCenter(QRectF(self.rect()).center())
        painter.drawRoundedRect(grip, 2, 2)
