"""Push buttons in the window's own look: a word, perhaps an icon and a key cap; some need to be held."""

from __future__ import annotations

import enum
from typing import Final

from PyQt5.QtCore import QElapsedTimer, QEvent, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent
from PyQt5.QtWidgets import QAbstractButton, QWidget

from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.painted import Ringed
from desktop_app.theme import AXIS, BODY, ON_RED, RED_FILL, Look

HOLD_S: Final = 1.0
DARK_PLATE: Final = QColor("#06121C")
_HOLD_STEP_MS: Final = 50


class Tone(enum.Enum):
    PLAIN = "raised, with an edge"
    ACCENT = "the one thing to do"
    ON_ACCENT = "plate on the accent fill"
    ON_AMBER = "dark plate on the amber fill"
    ON_RED = "white plate on the red fill"


class Button(Ringed, QAbstractButton):
    """A button of at least 32 px; clicked with the mouse, or with Enter when it has the focus.

    `hold` buttons emit `held` after one second of pressing and never `clicked`.
    A click does not take the focus away from the picture.  GUI thread.
    """

    held = pyqtSignal()

    def __init__(
        self,
        look: Look,
        text: str,
        parent: QWidget | None = None,
        *,
        key: str = "",
        icon: Icon | None = None,
        tone: Tone = Tone.PLAIN,
    ) -> None:
        super().__init__(parent)
        self.look = look
        self.key = key
        self.mark = icon
        self.tone = tone
        self._needs_hold = False
        self._held_s = 0.0
        self._since = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setInterval(_HOLD_STEP_MS)
        self._timer.timeout.connect(self._count_hold)
        self.setText(text)
        self.setFocusPolicy(Qt.TabFocus)

    def show_as(self, text: str, key: str, tone: Tone, *, needs_hold: bool = False) -> None:
        """Another word, cap and look; ends a hold that has begun when the action is another."""
        if (text, key, tone, needs_hold) == (self.text(), self.key, self.tone, self._needs_hold):
            return
        self.end_hold()
        self.key, self.tone, self._needs_hold = key, tone, needs_hold
        self.setText(text)
        self.setAccessibleName(f"{text}, {key}" + (", hold one second" if needs_hold else ""))
        self.update()

    def set_look(self, look: Look) -> None:
        self.look = look
        self.update()

    def design_width(self) -> float:
        """What its words need, in design px."""
        width = 12 + self.look.type.width(self.text(), BODY, True) + 12
        if self.mark is not None:
            width += 26
        if self.key:
            width += 10 + max(18.0, self.look.type.width(self.key, AXIS, False) + 12)
        return max(32.0, width)

    def sizeHint(self) -> QSize:
        return QSize(round(self.design_width() * self.look.scale), round(32 * self.look.scale))

    # Holding.

    def start_hold(self) -> None:
        """Begin to count one second of pressing."""
        if not self._timer.isActive():
            self._held_s = 0.0
            self._since.start()
            self._timer.start()
            self.update()

    def end_hold(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
        self._held_s = 0.0
        self.update()

    @property
    def is_held(self) -> bool:
        return self._timer.isActive()

    @property
    def held_share(self) -> float:
        return min(1.0, self._held_s / HOLD_S)

    def _count_hold(self) -> None:
        # While the window is stuck a finger may have gone up unseen: that time does not count.
        self._held_s += min(self._since.restart(), 2 * _HOLD_STEP_MS) / 1000
        if self._held_s >= HOLD_S - 1e-9:
            self.end_hold()
            self.held.emit()
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self._needs_hold and event.button() == Qt.LeftButton:
            self.start_hold()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.end_hold()
        if self._needs_hold:  # a short press is no click
            self.setDown(False)
            return
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter):
            if self._needs_hold:
                if not event.isAutoRepeat():
                    self.start_hold()
            elif not event.isAutoRepeat():
                self.click()
            return
        event.ignore()  # Space is the E-STOP, whatever has the focus

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if not event.isAutoRepeat():
            self.end_hold()
        event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.EnabledChange:
            self.end_hold()
        super().changeEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.end_hold()
        super().focusOutEvent(event)

    # Painting.

    def paint(self, ink: Ink) -> None:
        rect = ink.rect
        fill, edge, text = self._colors()
        ink.plate(rect, fill, edge, radius=7)
        if self.isDown() or self.underMouse():
            ink.plate(
                rect, QColor(text.red(), text.green(), text.blue(), 40 if self.isDown() else 18), radius=7
            )
        if self._held_s:
            ink.plate(QRectF(0, rect.height() - 5, rect.width() * self.held_share, 5), text, radius=2.5)
        self._draw_words(ink, text)

    def _draw_words(self, ink: Ink, color: QColor) -> None:
        rect = ink.rect
        middle = rect.height() / 2
        right = rect.width() - 12
        left = 12.0
        if self.key:
            right -= ink.key_cap(right, middle, self.key, color) + 10
        if self.mark is not None:
            if not self.text():
                left = rect.center().x() - 9
            ink.icon(self.mark, left, middle - 9, color, 18)
            left += 26
        room = right - left
        ink.text(
            left + room / 2, middle + 4.5, self.text(), BODY, color, bold=True, align=Align.CENTER, room=room
        )

    def _colors(self) -> tuple[QColor, QColor | None, QColor]:
        palette = self.look.palette
        if not self.isEnabled():
            return palette.panel, palette.line, palette.text3
        match self.tone:
            case Tone.ACCENT:
                return palette.accent, None, palette.on_accent
            case Tone.ON_ACCENT if palette.name == "light":
                return palette.panel, None, palette.accent
            case Tone.ON_ACCENT | Tone.ON_AMBER:
                return DARK_PLATE, None, ON_RED
            case Tone.ON_RED:
                return ON_RED, None, RED_FILL
            case _:
                return palette.raised, palette.edge, palette.text
