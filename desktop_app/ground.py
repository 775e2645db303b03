"""A plain ground that other widgets stand on, and that draws the focus ring outside of them."""

from __future__ import annotations

from PyQt5.QtCore import QRectF, Qt
from PyQt5.QtGui import QFocusEvent, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QWidget

from desktop_app.theme import Look

RING_PX = 4.0  # 2 px of air, 2 px of line


class Ground(QWidget):
    """Fills itself with one colour of the theme.  Its children have at least RING_PX of room around them."""

    role = "window"  # of the palette

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.look = look

    def set_look(self, look: Look) -> None:
        self.look = look
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(event.rect(), getattr(self.look.palette, self.role))
        self.draw_more(painter)
        focused = self.focusWidget()
        if focused is not None and focused.parentWidget() is self and getattr(focused, "shows_focus", False):
            draw_ring(painter, focused, self.look)
        painter.end()

    def draw_more(self, painter: QPainter) -> None:
        """For lines and words of its own."""


def draw_ring(painter: QPainter, around: QWidget, look: Look) -> None:
    """The focus: a 2 px accent line, 2 px outside."""
    painter.setRenderHint(QPainter.Antialiasing)
    painter.setPen(QPen(look.palette.accent, 2))
    painter.setBrush(Qt.NoBrush)
    painter.drawRoundedRect(QRectF(around.geometry()).adjusted(-3, -3, 3, 3), 9, 9)


def came_by_keyboard(event: QFocusEvent) -> bool:
    """Whether the ring is wanted: who clicked knows where."""
    return event.reason() in (Qt.TabFocusReason, Qt.BacktabFocusReason, Qt.ShortcutFocusReason)


def update_ring(around: QWidget) -> None:
    """Have the parent draw, or wipe, the ring."""
    around.update()
    parent = around.parentWidget()
    if parent is not None:
        air = round(RING_PX) + 1
        parent.update(around.geometry().adjusted(-air, -air, air, air))
