"""Which robot this window belongs to; a click opens the connect sheet."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_app.card import Instrument
from desktop_app.icons import Icon
from desktop_app.ink import Ink
from desktop_app.keys import Deed
from desktop_app.theme import AXIS, BODY, SECOND, SMALL_READOUT
from desktop_app.view import Connection, View
from pynet_car.messages import DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class ChipContent:
    icon: Icon
    name: str
    under: str


class RobotChip(Instrument[ChipContent]):
    title = "Robot"
    is_pressable = True

    def read(self, view: View) -> ChipContent:
        if view.connection is Connection.NONE:
            return ChipContent(Icon.CAR, "No robot", "choose one")
        icon = Icon.CHIP if view.simulated else Icon.CAR
        address = view.address.removesuffix(f":{DEFAULT_PORT}")
        name = view.robot_name or address
        where = f"{address} · simulated" if view.simulated else address
        if view.connection is Connection.CONNECTING:
            where = "connecting…"
        return ChipContent(icon, name, where)

    def words(self, content: ChipContent) -> str:
        return f"{content.name}, {content.under}. {self.look.keys.cap(Deed.ROBOTS)} for others."

    def backdrop(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.painter.fillRect(ink.rect, palette.panel)
        ink.plate(ink.rect, palette.raised, palette.edge)

    def draw(self, ink: Ink, content: ChipContent) -> None:
        palette = self.look.palette
        rect, middle = ink.rect, ink.rect.height() / 2
        ink.icon(content.icon, 9, middle - 10, palette.text)
        if self.is_compact:
            self._draw_compact(ink, content.name, middle)
            return
        right = rect.width() - 34
        ink.icon(Icon.CHEVRON, right + 10, middle - 9, palette.text2, 18)
        left = 36.0
        room = right - left
        name = ink.shorten(content.name, SMALL_READOUT, room, bold=True)
        ink.text(left, middle - 4, name, SMALL_READOUT, palette.text, bold=True, room=room)
        under = content.under
        if not ink.fits(under, SECOND, room):  # "simulated" must stay; the port need not
            host, dot, rest = under.partition(" · ")
            under = f"{host.rpartition(':')[0] or host}{dot}{rest}"
        under = ink.shorten(under, SECOND, room)
        ink.text(left, middle + 15.5, under, SECOND, palette.text2, room=room)

    def _draw_compact(self, ink: Ink, name: str, middle: float) -> None:
        """The name alone: with the chevron if there is room, else in two lines."""
        color, left = self.look.palette.text, 33.0
        room = ink.rect.width() - left - 8
        if ink.fits(name, BODY, room - 16, bold=True):
            ink.icon(Icon.CHEVRON, ink.rect.width() - 22, middle - 8, self.look.palette.text2, 16)
        lines = (
            [name]
            if ink.fits(name, BODY, room, bold=True)
            else self.look.type.wrap(name, AXIS, room, bold=True)
        )
        if len(lines) > 2:
            rest = " ".join(name.split()).removeprefix(lines[0]).lstrip()
            lines = [lines[0], ink.shorten(rest, AXIS, room, bold=True)]
        size, y = (BODY, middle + 5) if len(lines) == 1 else (AXIS, middle - 3)
        for line in lines:
            ink.text(left, y, line, size, color, bold=True, room=room)
            y += 14
