"""What a window remembers until the next start."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_app.arrangement import DEFAULT_PANEL, WINDOW_USUAL
from desktop_app.theme import ThemeChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMemory:
    """Sizes in design px, but for the window's own."""

    theme: ThemeChoice = ThemeChoice.SYSTEM
    zoom: int = 100  # per cent
    panel_height: float = DEFAULT_PANEL
    shows_left: bool = True
    shows_panel: bool = True
    sounds: bool = False
    width: int = int(WINDOW_USUAL[0])
    height: int = int(WINDOW_USUAL[1])
