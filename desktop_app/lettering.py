"""The face, its fonts and its widths: every digit counts as wide as the widest.

Made once for a window; measuring is what a repaint does most.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PyQt5.QtGui import QFont, QFontDatabase, QFontMetricsF

FACES: Final = ("Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans Condensed")
MONO_FACES: Final = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Noto Sans Mono", "DejaVu Sans Mono")


def find_face(wanted: tuple[str, ...] = FACES) -> str:
    """The first of these faces that this machine has; the last when it has none."""
    known = set(QFontDatabase().families())
    return next((face for face in wanted if face in known), wanted[-1])


def make_font(face: str, size_px: int, is_bold: bool) -> QFont:
    font = QFont(face)
    font.setPixelSize(size_px)
    font.setBold(is_bold)
    # Figures move by fractions of a pixel when the window is scaled; hinted glyphs would jump.
    font.setHintingPreference(QFont.PreferNoHinting)
    return font


class Type:
    """Fonts and widths of one face, each made once.  GUI thread."""

    def __init__(self, face: str = "") -> None:
        self.face = face or find_face()
        self.font = lru_cache(maxsize=64)(self._font)
        self.metrics = lru_cache(maxsize=64)(self._metrics)
        self.width = lru_cache(maxsize=2048)(self._width)
        self.digit = lru_cache(maxsize=64)(self._digit)

    def _font(self, size_px: int, is_bold: bool = False) -> QFont:
        return make_font(self.face, size_px, is_bold)

    def _metrics(self, size_px: int, is_bold: bool = False) -> QFontMetricsF:
        return QFontMetricsF(self.font(size_px, is_bold))

    def _digit(self, size_px: int, is_bold: bool = False) -> tuple[float, bool]:
        """Width of the widest digit, and whether all are as wide."""
        metrics = self.metrics(size_px, is_bold)
        widths = [metrics.horizontalAdvance(digit) for digit in "0123456789"]
        return max(widths), max(widths) - min(widths) < 0.01

    def _width(self, text: str, size_px: int, is_bold: bool = False) -> float:
        """Width with each digit in its cell."""
        metrics = self.metrics(size_px, is_bold)
        cell, is_even = self.digit(size_px, is_bold)
        if is_even or not any(char.isdigit() for char in text):
            return metrics.horizontalAdvance(text)
        return sum(cell if char.isdigit() else metrics.horizontalAdvance(char) for char in text)

    def fits(self, text: str, size_px: int, room: float, *, bold: bool = False) -> bool:
        return self.width(text, size_px, bold) <= room

    def wrap(self, text: str, size_px: int, room: float, *, bold: bool = False) -> list[str]:
        """Lines no wider than `room`, broken at spaces; a longer word is broken where it must."""
        lines: list[str] = []
        line = ""
        for word in text.split():
            while len(word) > 1 and not self.fits(word, size_px, room, bold=bold):
                cut = len(word) - 1
                while cut > 1 and not self.fits(word[:cut], size_px, room, bold=bold):
                    cut -= 1
                joint = max(word.rfind(char, 0, cut) for char in "/-_.:\\") + 1
                cut = joint if joint > cut // 2 else cut
                lines += [line] if line else []
                lines.append(word[:cut])
                line, word = "", word[cut:]
            longer = f"{line} {word}".strip()
            if line and not self.fits(longer, size_px, room, bold=bold):
                lines.append(line)
                line = word
            else:
                line = longer
        return [*lines, line] if line else lines

    def shorten(self, name: str, size_px: int, room: float, *, bold: bool = False) -> str:
        """A text that somebody else chose, cut with an ellipsis where it must."""
        if self.fits(name, size_px, room, bold=bold):
            return name
        while name and not self.fits(f"{name}…", size_px, room, bold=bold):
            name = name[:-1]
        return f"{name.rstrip()}…"
