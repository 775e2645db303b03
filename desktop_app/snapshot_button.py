"""The camera at the picture's upper right corner: a snapshot by mouse."""

from __future__ import annotations

from typing import Final

from PyQt5.QtCore import QRectF, Qt
from PyQt5.QtGui import QFocusEvent, QKeyEvent, QPainterPath, QRegion, QResizeEvent
from PyQt5.QtWidgets import QAbstractButton, QWidget

from desktop_app.ground import came_by_keyboard
from desktop_app.icons import Icon
from desktop_app.ink import Ink
from desktop_app.keys import Deed
from desktop_app.painted import Painted
from desktop_app.theme import ON_PLATE, PLATE_SOLID, TRACK, Look

SIDE: Final = 36.0
FOCUS: Final = 2.0
RADIUS: Final = 6.0


class SnapshotButton(Painted, QAbstractButton):
    """Opaque, like the toasts, so that the picture under it is not painted twice.

    A click does not take the focus away from the picture: it may be driving.
    """

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.TabFocus)
        self.setCursor(Qt.PointingHandCursor)
        self._shows_focus = False
        self.set_look(look)
        self.hide()

    def set_look(self, look: Look) -> None:
        self.look = look
        key = look.keys.cap(Deed.SNAPSHOT)
        self.setAccessibleName(f"Snapshot, {key}")
        self.setToolTip(f"Snapshot ({key})")
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        outline = QPainterPath()
        radius = RADIUS * self.look.scale
        outline.addRoundedRect(QRectF(self.rect()), radius, radius)
        self.setMask(QRegion(outline.toFillPolygon().toPolygon()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.isAutoRepeat():
            self.click()
        else:
            event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._shows_focus = came_by_keyboard(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._shows_focus = False
        self.update()

    def paint(self, ink: Ink) -> None:
        rect = ink.rect
        ink.painter.fillRect(rect, TRACK if self.isDown() or self.underMouse() else PLATE_SOLID)
        if self._shows_focus:
            ink.plate(rect, edge=ON_PLATE, radius=RADIUS, width=FOCUS)
        ink.icon(Icon.CAMERA, rect.center().x() - 10, rect.center().y() - 10, ON_PLATE)
