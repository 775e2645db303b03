"""One line of the gamepad sheet: what an input is for, which one it is, and where it stands now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QRectF
from PyQt5.QtWidgets import QWidget

from desktop_app.card import Instrument
from desktop_app.icons import Icon
from desktop_app.ink import Ink
from desktop_app.pad_mapping import TITLES, Role, value, words
from desktop_app.theme import BODY, Look
from desktop_app.view import PadInputs, View

BAR: Final = 104.0
BUTTON: Final = 84.0  # room for the one at the right
_NAME_AT: Final = 138.0


@dataclass(frozen=True, slots=True)
class RowContent:
    name: str  # of the input; "" has none yet
    at: float  # rounded as drawn
    is_waiting: bool


class RoleRow(Instrument[RowContent]):
    """Shows the pad it was given last."""

    def __init__(self, look: Look, role: Role, parent: QWidget) -> None:
        self.role = role
        self.title = TITLES[role]
        self._pad: PadInputs | None = None
        self._input = ""
        self._is_waiting = False
        super().__init__(look, parent)

    def show_pad(self, pad: PadInputs | None, name: str, *, is_waiting: bool) -> None:
        """`name` is the input that has this role."""
        self._pad, self._input, self._is_waiting = pad, name, is_waiting
        self.refresh()

    def read(self, view: View) -> RowContent:
        if self._pad is None or not self._input:
            return RowContent("", 0.0, self._is_waiting)
        at = value(self.role, self._input, self._pad)
        return RowContent(words(self.role, self._input), round(at, 2), self._is_waiting)

    def words(self, content: RowContent) -> str:
        if self.role.is_axis:
            return f"{content.name or 'not set'}, {content.at:.1f}"
        return f"{content.name or 'not set'}, {'down' if content.at else 'up'}"

    def draw(self, ink: Ink, content: RowContent) -> None:
        palette, rect = self.look.palette, ink.rect
        ink.plate(rect, palette.raised, palette.accent if content.is_waiting else palette.line)
        middle = rect.height() / 2
        x = 12.0
        if self.role is Role.E_STOP:
            ink.icon(Icon.OCTAGON, x, middle - 9, palette.red, 18)
            x += 24
        ink.text(x, middle + 4.5, self.title, BODY, palette.text, bold=True, room=_NAME_AT - x - 8)
        bar = QRectF(rect.width() - BUTTON - BAR - 10, middle - 5, BAR, 10)
        name, tone = (content.name, palette.text2) if content.name else ("not set", palette.amber)
        room = bar.left() - _NAME_AT - 12
        ink.text(_NAME_AT, middle + 4.5, ink.shorten(name, BODY, room), BODY, tone, room=room)
        if self.role.is_axis:
            self._draw_bar(ink, bar, content.at)
        else:
            self._draw_lamp(ink, bar, content.at > 0.0)

    def _draw_bar(self, ink: Ink, bar: QRectF, at: float) -> None:
        """Steering from the middle, + left; a trigger from its left end."""
        palette = self.look.palette
        ink.plate(bar, palette.panel, palette.edge, radius=5)
        inside = bar.adjusted(2, 2, -2, -2)
        zero, reach = inside.left(), inside.width()
        if self.role is Role.STEER:
            zero, reach = inside.center().x(), -inside.width() / 2
            ink.line(zero, bar.top() - 3, zero, bar.bottom() + 3, palette.edge, 1.25)
        if at:
            ink.plate(
                QRectF(zero, inside.top(), at * reach, inside.height()).normalized(), palette.accent, radius=3
            )

    def _draw_lamp(self, ink: Ink, bar: QRectF, is_down: bool) -> None:
        palette = self.look.palette
        lamp = QRectF(bar.left(), bar.center().y() - 8, 16, 16)
        ink.plate(lamp, palette.accent if is_down else None, palette.edge, radius=8, width=1.5)
        ink.text(lamp.right() + 8, bar.center().y() + 4.5, "down" if is_down else "up", BODY, palette.text2)
