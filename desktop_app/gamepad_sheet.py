"""Ctrl+G: which stick, trigger and button does what, how the stick feels, and all of it live.

A joystick that SDL has no mapping for gets one here: once each role has its
input, the six make SDL's line for it, and it is a gamepad.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QHideEvent, QShowEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.button import Button, Tone
from desktop_app.card import Instrument
from desktop_app.ink import Align, Ink
from desktop_app.pad_mapping import ASKS, Role, assign, input_of, lacks, moved, sdl_line, why_not
from desktop_app.pad_picture import FEEL_SIZE, PICTURE_SIZE, FeelPlot, PadPicture
from desktop_app.role_row import BUTTON, RoleRow
from desktop_app.settings import PadMapping
from desktop_app.sheet import SheetBody
from desktop_app.theme import BODY, SECOND, Look
from desktop_app.view import LIVE_STATES, PadInputs, View

ROW: Final = 44.0
GAP: Final = 8.0
MOST_PADS: Final = 3  # to choose from
DEAD_ZONES: Final = (0.02, 0.0, 0.5)  # step, least, most
CURVES: Final = (0.25, 1.0, 4.0)
NO_PAD: Final = "No gamepad. Plug one in: it shows up here by itself."
ARMED: Final = "The car is armed. Disarm it, then change the gamepad."


class GamepadSheet(SheetBody):
    title = "Gamepad"
    mapping_asked = pyqtSignal(str, object)  # GUID, PadMapping

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._chosen = 0
        self._pad: PadInputs | None = None
        self._draft: dict[Role, str] = {}  # of a joystick that has no mapping yet
        self._waiting: tuple[Role, PadInputs] | None = None  # and how all stood when it began
        self._figures: tuple[float, float] | None = None  # dead zone and curve, as written
        self._pads = [Button(look, "", self) for _ in range(MOST_PADS)]
        self._shown = 0  # of them: none for a single pad
        for at, button in enumerate(self._pads):
            button.clicked.connect(lambda _=False, at=at: self._choose(at))
            button.hide()
        self.rows = {role: RoleRow(look, role, self) for role in Role}
        self.change: dict[Role, Button] = {}
        for role, row in self.rows.items():
            button = Button(look, "Change", self)
            button.setAccessibleName(f"Change: {row.title}")
            button.clicked.connect(lambda _=False, role=role: self._wait_for(role))
            self.change[role] = button
        self.picture = PadPicture(look, self)
        self.feel = FeelPlot(look, self)
        self.steps: dict[tuple[str, int], Button] = {}
        for field, what in (("dead_zone", "dead zone"), ("curve", "curve")):
            for way, sign in ((-1, "\u2212"), (1, "+")):
                button = Button(look, sign, self)
                button.setAccessibleName(f"{'More' if way > 0 else 'Less'} {what}")
                button.clicked.connect(lambda _=False, field=field, way=way: self._step(field, way))
                self.steps[field, way] = button
        self.usual = Button(look, "Usual mapping", self)
        self.usual.clicked.connect(self._reset)
        self._show()

    def first(self) -> QWidget:
        return self.change[Role.STEER]

    # What comes in.

    def show_view(self, view: View) -> None:
        before = self._pad
        super().show_view(view)
        if not self.isVisible():
            return
        self._pad = view.pads[min(self._chosen, len(view.pads) - 1)] if view.pads else None
        if _kind(self._pad) != _kind(before):  # another one, or a joystick became a gamepad
            self._waiting, self._draft = None, {}
            self._say()
        self._listen()
        self._show()

    def _listen(self) -> None:
        if self._waiting is None or self._pad is None:
            return
        role, before = self._waiting
        name = moved(role, before, self._pad)
        if name:
            self._take(role, name)

    def _take(self, role: Role, name: str) -> None:
        """The person has moved this input for this role."""
        assert self._pad is not None
        mapping = self._pad.mapping
        if mapping is not None:
            try:
                self._ask(assign(mapping, role, name))
            except ValueError as exc:
                self._refuse(role, str(exc))
            return
        why = why_not(self._draft, role, name)
        if why:
            self._refuse(role, why)
            return
        self._draft[role] = name
        self._waiting = None
        if len(self._draft) == len(Role):
            self._ask(PadMapping(sdl=sdl_line(self._pad, self._draft)))
        else:
            self._say()

    def _refuse(self, role: Role, why: str) -> None:
        """Say why and wait on, from how all stands now: the input that was refused is still down."""
        assert self._pad is not None
        self._waiting = (role, self._waiting[1] if role.is_axis and self._waiting else self._pad)
        self._say(f"{why} Esc leaves it.", "amber")

    # What the person asks.

    def take_key(self, key: int, modifiers: Qt.KeyboardModifiers) -> bool:
        if self._waiting is None or key != Qt.Key_Escape:
            return False
        self._wait_for(None)
        return True

    def _wait_for(self, role: Role | None) -> None:
        is_same = self._waiting is not None and self._waiting[0] is role
        self._waiting = None
        if role is None or is_same or self._pad is None:
            self._say()
        elif self._is_armed():
            self._say(ARMED, "amber")
        else:
            self._waiting = (role, self._pad)
            self._say(f"{ASKS[role]} Esc leaves it as it is.", "accent")
        self._show()

    def _step(self, field: str, way: int) -> None:
        mapping = self._pad.mapping if self._pad else None
        if mapping is None:
            return
        step, least, most = DEAD_ZONES if field == "dead_zone" else CURVES
        figure = round(max(least, min(most, getattr(mapping, field) + way * step)), 2)
        self._ask(msgspec.structs.replace(mapping, **{field: figure}))

    def _reset(self) -> None:
        mapping = self._pad.mapping if self._pad else None
        if mapping is not None:
            self._ask(PadMapping())  # without its line: one that was a joystick is one again
        self._draft = {}

    def _choose(self, at: int) -> None:
        self._chosen = at
        self.show_view(self.view)

    def _ask(self, mapping: PadMapping) -> None:
        assert self._pad is not None
        self._waiting = None
        if self._is_armed():
            self._say(ARMED, "amber")
            return
        self._say()
        self.mapping_asked.emit(self._pad.guid, mapping)

    def _is_armed(self) -> bool:
        return self.view.has_lease and self.view.state in LIVE_STATES

    # What it shows.

    def showEvent(self, event: QShowEvent) -> None:
        self._waiting = None
        self.show_view(self.view)
        self._say()

    def hideEvent(self, event: QHideEvent) -> None:
        self._waiting = None

    def _say(self, words: str = "", tone: str = "text2") -> None:
        if not words and self._pad is None:
            words = NO_PAD
        elif not words and self._pad is not None and self._pad.mapping is None:
            words = lacks(self._pad) or "It has no mapping: choose an input for each, and it is a gamepad."
            tone = "amber"
        elif not words and self._pad is not None:
            words = f"{self.look.type.shorten(self._pad.name, BODY, 320)}. What you move or press shows here."
        self.under, self.under_tone = words, tone
        self.told.emit()

    def _inputs(self) -> dict[Role, str]:
        mapping = self._pad.mapping if self._pad else None
        return {role: input_of(mapping, role) for role in Role} if mapping else self._draft

    def _show(self) -> None:
        pad, inputs = self._pad, self._inputs()
        for role, row in self.rows.items():
            is_waiting = self._waiting is not None and self._waiting[0] is role
            row.show_pad(pad, inputs.get(role, ""), is_waiting=is_waiting)
            button = self.change[role]
            button.show_as("Cancel" if is_waiting else "Change", "", Tone.PLAIN)
            button.setAccessibleName(f"{button.text()}: {row.title}")
            button.setEnabled(pad is not None)
        self.picture.show_pad(pad, inputs)
        self.feel.show_pad(pad)
        mapping = pad.mapping if pad else None
        for button in (*self.steps.values(), self.usual):
            button.setEnabled(mapping is not None)
        if mapping is not None:
            self.usual.setEnabled(mapping != PadMapping())
            self.usual.show_as("Map it anew" if mapping.sdl else "Usual mapping", "", Tone.PLAIN)
        figures = (mapping.dead_zone, mapping.curve) if mapping else None
        if figures != self._figures:
            self._figures = figures
            self.update()
        self._show_pads()

    def _show_pads(self) -> None:
        pads = self.view.pads[:MOST_PADS]
        shown = len(pads) if len(pads) > 1 else 0
        if shown != self._shown:
            self._shown = shown
            for at, button in enumerate(self._pads):
                button.setVisible(at < shown)
            self.lay_out(self.width() / self.look.scale - 8)
        for at, (button, pad) in enumerate(zip(self._pads, pads[:shown], strict=False)):
            room = button.width() / self.look.scale - 24
            name = self.look.type.shorten(pad.name, BODY, room, bold=True)
            button.show_as(name, "", Tone.ACCENT if at == self._chosen else Tone.PLAIN)

    def set_look(self, look: Look) -> None:
        super().set_look(look)
        parts: list[Instrument[Any]] = [*self.rows.values(), self.picture, self.feel]
        for part in parts:
            part.set_look(look, is_compact=False)

    def _is_wide(self, width: float) -> bool:
        return width >= 800

    def _top(self) -> float:
        return 48.0 if len(self.view.pads) > 1 else 4.0

    def _rows_end(self) -> float:
        return self._top() + len(self.rows) * (ROW + GAP)

    def _side(self, width: float) -> tuple[float, float, float]:
        """Where picture and feel stand: x and y of the picture, y of the feel."""
        if self._is_wide(width):
            x = 4 + width - PICTURE_SIZE[0]
            return x, self._top(), self._top() + PICTURE_SIZE[1] + 18
        return 4.0, self._rows_end() + 8, self._rows_end() + 24

    def _feel_x(self, width: float) -> float:
        x = self._side(width)[0]
        return x if self._is_wide(width) else x + PICTURE_SIZE[0] + 10

    def wanted_height(self, width: float) -> float:
        if self._is_wide(width):
            return max(self._rows_end() + 52, self._side(width)[2] + FEEL_SIZE[1] + 36)
        return self._rows_end() + PICTURE_SIZE[1] + 64

    def lay_out(self, width: float) -> None:
        among = max(self._shown, 1)
        each = (width - (among - 1) * GAP) / among
        for at, button in enumerate(self._pads):
            self.put(button, 4 + at * (each + GAP), 4, each, 34)
        wide = width - PICTURE_SIZE[0] - 28 if self._is_wide(width) else width
        y = self._top()
        for role, row in self.rows.items():
            self.put(row, 4, y, wide, ROW)
            self.put(self.change[role], 4 + wide - BUTTON + 4, y + 6, BUTTON - 10, 32)
            self.change[role].raise_()
            y += ROW + GAP
        usual = self.usual.design_width() + 8
        picture_x, picture_y, feel_y = self._side(width)
        usual_y = self._rows_end() + 6 if self._is_wide(width) else self._rows_end() + PICTURE_SIZE[1] + 18
        self.put(self.usual, 4, usual_y, usual, 36)
        self.put(self.picture, picture_x, picture_y, *PICTURE_SIZE)
        feel_x = self._feel_x(width)
        self.put(self.feel, feel_x, feel_y, *FEEL_SIZE)
        for (field, way), button in self.steps.items():
            row_y = feel_y + (22 if field == "dead_zone" else 82)
            self.put(button, feel_x + FEEL_SIZE[0] + 20 + (0 if way < 0 else 104), row_y, 36, 32)

    def write(self, ink: Ink) -> None:
        palette = self.look.palette
        width = ink.rect.width() - 8
        _, _, feel_y = self._side(width)
        x = self._feel_x(width) + FEEL_SIZE[0] + 20
        for label, y in (("Dead zone", feel_y), ("Curve", feel_y + 60)):
            ink.text(x, y + 14, label, BODY, palette.text2)
        dead_zone, curve = self._figures or (None, None)
        words = ("––", "––") if dead_zone is None else (f"{dead_zone * 100:.0f} %", f"{curve:g}")
        for word, y in zip(words, (feel_y, feel_y + 60), strict=True):
            ink.text(x + 70, y + 43, word, BODY, palette.text, bold=True, align=Align.CENTER)
        end = feel_y + FEEL_SIZE[1] + 20
        ink.text(self._feel_x(width), end, "More curve is finer around the middle.", SECOND, palette.text2)


def _kind(pad: PadInputs | None) -> tuple[str, bool] | None:
    return None if pad is None else (pad.guid, pad.mapping is None)
