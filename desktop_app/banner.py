"""The state banner: what the motors may do now, why, and the one thing to do about it."""

from __future__ import annotations

from PyQt5.QtCore import QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QPainterPath
from PyQt5.QtWidgets import QWidget

from desktop_app.banner_words import Action, Says, Shape, banner_says
from desktop_app.button import Button, Tone
from desktop_app.card import Instrument
from desktop_app.ink import Ink
from desktop_app.theme import AGE, AMBER_FILL, AXIS, BANNER, BODY, ON_AMBER, ON_RED, RED_FILL, SECOND, Look
from desktop_app.view import View

RADIUS = 8.0
HATCH_WIDTH = 20.0

_TONES = {
    Shape.SOLID: Tone.ON_ACCENT,
    Shape.HATCHED: Tone.ON_AMBER,
    Shape.INSET: Tone.ON_RED,
}


class Banner(Instrument[Says]):
    """Emits what the person wants; RESET only after it was held for one second."""

    title = "State"
    asked = pyqtSignal(object)  # an Action

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(look, parent)
        self.button = Button(look, "", self)
        self.button.clicked.connect(lambda: self.asked.emit(self.content.action))
        self.button.held.connect(lambda: self.asked.emit(Action.RESET))
        self._dress()

    def read(self, view: View) -> Says:
        return banner_says(view)

    def words(self, content: Says) -> str:
        parts = (content.name, content.under, *content.lines)
        return ". ".join(part.rstrip(".") for part in parts if part)

    def refresh(self) -> None:
        before = self.content
        super().refresh()
        if self.content is not before:
            self._dress()

    def set_look(self, look: Look, *, is_compact: bool) -> None:
        self.button.set_look(look)
        super().set_look(look, is_compact=is_compact)
        self._dress()

    def _dress(self) -> None:
        action = self.content.action
        tone = _TONES.get(self.content.shape, Tone.PLAIN)
        self.button.show_as(
            action.word, self.look.keys.cap(action.deed), tone, needs_hold=action is Action.RESET
        )
        self._place()

    def _place(self) -> None:
        scale = self.look.scale
        size = self.design_size()
        width = self.button.design_width()
        margin = (size.height() - 32) / 2 if self.is_compact else 8.0
        end = HATCH_WIDTH if self.content.shape is Shape.HATCHED else 0.0
        left = size.width() - width - end - max(margin, 4.0)
        self.button.setGeometry(
            round(left * scale),
            round((size.height() - 32) / 2 * scale),
            round(width * scale),
            round(32 * scale),
        )

    def resizeEvent(self, event: object) -> None:
        self._place()

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def draw(self, ink: Ink, content: Says) -> None:
        color = self._draw_shape(ink, content.shape)
        middle = ink.rect.height() / 2
        end = HATCH_WIDTH if content.shape is Shape.HATCHED else 0.0
        left = 16.0 + end
        ink.icon(content.icon, left, middle - 11, color, 22)
        left += 36
        name_px = AGE if self.is_compact else BANNER
        right = self.button.x() / self.look.scale - 12
        under = content.under if not self.is_compact else ""
        baseline = middle + (0.0 if under else 8.0)
        room = right - left
        width = ink.text(left, baseline, content.name, name_px, color, bold=True, room=room)
        if under:
            width = max(width, ink.text(left, middle + 17, under, SECOND, color))
        elif content.under and self.is_compact:
            width += 8 + ink.text(left + width + 8, baseline, content.under, SECOND, color)
        left += width + 16
        self._draw_sentence(ink, content, left, right - left, middle, color)
        if self.button.shows_focus:
            scale = self.look.scale
            around = QRectF(self.button.geometry())
            air = 2.0 if self.is_compact else 4.0  # the compact banner is 4 px higher than its button
            box = QRectF(around.topLeft() / scale, around.size() / scale).adjusted(-air, -air, air, air)
            ink.plate(box, edge=color, radius=8, width=2)

    def _draw_sentence(
        self, ink: Ink, content: Says, x: float, room: float, middle: float, color: QColor
    ) -> None:
        """Two lines, or the short one on one line or two: whatever fits, and never a part of it."""
        lettering = self.look.type
        if not self.is_compact:
            full = [line for line in content.lines if line]
            if all(ink.fits(line, BODY, room) for line in full):
                self._draw_lines(ink, full, BODY, x, middle, color)
                return
        for size in (BODY, SECOND, AXIS, AXIS - 1):
            lines = lettering.wrap(content.short, size, room)
            if len(lines) <= (1 if size == BODY and self.is_compact else 2):
                self._draw_lines(ink, lines, size, x, middle, color)
                return

    def _draw_lines(
        self, ink: Ink, lines: list[str], size: int, x: float, middle: float, color: QColor
    ) -> None:
        step = size + (4.0 if self.is_compact else 6.0)
        baseline = middle + size * 0.36 - step / 2 * (len(lines) - 1)
        for line in lines:
            ink.text(x, baseline, line, size, color)
            baseline += step

    def _draw_shape(self, ink: Ink, shape: Shape) -> QColor:
        """Fill and frame; returns the colour of what is written on it."""
        palette = self.look.palette
        rect = ink.rect
        match shape:
            case Shape.SOLID:
                ink.plate(rect, palette.accent, radius=RADIUS)
                return palette.on_accent
            case Shape.HATCHED:
                ink.plate(rect, AMBER_FILL, radius=RADIUS)
                outline = QPainterPath()
                outline.addRoundedRect(rect, RADIUS, RADIUS)
                for x in (0.0, rect.width() - HATCH_WIDTH):
                    strip = QPainterPath()
                    strip.addRect(QRectF(x, 0, HATCH_WIDTH, rect.height()))
                    ink.hatch(outline.intersected(strip), ON_AMBER, pitch=12, width=4.5)
                return ON_AMBER
            case Shape.INSET:
                ink.plate(rect, RED_FILL, radius=RADIUS)
                ink.plate(rect.adjusted(4, 4, -4, -4), edge=ON_RED, radius=RADIUS - 3, width=1.5)
                return ON_RED
            case Shape.UNSURE:
                ink.plate(rect, edge=palette.red, radius=RADIUS, width=2)
                ink.plate(rect.adjusted(5, 5, -5, -5), edge=palette.red, radius=RADIUS - 4, width=1.5)
                return palette.red
            case Shape.STARTING:
                ink.plate(rect, edge=palette.accent, radius=RADIUS, width=2)
                ink.plate(QRectF(0, 0, 8, rect.height()), palette.accent, radius=4)
                return palette.text
            case Shape.DASHED:
                ink.plate(rect, edge=palette.text3, radius=RADIUS, width=1.5, style=Qt.DashLine)
                return palette.text2
            case _:
                ink.plate(rect, edge=palette.text, radius=RADIUS, width=2)
                return palette.text
