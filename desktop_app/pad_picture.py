"""A gamepad as it stands now, and how its stick feels: the live half of the gamepad sheet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QPainterPath, QPen, QPolygonF
from PyQt5.QtWidgets import QWidget

from desktop_app.card import Instrument
from desktop_app.ink import Align, Ink
from desktop_app.pad_mapping import USUAL, Role, input_of
from desktop_app.stick_feel import shape
from desktop_app.theme import AXIS, BODY, Look
from desktop_app.view import PadInputs, View

PICTURE_SIZE: Final = (320.0, 208.0)  # design px
FEEL_SIZE: Final = (132.0, 132.0)
_NO_PAD: Final = "No gamepad"
_STICKS: Final = {"left": (100.0, 92.0), "right": (190.0, 128.0)}
_ROUND: Final = {  # button: middle, radius, letter
    "y": (220.0, 76.0, 9.0, "Y"),
    "b": (238.0, 94.0, 9.0, "B"),
    "a": (220.0, 112.0, 9.0, "A"),
    "x": (202.0, 94.0, 9.0, "X"),
    "back": (142.0, 88.0, 6.0, ""),
    "start": (178.0, 88.0, 6.0, ""),
    "guide": (160.0, 72.0, 7.5, ""),
}
_DPAD: Final = {"dpup": (0, -1), "dpdown": (0, 1), "dpleft": (-1, 0), "dpright": (1, 0)}
_DPAD_AT: Final = (130.0, 128.0)


@dataclass(frozen=True, slots=True)
class PadContent:
    is_mapped: bool = True
    axes: tuple[tuple[str, float], ...] = ()
    buttons: tuple[tuple[str, bool], ...] = ()
    roles: tuple[tuple[str, str], ...] = ()  # input and role


class PadPicture(Instrument[PadContent]):
    """What is down is filled, what has a role is outlined in its colour."""

    title = "Gamepad"

    def __init__(self, look: Look, parent: QWidget) -> None:
        self._pad: PadInputs | None = None
        self._inputs: dict[Role, str] = {}
        super().__init__(look, parent)

    def show_pad(self, pad: PadInputs | None, inputs: dict[Role, str]) -> None:
        """`inputs` has each role's."""
        self._pad, self._inputs = pad, dict(inputs)
        self.refresh()

    def read(self, view: View) -> PadContent:
        if self._pad is None:
            return PadContent()
        return PadContent(
            is_mapped=self._pad.mapping is not None,
            axes=tuple((name, round(at, 2)) for name, at in self._pad.axes),
            buttons=self._pad.buttons,
            roles=tuple((name.lstrip("+-").rstrip("~"), role.value) for role, name in self._inputs.items()),
        )

    def words(self, content: PadContent) -> str:
        down = [name for name, is_down in content.buttons if is_down]
        moved = [f"{name} {at:.1f}" for name, at in content.axes if abs(at) > 0.3]
        return ", ".join((*moved, *down)) or "at rest"

    def draw(self, ink: Ink, content: PadContent) -> None:
        if not content.axes and not content.buttons:
            ink.painter.setPen(QPen(self.look.palette.line, 1.75))
            ink.painter.drawPath(_body())
            at = _body().boundingRect().center()
            ink.text(at.x(), at.y() - 8, _NO_PAD, BODY, self.look.palette.text3, align=Align.CENTER)
        elif content.is_mapped:
            self._draw_pad(ink, content)
        else:
            self._draw_numbers(ink, content)

    # A pad that SDL knows.

    def _draw_pad(self, ink: Ink, content: PadContent) -> None:
        palette = self.look.palette
        axes, buttons = dict(content.axes), dict(content.buttons)
        ink.painter.setPen(QPen(palette.edge, 1.75))
        ink.painter.setBrush(palette.raised)
        ink.painter.drawPath(_body())
        for side, x in (("left", 70.0), ("right", 206.0)):
            pull = max(0.0, axes.get(f"{side}trigger", 0.0))
            trigger = QRectF(x, 4, 44, 24)
            ink.plate(trigger, palette.panel, self._edge(content, f"{side}trigger"), radius=6, width=1.75)
            if pull:
                height = (trigger.height() - 5) * pull
                filled = QRectF(x + 2.5, trigger.bottom() - 2.5 - height, 39, height)
                ink.plate(filled, palette.accent, radius=3)
            shoulder = f"{side}shoulder"
            self._draw_key(ink, content, shoulder, QRectF(x - 6, 33, 56, 12), 6)
        for side, (x, y) in _STICKS.items():
            self._draw_stick(ink, content, side, QPointF(x, y), buttons.get(f"{side}stick", False))
        for name, (x, y, radius, letter) in _ROUND.items():
            if name in buttons:
                self._draw_key(
                    ink, content, name, QRectF(x - radius, y - radius, 2 * radius, 2 * radius), radius, letter
                )
        for name, (dx, dy) in _DPAD.items():
            if name in buttons:
                at = QPointF(_DPAD_AT[0] + 11 * dx, _DPAD_AT[1] + 11 * dy)
                self._draw_key(ink, content, name, QRectF(at.x() - 5, at.y() - 5, 10, 10), 2.5)

    def _draw_stick(self, ink: Ink, content: PadContent, side: str, at: QPointF, is_down: bool) -> None:
        palette = self.look.palette
        axes = dict(content.axes)
        if f"{side}x" not in axes and f"{side}y" not in axes:
            return
        edge = self._edge(content, f"{side}x", f"{side}y")
        ink.plate(QRectF(at.x() - 19, at.y() - 19, 38, 38), palette.panel, edge, radius=19, width=1.75)
        x = at.x() + 10 * axes.get(f"{side}x", 0.0)
        y = at.y() + 10 * axes.get(f"{side}y", 0.0)
        fill = palette.accent if is_down else palette.text2
        ink.plate(QRectF(x - 8, y - 8, 16, 16), fill, radius=8)

    def _draw_key(
        self, ink: Ink, content: PadContent, name: str, box: QRectF, radius: float, letter: str = ""
    ) -> None:
        palette = self.look.palette
        is_down = dict(content.buttons).get(name, False)
        fill = palette.accent if is_down else palette.panel
        ink.plate(box, fill, self._edge(content, name), radius=radius, width=1.75)
        if letter:
            color = palette.on_accent if is_down else palette.text2
            ink.text(box.center().x(), box.center().y() + 4, letter, AXIS, color, align=Align.CENTER)

    def _edge(self, content: PadContent, *names: str) -> QColor:
        """Red for the E-STOP, accent for another role, else quiet."""
        palette = self.look.palette
        roles = {role for name, role in content.roles if name in names}
        if Role.E_STOP.value in roles:
            return palette.red
        return palette.accent if roles else palette.edge

    # A joystick with numbers.

    def _draw_numbers(self, ink: Ink, content: PadContent) -> None:
        palette = self.look.palette
        y = 6.0
        for name, at in content.axes[:8]:
            ink.text(0, y + 9, f"Axis {int(name[1:]) + 1}", AXIS, palette.text2)
            bar = QRectF(52, y, 150, 10)
            ink.plate(bar, palette.panel, self._edge(content, name), radius=5, width=1.5)
            middle = bar.center().x()
            filled = QRectF(middle, y + 2, at * (bar.width() / 2 - 2), 6).normalized()
            ink.plate(filled, palette.accent, radius=2)
            y += 17
        x, y = 0.0, max(y + 6, 30.0)
        for name, is_down in content.buttons[:24]:
            label = str(int(name[1:]) + 1) if name.startswith("b") else "·"
            box = QRectF(x, y, 24, 20)
            ink.plate(
                box, palette.accent if is_down else None, self._edge(content, name), radius=5, width=1.5
            )
            color = palette.on_accent if is_down else palette.text2
            ink.text(box.center().x(), box.center().y() + 4, label, AXIS, color, align=Align.CENTER)
            x += 29
            if x + 24 > ink.rect.width():
                x, y = 0.0, y + 25


