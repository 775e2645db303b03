"""Which robot this window belongs to; a click opens the connect sheet."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QMouseEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.card import Instrument
from desktop_app.icons import Icon
from desktop_app.ink import Ink
from desktop_app.theme import BODY, SECOND, Look
from desktop_app.view import Connection, View


@dataclass(frozen=True, slots=True)
class ChipContent:
    icon: Icon
    name: str
    under: str


class RobotChip(Instrument[ChipContent]):
    title = "Robot"
    clicked = pyqtSignal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(look, parent)
        self.setFocusPolicy(Qt.TabFocus)
        self.setCursor(Qt.PointingHandCursor)

    def read(self, view: View) -> ChipContent:
        if view.connection is Connection.NONE:
            return ChipContent(Icon.CAR, "No robot", "choose one")
        icon = Icon.CHIP if view.simulated else Icon.CAR
        name = view.robot_name or view.address
        where = f"{view.address} · simulated" if view.simulated else view.address
        if view.connection is Connection.CONNECTING:
            where = "connecting…"
        return ChipContent(icon, name, where)

    def words(self, content: ChipContent) -> str:
        return f"{content.name}, {content.under}. Ctrl+K for others."

    def backdrop(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.painter.fillRect(ink.rect, palette.panel)
        ink.plate(ink.rect, palette.raised, palette.edge)

    def draw(self, ink: Ink, content: ChipContent) -> None:
        palette = self.look.palette
        rect, middle = ink.rect, ink.rect.height() / 2
        ink.icon(content.icon, 9, middle - 10, palette.text)
        right = rect.width() - (26 if self.is_compact else 34)
        ink.icon(Icon.CHEVRON, right + 4, middle - 9, palette.text2, 18)
        left = 33.0 if self.is_compact else 36.0
        room = right - left
        if self.is_compact:
            name = ink.shorten(content.name, BODY, room, bold=True)
            ink.text(left, middle + 5, name, BODY, palette.text, bold=True, room=room)
            return
        name = ink.shorten(content.name, BODY + 1, room, bold=True)
        ink.text(left, middle - 4, name, BODY + 1, palette.text, bold=True, room=room)
        under = ink.shorten(content.under, SECOND, room)
        ink.text(left, middle + 15.5, under, SECOND, palette.text2, room=room)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.LeftButton and self.rect().contains(event.pos()):
            self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.isAutoRepeat():
            self.clicked.emit()
        else:
            event.ignore()
