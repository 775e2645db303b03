"""Ctrl+,: theme, text size, and the ways to keys and gamepad.  What is chosen holds at once."""

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

        self.keys = Button(look, "Keys", self)
        self.keys.clicked.connect(self.keys_asked)
        self.gamepad = Button(look, "Gamepad", self)
        self.gamepad.clicked.connect(self.gamepad_asked)

    def show_chosen(self, theme: ThemeChoice, zoom: int) -> None:
        """What holds now."""
        self._themes.show_chosen([choice for choice, _ in _THEMES].index(theme))
        self._zoom = zoom
        self._zooms.show_chosen(ZOOMS.index(zoom) if zoom in ZOOMS else -1)
        self.update()

    def first(self) -> QWidget:
        return self._themes.buttons[0]

    def wanted_height(self, width: float) -> float:
        return 240.0

    def lay_out(self, width: float) -> None:
        self.keys.key, self.gamepad.key = (self.look.keys.cap(deed) for deed in (Deed.HELP, Deed.GAMEPAD))
        for row, choice in enumerate((self._themes, self._zooms)):
            x = 140.0
            for button in choice.buttons:
                wide = max(84.0, button.design_width() + 8)
                self.put(button, x, 8 + row * 60, wide, 40)
                x += wide + 10
        x = 140.0
        for button in (self.keys, self.gamepad):
            wide = max(84.0, button.design_width() + 8)
            self.put(button, x, 8 + 2 * 60 + 16, wide, 40)
            x += wide + 10

    def write(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.text(4, 33, "Theme", BODY, palette.text, bold=True)
        ink.text(4, 93, "Text size", BODY, palette.text, bold=True)
        granted = round(self.look.scale * 100)
        if granted < self._zoom:
            words = f"This window has room for {granted} %. Make it larger to get {self._zoom} %."
            ink.text(140, 126, words, SECOND, palette.amber, room=ink.rect.width() - 150)
        ink.text(4, 169, "Controls", BODY, palette.text, bold=True)
        ink.text(4, 216, "The picture looks the same in both themes.", SECOND, palette.text2)