class FeelPlot(Instrument[tuple[float, float, float]]):
    """What the stick is pushed to, what the car is asked for: dead zone, curve, and where it stands."""

    title = "Feel of the stick"

    def __init__(self, look: Look, parent: QWidget) -> None:
        self._pad: PadInputs | None = None
        super().__init__(look, parent)

    def show_pad(self, pad: PadInputs | None) -> None:
        self._pad = pad
        self.refresh()

    def read(self, view: View) -> tuple[float, float, float]:
        mapping = (self._pad.mapping if self._pad else None) or USUAL
        axes = dict(self._pad.axes) if self._pad and self._pad.mapping else {}
        return (mapping.dead_zone, mapping.curve, round(abs(axes.get(input_of(mapping, Role.STEER), 0.0)), 2))

    def words(self, content: tuple[float, float, float]) -> str:
        dead_zone, curve, at = content
        return f"dead zone {dead_zone:.0%}, curve {curve:g}, pushed {at:.0%}"

    def draw(self, ink: Ink, content: tuple[float, float, float]) -> None:
        palette = self.look.palette
        dead_zone, curve, pushed = content
        area = ink.rect.adjusted(1, 1, -1, -1)
        ink.plate(area, palette.raised, palette.edge)

        def at(x: float) -> QPointF:
            inside = area.adjusted(8, 8, -8, -8)
            y = shape(x, dead_zone=dead_zone, curve=curve)
            return QPointF(inside.left() + x * inside.width(), inside.bottom() - y * inside.height())

        if dead_zone:
            left = at(0.0).x()
            ink.hatch(
                QRectF(left, area.top() + 8, at(dead_zone).x() - left, area.height() - 16), palette.line
            )
        ink.painter.setPen(QPen(palette.text2, 2, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
        ink.painter.setBrush(Qt.NoBrush)
        ink.painter.drawPolyline(QPolygonF([at(i / 40) for i in range(41)]))
        dot = at(min(1.0, pushed))
        ink.plate(QRectF(dot.x() - 5, dot.y() - 5, 10, 10), palette.accent, radius=5)


@cache
def _body() -> QPainterPath:
    """The outline of a gamepad in a box of PICTURE_SIZE."""
    path = QPainterPath(QPointF(92, 54))
    path.lineTo(228, 54)
    path.cubicTo(286, 54, 312, 180, 282, 194)
    path.cubicTo(256, 206, 240, 158, 212, 154)
    path.lineTo(108, 154)
    path.cubicTo(80, 158, 64, 206, 38, 194)
    path.cubicTo(8, 180, 34, 54, 92, 54)
    return path
