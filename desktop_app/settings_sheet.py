"""Ctrl+,: theme, text size, sounds, and the ways to keys and gamepad.  What is chosen holds at once."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QWidget

from desktop_app.button import Button, Tone
from desktop_app.ink import Ink
from desktop_app.keys import Deed
from desktop_app.sheet import SheetBody
from desktop_app.theme import BODY, SECOND, Look, ThemeChoice

ZOOMS = (100, 125, 150)
_THEMES = ((ThemeChoice.SYSTEM, "Like the system"), (ThemeChoice.DARK, "Dark"), (ThemeChoice.LIGHT, "Light"))


class Choice:
    """A row of buttons of which one is chosen."""

    def __init__(self, look: Look, words: Sequence[str], parent: QWidget) -> None:
        self.buttons = [Button(look, word, parent) for word in words]

    def show_chosen(self, at: int) -> None:
        for i, button in enumerate(self.buttons):
            button.show_as(button.text(), "", Tone.ACCENT if i == at else Tone.PLAIN)
            button.setAccessibleName(button.text() + (", chosen" if i == at else ""))


class SettingsSheet(SheetBody):
    title = "Settings"
    under = "What you choose holds at once and is remembered."
    theme_asked = pyqtSignal(object)  # ThemeChoice
    zoom_asked = pyqtSignal(int)  # per cent
    sounds_asked = pyqtSignal(bool)
    keys_asked = pyqtSignal()
    gamepad_asked = pyqtSignal()

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._zoom = 100
        self._themes = Choice(look, [word for _, word in _THEMES], self)
        for (choice, _), button in zip(_THEMES, self._themes.buttons, strict=True):
            button.clicked.connect(lambda _=False, choice=choice: self.theme_asked.emit(choice))
        self._zooms = Choice(look, [f"{zoom} %" for zoom in ZOOMS], self)
        for zoom, button in zip(ZOOMS, self._zooms.buttons, strict=True):
            button.clicked.connect(lambda _=False, zoom=zoom: self.zoom_asked.emit(zoom))

        self._sounds = Choice(look, ("Off", "On"), self)
        for on, button in enumerate(self._sounds.buttons):
            button.clicked.connect(lambda _=False, on=on: self.sounds_asked.emit(bool(on)))
        self.keys = Button(look, "Keys", self)
        self.keys.clicked.connect(self.keys_asked)
        self.gamepad = Button(look, "Gamepad", self)
        self.gamepad.clicked.connect(self.gamepad_asked)

    def show_chosen(self, theme: ThemeChoice, zoom: int, *, sounds: bool) -> None:
        """What holds now."""
        self._themes.show_chosen([choice for choice, _ in _THEMES].index(theme))
        self._sounds.show_chosen(int(sounds))
        self._zoom = zoom
        self._zooms.show_chosen(ZOOMS.index(zoom) if zoom in ZOOMS else -1)
        self.update()

    def first(self) -> QWidget:
        return self._themes.buttons[0]

    def wanted_height(self, width: float) -> float:
        return 300.0

    def lay_out(self, width: float) -> None:
        self.keys.key, self.gamepad.key = (self.look.keys.cap(deed) for deed in (Deed.HELP, Deed.GAMEPAD))
        for row, choice in enumerate((self._themes, self._zooms, self._sounds)):
            y = 8 + row * 60 + (16 if row > 1 else 0)  # a line of words under the text size
            x = 140.0
            for button in choice.buttons:
                wide = max(84.0, button.design_width() + 8)
                self.put(button, x, y, wide, 40)
                x += wide + 10
        x = 140.0
        for button in (self.keys, self.gamepad):
            wide = max(84.0, button.design_width() + 8)
            self.put(button, x, 8 + 3 * 60 + 16, wide, 40)
            x += wide + 10

    def write(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.text(4, 33, "Theme", BODY, palette.text, bold=True)
        ink.text(4, 93, "Text size", BODY, palette.text, bold=True)
        granted = round(self.look.scale * 100)
        if granted < self._zoom:
            words = f"This window has room for {granted} %. Make it larger to get {self._zoom} %."
            ink.text(140, 126, words, SECOND, palette.amber, room=ink.rect.width() - 150)
        ink.text(4, 169, "Sounds", BODY, palette.text, bold=True)
        x = 140 + sum(max(84.0, button.design_width() + 8) + 10 for button in self._sounds.buttons)
        ink.text(x + 4, 169, "E-STOP, failsafe, link lost", SECOND, palette.text2)
        ink.text(4, 229, "Controls", BODY, palette.text, bold=True)
        ink.text(4, 276, "The picture looks the same in both themes.", SECOND, palette.text2)
