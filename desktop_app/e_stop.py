"""The E-STOP: fires on press, asks nothing, is never disabled."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt5.QtCore import QEvent, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QKeyEvent, QMouseEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.card import Instrument
from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.theme import AGE, ON_RED, RED_FILL, Look
from desktop_app.view import Connection, View


@dataclass(frozen=True, slots=True)
class Stop:
    is_lit: bool  # some robot is connected, with or without a link just now


class EStopButton(Instrument[Stop]):
    """Emits `pressed` in the very event of the press, by mouse, touch or Enter."""

    title = "Emergency stop"
    pressed = pyqtSignal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(look, parent)
        self.setFocusPolicy(Qt.TabFocus)
        self.setAttribute(Qt.WA_AcceptTouchEvents)
        self._is_down = False

    def read(self, view: View) -> Stop:
        return Stop(is_lit=view.connection in (Connection.UP, Connection.LOST))

    def words(self, content: Stop) -> str:
        return "Space or F12. Stops the car at once." if content.is_lit else "No robot connected"

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def draw(self, ink: Ink, content: Stop) -> None:
        palette = self.look.palette
        rect, middle = ink.rect, ink.rect.height() / 2
        if content.is_lit:
            color = ON_RED
            fill = RED_FILL.darker(125) if self._is_down else RED_FILL
            # White is no border on a white bar: there a dark one lies outside it.
            ink.plate(rect, fill, ON_RED if palette.name == "dark" else QColor("#6E0A14"), width=2)
        else:
            color = palette.text3
            ink.plate(rect, edge=palette.edge, width=2)
        cap = 0.0
        right = rect.width() - 12
        if not self.is_compact:
            cap = ink.key_cap(right, middle, "Space", color, 20) + 10
        icon = 20.0
        left = 11.0
        ink.icon(Icon.OCTAGON, left, middle - icon / 2, color, icon)
        left += icon + 9
        room = right - cap - left
        ink.text(
            left + room / 2, middle + 7.5, "E-STOP", AGE, color, bold=True, align=Align.CENTER, room=room
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._press()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._release()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.isAutoRepeat():
            self.pressed.emit()
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.TouchBegin:  # before Qt makes a mouse press of it
            self._press()
            event.accept()
            return True
        if event.type() in (QEvent.TouchEnd, QEvent.TouchCancel):
            self._release()
            return True
        return super().event(event)

    def _press(self) -> None:
        self.pressed.emit()
        self._is_down = True
        self.update()

    def _release(self) -> None:
        self._is_down = False
        self.update()
