"""What happened, newest first: a card in the left column, and the whole log in the bottom panel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from PyQt5.QtCore import QRectF
from PyQt5.QtGui import QColor, QWheelEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.card import PADDING, Card, Instrument, Side
from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.keys import Deed
from desktop_app.theme import BODY, SECOND, Look
from desktop_app.view import EventView, View
from pynet_car.messages import Severity

NOTHING: Final = "Nothing has happened yet."
MAX_CHARS: Final = 240  # of one text: a robot may send anything
MAX_LINES: Final = 3  # on the card
LOG_ROW: Final = 24.0

_ICONS: Final[dict[str, Icon]] = {
    "armed": Icon.WHEEL,
    "disarmed": Icon.LOCK,
    "e_stop": Icon.OCTAGON,
    "reset": Icon.CHECK,
    "lease_taken": Icon.PERSON,
    "lease_lost": Icon.PERSON,
    "failsafe_on": Icon.TRIANGLE,
    "failsafe_off": Icon.CHECK,
    "snapshot": Icon.CAMERA,
}


@dataclass(frozen=True, slots=True)
class Row:
    icon: Icon
    tone: str  # of the icon, a role of the palette
    is_bold: bool
    head: str
    more: str
    time: str


def row_of(event: EventView) -> Row:
    """One event as it is written."""
    severity = event.event.severity
    text = " ".join(event.event.text.split())
    text = text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"
    head, _, more = text.partition(": ")
    if not more:
        head, _, more = text.partition("; ")
    if not more:
        head, more = _sentences(text)
    head = head.removesuffix(".") if not more else head.rstrip(".")
    more = more.removesuffix(".")
    if event.count > 1:
        more = f"{more} × {event.count}" if more else f"× {event.count}"
    usual = _ICONS.get(event.event.kind, Icon.INFO)
    match severity:
        case Severity.INFO:
            icon, tone = usual, "text2"
        case Severity.WARNING:
            icon, tone = (usual if usual is not Icon.INFO else Icon.TRIANGLE), "amber"
        case _:
            icon, tone = (usual if usual is not Icon.INFO else Icon.TRIANGLE), "red"
    at = datetime.fromtimestamp(event.at_s)
    return Row(icon, tone, severity is not Severity.INFO, head, more, f"{at:%H:%M:%S}")


class EventsCard(Card[tuple[Row, ...]]):
    """As many of the newest as there is room for; the log shows all."""

    title = "Events"
    is_pressable = True

    def read(self, view: View) -> tuple[Row, ...]:
        return tuple(row_of(event) for event in view.events[:24])

    def side(self, content: tuple[Row, ...]) -> Side:
        return Side(self.look.keys.cap(Deed.LOG), "text3")

    def words(self, content: tuple[Row, ...]) -> str:
        return f"{content[0].time} {content[0].head} {content[0].more}".strip() if content else NOTHING

    def draw(self, ink: Ink, content: tuple[Row, ...]) -> None:
        palette, rect = self.look.palette, ink.rect
        if not content:
            ink.text(PADDING, 56, NOTHING, BODY, palette.text3, room=rect.width() - 2 * PADDING)
            return
        y = 50.0
        left = PADDING + 21
        room = rect.width() - left - PADDING
        for row in content:
            time_width = ink.width(row.time, SECOND)
            heads = ink.look.type.wrap(row.head, BODY, room - time_width - 10, bold=row.is_bold)[:MAX_LINES]
            mores = ink.look.type.wrap(row.more, SECOND, room)[:MAX_LINES]
            height = 18.0 * len(heads) + 17.0 * len(mores)
            if y - 13 + height > rect.height() - 10:
                break
            ink.icon(row.icon, PADDING - 2, y - 14, getattr(palette, row.tone), 18)
            ink.text(rect.width() - PADDING, y, row.time, SECOND, palette.text3, align=Align.RIGHT)
            for line in heads:
                ink.text(left, y, line, BODY, palette.text, bold=row.is_bold)
                y += 18
            for line in mores:
                ink.text(left, y, line, SECOND, palette.text2)
                y += 17
            y += 10


class Log(Instrument[tuple[Row, ...]]):
    """Every event that is kept, one line each; the wheel and the arrow keys look back."""

    title = "Log"

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        self._first = 0
        super().__init__(look, parent)

    def read(self, view: View) -> tuple[Row, ...]:
        return tuple(row_of(event) for event in view.events)

    def words(self, content: tuple[Row, ...]) -> str:
        return f"{len(content)} events" if content else NOTHING

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.scroll_by(-round(event.angleDelta().y() / 40))
        event.accept()

    def scroll_by(self, rows: int) -> None:
        """Look further back, or forward again."""
        last = max(0, len(self.content) - self._rows_shown())
        first = max(0, min(last, self._first + rows))
        if first != self._first:
            self._first = first
            self.update()

    def _rows_shown(self) -> int:
        return max(1, int((self.design_size().height() - 10) // LOG_ROW))

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def draw(self, ink: Ink, content: tuple[Row, ...]) -> None:
        palette, rect = self.look.palette, ink.rect
        if not content:
            ink.text(PADDING, 30, NOTHING, BODY, palette.text3)
            return
        count = self._rows_shown()
        self._first = max(0, min(self._first, len(content) - count))
        y = 22.0
        for row in content[self._first : self._first + count]:
            ink.text(PADDING, y, row.time, SECOND, palette.text3)
            x = PADDING + ink.width(row.time, SECOND) + 12
            ink.icon(row.icon, x, y - 13, getattr(palette, row.tone), 17)
            x += 26
            right = rect.width() - PADDING - 8
            head = ink.look.type.shorten(row.head, BODY, right - x, bold=row.is_bold)
            x += ink.text(x, y, head, BODY, palette.text, bold=row.is_bold) + 10
            if row.more and right - x > 60:
                ink.text(x, y, ink.look.type.shorten(row.more, SECOND, right - x), SECOND, palette.text2)
            y += LOG_ROW
        if len(content) > count:
            self._draw_thumb(ink, count / len(content), self._first / len(content))

    def _draw_thumb(self, ink: Ink, share: float, start: float) -> None:
        track = QRectF(ink.rect.width() - 9, 6, 4, ink.rect.height() - 12)
        color = QColor(self.look.palette.edge)
        height = max(24.0, track.height() * share)
        ink.plate(
            QRectF(
                track.left(),
                track.top() + (track.height() - height) * min(1.0, start / max(0.01, 1 - share)),
                4,
                height,
            ),
            color,
            radius=2,
        )


def _sentences(text: str) -> tuple[str, str]:
    """The first sentence and the rest."""
    head, dot, more = text.partition(". ")
    return head + dot.strip(), more
