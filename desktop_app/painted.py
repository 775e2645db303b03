"""Widgets that draw themselves with `Ink`, in design px: what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt5.QtCore import QPointF, QRectF, QSizeF
from PyQt5.QtGui import QFocusEvent, QPainter, QPaintEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.ground import came_by_keyboard, update_ring
from desktop_app.ink import Drawn, Ink
from desktop_app.theme import Look

if TYPE_CHECKING:
    Base = QWidget
else:
    Base = object  # Qt allows one of its own classes among the bases: the other one


class Painted(Base):
    """Stands before the widget class among the bases.  GUI thread."""

    look: Look
    drawn: tuple[Drawn, ...] = ()  # the texts of the newest paint

    def paint(self, ink: Ink) -> None:
        """Fill `ink.rect`, which is the whole widget."""
        raise NotImplementedError

    def design_size(self) -> QSizeF:
        return QSizeF(self.width() / self.look.scale, self.height() / self.look.scale)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.scale(self.look.scale, self.look.scale)
        ink = Ink(painter, self.look, QRectF(QPointF(), self.design_size()))
        self.paint(ink)
        painter.end()
        self.drawn = tuple(ink.drawn)


class Ringed(Painted):
    """Has a ring around it while it has the focus by the keyboard; its parent, a Ground, draws that."""

    shows_focus = False

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.shows_focus = came_by_keyboard(event)
        update_ring(self)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.shows_focus = False
        update_ring(self)
