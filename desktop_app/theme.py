"""How the window looks: both palettes, the type sizes, the scale, which face is there, the keys' names.

A `Look` is handed to every widget; none looks anything up by itself.  The
contrast of each pair of colours is asserted in tests/desktop/test_look_theme.py.
"""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QSettings
from PyQt5.QtGui import QColor, QPalette

from desktop_app.keys import USUAL_KEYS, KeyMap
from desktop_app.lettering import Type


class ThemeChoice(enum.StrEnum):
    """What the person set."""

    SYSTEM = "system"
    DARK = "dark"
    LIGHT = "light"


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours by role.  On red and amber fills text is the same in both themes."""

    name: str
    window: QColor
    panel: QColor
    raised: QColor
    line: QColor  # decoration: nothing depends on seeing it
    edge: QColor  # borders of controls, >= 3:1
    text: QColor
    text2: QColor
    text3: QColor  # hints, off, stale
    accent: QColor
    on_accent: QColor
    amber: QColor  # as text
    red: QColor  # as text


AMBER_FILL: Final = QColor("#FFB938")
ON_AMBER: Final = QColor("#1A1200")
RED_FILL: Final = QColor("#C9182B")
ON_RED: Final = QColor("#FFFFFF")

# On the picture, the same in both themes: plates are dark, so is the letterbox.
PLATE: Final = QColor(0x0A, 0x0D, 0x11, round(0.72 * 255))
PLATE_SOLID: Final = QColor("#0A0D11")
ON_PLATE: Final = QColor("#FFFFFF")
ON_PLATE2: Final = QColor("#D3DAE1")
LETTERBOX: Final = QColor("#07090B")
TRACK: Final = QColor("#3C4652")  # of bars and rails on a plate

DARK: Final = Palette(
    name="dark",
    window=QColor("#0D1014"),
    panel=QColor("#161B21"),
    raised=QColor("#212933"),
    line=QColor("#2B3440"),
    edge=QColor("#677484"),
    text=QColor("#EDF1F5"),
    text2=QColor("#AAB5C1"),
    text3=QColor("#8793A0"),
    accent=QColor("#5AB6FF"),
    on_accent=QColor("#06121C"),
    amber=QColor("#FFB938"),
    red=QColor("#FF8078"),
)
LIGHT: Final = Palette(
    name="light",
    window=QColor("#E6EAEE"),
    panel=QColor("#FFFFFF"),
    raised=QColor("#F1F4F7"),
    line=QColor("#D5DBE1"),
    edge=QColor("#75818E"),
    text=QColor("#12171D"),
    text2=QColor("#434E5A"),
    text3=QColor("#5A6571"),
    accent=QColor("#0A5FAE"),
    on_accent=QColor("#FFFFFF"),
    amber=QColor("#855000"),
    red=QColor("#B5121F"),
)

# Type sizes in design px.
AXIS: Final = 11  # and key caps
SECOND: Final = 12
BODY: Final = 13
SMALL_READOUT: Final = 15
READOUT: Final = 18
AGE: Final = 20  # of the picture; also the compact banner
BANNER: Final = 22
ROUND_TRIP: Final = 32
STALE_AGE: Final = 40
SPEED: Final = 44

MISSING: Final = "––"
MINUS: Final = "\u2212"


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One theme at one scale in one face, and the keys that caps show.  A new one for each change."""

    palette: Palette
    type: Type
    scale: float = 1.0  # physical layout px to a design px; the text zoom, as far as the window allows
    keys: KeyMap = USUAL_KEYS


def contrast(one: QColor, other: QColor) -> float:
    """WCAG 2 contrast ratio of two opaque colours, 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def choose_palette(choice: ThemeChoice, system: QPalette) -> Palette:
    """The palette for this setting; SYSTEM asks the desktop's own colours."""
    if choice is ThemeChoice.SYSTEM:
        return DARK if system_is_dark(system) else LIGHT
    return DARK if choice is ThemeChoice.DARK else LIGHT


def system_is_dark(system: QPalette) -> bool:
    if sys.platform == "win32":  # Qt 5's own palette stays light there
        key = r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
        return str(QSettings(key, QSettings.NativeFormat).value("AppsUseLightTheme", 1)) == "0"
    return system.color(QPalette.Window).lightness() < system.color(QPalette.WindowText).lightness()


def _luminance(color: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.03928 else float(((part + 0.055) / 1.055) ** 2.4)

    return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) + 0.0722 * linear(color.blueF())
