"""F1: every key, each to be changed by a click on it, and the gamepad's buttons."""

from __future__ import annotations

from typing import Final

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QHideEvent, QShowEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.button import Button, Tone
from desktop_app.ink import Ink
from desktop_app.keys import ACTS, USUAL_KEYS, Act, Deed, KeyMap, chord_of, title_of
from desktop_app.pad_mapping import USUAL, listed
from desktop_app.sheet import SheetBody
from desktop_app.theme import AXIS, BODY, READOUT, SECOND, Look
from desktop_app.view import LIVE_STATES, View

ROW: Final = 40.0
PAD_ROW: Final = 28.0
GAP: Final = 28.0  # between columns
USUAL_WORDS: Final = "Click a key to change it."
_MODIFIERS: Final = (Qt.Key_Shift, Qt.Key_Control, Qt.Key_Alt, Qt.Key_AltGr, Qt.Key_Meta, Qt.Key_CapsLock)
_FOOT: Final = "Keys drive while the picture or the pad has the focus."


class HelpSheet(SheetBody):
    """Asks for another KeyMap; shows the one of its look."""

    title = "Keys"
    keys_asked = pyqtSignal(object)  # KeyMap
    gamepad_asked = pyqtSignal()

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._waiting: tuple[Act, int] | None = None  # which of whose keys the next press will be
        self.caps: dict[tuple[Act, int], Button] = {}
        for act in ACTS:
            for at in range(len(look.keys.caps(act))):
                button = Button(look, "", self)
                button.clicked.connect(lambda _=False, place=(act, at): self._wait_for(place))
                self.caps[act, at] = button
        self.gamepad = Button(look, "Change", self)
        self.gamepad.setAccessibleName("Change what the gamepad's buttons do")
        self.gamepad.clicked.connect(self.gamepad_asked)
        self.usual = Button(look, "Usual keys", self)
        self.usual.clicked.connect(lambda: self._ask(USUAL_KEYS))
        self._say(USUAL_WORDS)

    def first(self) -> QWidget:
        return self.caps[ACTS[0], 0]

    # Changing a key.

    def take_key(self, key: int, modifiers: Qt.KeyboardModifiers) -> bool:
        """A key went down, whatever it is for: True, it was waited for."""
        if self._waiting is None:
            return False
        act, at = self._waiting
        if key in _MODIFIERS:
            return True
        if key == Qt.Key_Escape and act is not Deed.DISARM_OR_CLOSE:
            self._wait_for(None)
            return True
        chord = chord_of(key, modifiers)
        if chord is None:
            self._say("Alt and the system's key are the system's. Press a key alone or with Ctrl.", "amber")
            return True
        try:
            self._ask(self.look.keys.with_key(act, at, chord))
        except ValueError as exc:
            self._say(f"{exc} Esc leaves it.", "amber")
        return True

    def _wait_for(self, place: tuple[Act, int] | None) -> None:
        if place is not None and self.view.has_lease and self.view.state in LIVE_STATES:
            place = None
            self._say("The car is armed. Disarm it, then change keys.", "amber")
        elif place is None or place == self._waiting:
            place = None
            self._say(USUAL_WORDS)
        else:
            self._say(f"Press the new key for: {title_of(place[0])}. Esc leaves it as it is.", "accent")
        self._waiting = place
        self._dress()

    def _ask(self, keys: KeyMap) -> None:
        self._wait_for(None)
        self.keys_asked.emit(keys)

    def _say(self, words: str, tone: str = "text2") -> None:
        self.under, self.under_tone = words, tone
        self.told.emit()

    def showEvent(self, event: QShowEvent) -> None:
        self._wait_for(None)

    def hideEvent(self, event: QHideEvent) -> None:
        self._waiting = None

    # What it looks like.

    def set_look(self, look: Look) -> None:
        super().set_look(look)
        self._dress()

    def show_view(self, view: View) -> None:
        before = self._pad_rows()
        super().show_view(view)
        if self._pad_rows() != before:
            self.update()

    def _dress(self) -> None:
        """Each cap's word."""
        keys = self.look.keys
        for (act, at), button in self.caps.items():
            is_waiting = (act, at) == self._waiting
            button.show_as("Press" if is_waiting else keys.caps(act)[at], "", _tone(is_waiting))
            button.setAccessibleName(f"{title_of(act)}: {button.text()}")
        self.gamepad.key = keys.cap(Deed.GAMEPAD)
        self.usual.setEnabled(not keys.is_usual)
        self.lay_out(self.width() / self.look.scale - 8)

    def _columns(self, width: float) -> int:
        return 3 if width >= 800 else 2

    def _rows(self, columns: int) -> int:
        return -(-(len(ACTS) + 1) // columns)  # the E-STOP's is one more

    def _cell(self, i: int, width: float) -> tuple[float, float, float]:
        """x, y and width of row number i; the E-STOP's is 0."""
        columns = self._columns(width)
        rows = self._rows(columns)
        wide = (width - GAP * (columns - 1)) / columns
        return 4 + (i // rows) * (wide + GAP), 4 + (i % rows) * ROW, wide

    def _pad_top(self, width: float) -> float:
        return 4 + self._rows(self._columns(width)) * ROW + 14

    def wanted_height(self, width: float) -> float:
        return self._pad_top(width) + 50 + 2 * PAD_ROW + 40

    def lay_out(self, width: float) -> None:
        for i, act in enumerate(ACTS):
            x, y, wide = self._cell(i + 1, width)
            right = x + wide
            for at in reversed(range(len(self.look.keys.caps(act)))):
                button = self.caps[act, at]
                cap = max(40.0, button.design_width())
                self.put(button, right - cap, y + 3, cap, 32)
                right -= cap + 8
        top = self._pad_top(width)
        change, usual = self.gamepad.design_width(), self.usual.design_width()
        self.put(self.gamepad, 104, top + 8, change, 34)
        self.put(self.usual, 4 + width - usual, top + 8, usual, 34)

    def _pad_rows(self) -> tuple[tuple[str, str], ...]:
        mapping = next((pad.mapping for pad in self.view.pads if pad.mapping), USUAL)
        return listed(mapping)

    def write(self, ink: Ink) -> None:
        palette = self.look.palette
        width = ink.rect.width() - 8
        x, y, wide = self._cell(0, width)
        ink.text(x, y + 24, "E-STOP, always", BODY, palette.text, bold=True)
        right = x + wide
        for cap in reversed(self.look.keys.caps(Deed.E_STOP)):
            right -= ink.key_cap(right, y + 19, cap, palette.text2, 22) + 8
        for i, act in enumerate(ACTS):
            x, y, wide = self._cell(i + 1, width)
            taken = sum(
                button.width() / self.look.scale + 8 for (own, _), button in self.caps.items() if own is act
            )
            ink.text(x, y + 24, title_of(act), BODY, palette.text, room=wide - taken - 4)
        top = self._pad_top(width)
        ink.line(4, top, 4 + width, top, palette.line)
        ink.text(4, top + 31, "Gamepad", READOUT - 3, palette.text, bold=True)
        per = 3
        wide = width / per
        for i, (cap, what) in enumerate(self._pad_rows()):
            x, y = 4 + (i % per) * wide, top + 66 + (i // per) * PAD_ROW
            taken = max(20.0, ink.width(cap, AXIS) + 12)
            ink.key_cap(x + taken, y - 4, cap, palette.text2, 20)
            ink.text(x + taken + 10, y, what, BODY, palette.text, room=wide - taken - 22)
        ink.text(4, top + 66 + 2 * PAD_ROW + 4, _FOOT, SECOND, palette.text2, room=width)


def _tone(is_waiting: bool) -> Tone:
    return Tone.ACCENT if is_waiting else Tone.PLAIN
