"""What the robot is, and whether its streams are well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from desktop_app.card import NO_SIDE, PADDING, Card, Side
from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.theme import AXIS, BODY, MISSING, READOUT, SECOND, SMALL_READOUT
from desktop_app.view import Connection, View

COLUMNS: Final = 3


@dataclass(frozen=True, slots=True)
class Health:
    title: str
    is_ok: bool


@dataclass(frozen=True, slots=True)
class RobotContent:
    name: str = ""
    board: str = ""
    icon: Icon = Icon.CAR
    side: Side = NO_SIDE
    streams: tuple[Health, ...] = ()
    is_old: bool = False

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(stream.title for stream in self.streams if not stream.is_ok)


class RobotCard(Card[RobotContent]):
    title = "Robot"

    def read(self, view: View) -> RobotContent:
        robot = view.description
        if view.connection in (Connection.NONE, Connection.CONNECTING) or robot is None:
            return RobotContent()
        streams = [Health(stream.title or stream.name, stream.state == "ok") for stream in robot.streams]
        if robot.has_camera and not any(stream.name == "camera" for stream in robot.streams):
            streams.insert(0, Health("Camera", True))
        side = Side("Simulated") if robot.simulated else NO_SIDE
        if view.is_assumed:
            side = Side(f"{view.status_age_s:.1f} s ago", "amber")
        board = f"{robot.board} · agent {robot.version}" if robot.version else robot.board
        icon = Icon.CHIP if robot.simulated else Icon.CAR
        return RobotContent(robot.name, board, icon, side, tuple(streams), view.is_assumed)

    def side(self, content: RobotContent) -> Side:
        return content.side if not self.is_compact else NO_SIDE

    def words(self, content: RobotContent) -> str:
        if not content.name:
            return "no robot"
        return f"{content.name}, {content.board}. {_health(content)[0]}"

    def backdrop(self, ink: Ink) -> None:
        if self.is_compact:  # no room for a title
            palette = self.look.palette
            ink.painter.fillRect(ink.rect, palette.window)
            ink.plate(ink.rect, palette.panel, palette.line if palette.name == "light" else None)
        else:
            super().backdrop(ink)

    def draw(self, ink: Ink, content: RobotContent) -> None:
        palette, rect = self.look.palette, ink.rect
        if not content.name:
            y = rect.center().y() + 6
            ink.text(rect.center().x(), y, MISSING, SMALL_READOUT, palette.text3, align=Align.CENTER)
            return
        color = palette.text3 if content.is_old else palette.text
        if self.is_compact:
            self._draw_compact(ink, content, rect.center().y())
            return
        left = PADDING + 40
        room = rect.width() - left - PADDING
        ink.icon(content.icon, PADDING, 35, color, 28)
        name = ink.shorten(content.name, READOUT - 2, room, bold=True)
        ink.text(left, 48, name, READOUT - 2, color, bold=True, room=room)
        board = ink.shorten(content.board, SECOND, room)
        ink.text(left, 65, board, SECOND, palette.text2, room=room)
        y = rect.height() - 27
        faults = content.faults
        if faults:
            words, more = _health(content)
            ink.text(
                PADDING,
                y,
                ink.shorten(words, BODY, rect.width() - 32, bold=True),
                BODY,
                palette.amber,
                bold=True,
            )
            ink.text(PADDING, y + 17, more, SECOND, palette.text2, room=rect.width() - 32)
            return
        self._draw_streams(ink, content, y, color is palette.text3)

    def _draw_streams(self, ink: Ink, content: RobotContent, y: float, is_old: bool) -> None:
        palette = self.look.palette
        shown = content.streams[:COLUMNS]
        if len(content.streams) > COLUMNS:
            shown = content.streams[: COLUMNS - 1]
        step = (ink.rect.width() - 2 * PADDING) / COLUMNS
        x = PADDING
        for stream in shown:
            ink.text(x, y, ink.shorten(stream.title, SECOND, step - 8), SECOND, palette.text2, room=step - 8)
            ink.text(x, y + 18, "ok", BODY + 1, palette.text3 if is_old else palette.text, bold=True)
            x += step
        if len(shown) < len(content.streams):
            ink.text(x, y, f"{len(content.streams) - len(shown)} more", SECOND, palette.text2, room=step - 8)
            ink.text(x, y + 18, "ok", BODY + 1, palette.text3 if is_old else palette.text, bold=True)

    def _draw_compact(self, ink: Ink, content: RobotContent, middle: float) -> None:
        palette, rect = self.look.palette, ink.rect
        color = palette.text3 if content.is_old else palette.text
        health, _ = _health(content)
        right = rect.width() - PADDING
        tone = palette.amber if content.faults else palette.text2
        width = ink.text(right, middle - 5, health, BODY, tone, align=Align.RIGHT, room=130)
        side = content.side
        ink.text(right, middle + 15, side.text, SECOND, getattr(palette, side.tone), align=Align.RIGHT)
        width = max(width, ink.width(side.text, SECOND))
        ink.icon(content.icon, PADDING, middle - 13, color, 26)
        left = PADDING + 38
        room = right - width - 10 - left
        name = ink.shorten(content.name, SMALL_READOUT, room, bold=True)
        ink.text(left, middle - 4, name, SMALL_READOUT, color, bold=True, room=room)
        ink.text(left, middle + 15, ink.shorten(content.board, AXIS, room), AXIS, palette.text2, room=room)


def _health(content: RobotContent) -> tuple[str, str]:
    """How the streams are, and what to do about it."""
    faults = content.faults
    if len(faults) == 1:
        return f"{faults[0]}: fault", "On the robot: pynet-agent doctor"
    if faults:
        return f"{len(faults)} streams: fault", "On the robot: pynet-agent doctor"
    return (f"{len(content.streams)} streams ok" if content.streams else "No sensors yet."), ""
