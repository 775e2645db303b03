"""Who drives: a badge for the top bar."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_app.card import Instrument
from desktop_app.icons import Icon
from desktop_app.ink import Ink
from desktop_app.theme import BODY, MISSING, SECOND, SMALL_READOUT
from desktop_app.view import Connection, View


@dataclass(frozen=True, slots=True)
class LeaseContent:
    who: str
    under: str
    short: str
    tone: str  # of who
    under_tone: str


class LeaseBadge(Instrument[LeaseContent]):
    """ "You drive", "Grace drives" or nobody; what is assumed says how old it is."""

    title = "Lease"

    def read(self, view: View) -> LeaseContent:
        if view.connection in (Connection.NONE, Connection.CONNECTING) or view.status is None:
            return LeaseContent(MISSING, "nobody drives", MISSING, "text3", "text2")
        who = (
            "You" if view.has_lease else view.status.holder_name or ("Somebody" if view.status.holder else "")
        )
        if view.is_assumed:
            aged = f"{view.status_age_s:.1f} s ago"
            return LeaseContent(who or MISSING, aged, who or MISSING, "text3", "amber")
        if view.has_lease:
            return LeaseContent("You drive", "lease held", "You", "text", "text2")
        if who:
            return LeaseContent(f"{who} drives", "you watch", who, "text", "text2")
        return LeaseContent(MISSING, "nobody drives", MISSING, "text3", "text2")

    def words(self, content: LeaseContent) -> str:
        return f"{content.who.replace(MISSING, '')} {content.under}".strip()

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def draw(self, ink: Ink, content: LeaseContent) -> None:
        palette = self.look.palette
        middle = ink.rect.height() / 2
        color = getattr(palette, content.tone)
        ink.icon(Icon.PERSON, 0, middle - 9, color if content.tone == "text3" else palette.text, 19)
        left = 27.0
        room = ink.rect.width() - left
        if self.is_compact:
            who = ink.shorten(content.short, BODY, room, bold=True)
            ink.text(left, middle + 5, who, BODY, color, bold=True, room=room)
            return
        who = ink.shorten(content.who, BODY + 1, room, bold=True)
        ink.text(left, middle - 4, who, min(BODY + 1, SMALL_READOUT), color, bold=True, room=room)
        ink.text(left, middle + 16, content.under, SECOND, getattr(palette, content.under_tone), room=room)
