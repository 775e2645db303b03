"""F1: every key, and the gamepad's buttons."""

from __future__ import annotations

from typing import Final

from desktop_app.ink import Ink
from desktop_app.keys import GAMEPAD, LISTED
from desktop_app.sheet import SheetBody
from desktop_app.theme import AXIS, BODY, READOUT

STEP: Final = 30.0
CAPS: Final = 84.0  # room for key caps


class HelpSheet(SheetBody):
    title = "Keys"
    under = "Keys drive while the picture or the pad has the focus. The E-STOP works from anywhere."

    def wanted_height(self, width: float) -> float:
        columns = self._columns(width)
        rows = len(LISTED) + len(GAMEPAD) + 2 if columns == 1 else max((len(LISTED) + 1) // 2, 0) + 4
        return 34 + rows * STEP + (20 if columns == 1 else 0)

    def _columns(self, width: float) -> int:
        return 2 if width >= 560 else 1

    def write(self, ink: Ink) -> None:
        palette = self.look.palette
        width = ink.rect.width() - 8
        columns = self._columns(width)
        step = width / columns
        rows = (len(LISTED) + columns - 1) // columns
        for i, (key, what) in enumerate(LISTED):
            x, y = 4 + (i // rows) * step, 18 + (i % rows) * STEP
            self._row(ink, x, y, key, what, step)
        y = 18 + rows * STEP + 16
        ink.line(4, y - 22, 4 + width, y - 22, palette.line)
        ink.text(4, y + 2, "Gamepad", READOUT - 3, palette.text, bold=True)
        y += STEP + 2
        per = 3 if columns == 2 else 1
        for i, (key, what) in enumerate(GAMEPAD):
            self._row(ink, 4 + (i % per) * width / per, y + (i // per) * STEP, key, what, width / per)

    def _row(self, ink: Ink, x: float, y: float, key: str, what: str, room: float) -> None:
        palette = self.look.palette
        caps = key.split(" ") if key.count(" ") == 1 and len(key) == 3 else [key]
        right = x
        for cap in caps:
            width = max(20.0, ink.width(cap, AXIS) + 12)
            right += width
            ink.key_cap(right, y - 4, cap, palette.text2, 20)
            right += 6
        ink.text(x + CAPS, y, what, BODY, palette.text, room=room - CAPS - 12)
