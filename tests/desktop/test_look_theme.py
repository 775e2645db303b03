"""The contrast table, computed from the palette itself, and the fixed cells of digits."""

from __future__ import annotations

from typing import Any

import pytest
from PyQt5.QtGui import QColor, QPalette

from desktop_app import theme
from desktop_app.button import DARK_PLATE
from desktop_app.lettering import FACES, Type, find_face
from desktop_app.theme import DARK, LIGHT, Palette, ThemeChoice, choose_palette, contrast

GROUNDS = ("window", "panel", "raised")
TEXT_ROLES = ("text", "text2", "text3", "accent", "amber", "red")
# The worst of the three grounds.
TOLD = {
    "dark": {"edge": 3.1, "text": 12.9, "text2": 7.1, "text3": 4.7, "accent": 6.7, "amber": 8.6, "red": 6.0},
    "light": {"edge": 3.3, "text": 14.9, "text2": 7.0, "text3": 4.9, "accent": 5.3, "amber": 5.5, "red": 5.7},
}
WHITE, BLACK = QColor("#FFFFFF"), QColor("#000000")


def worst(palette: Palette, role: str) -> float:
    return min(contrast(getattr(palette, role), getattr(palette, ground)) for ground in GROUNDS)


def blend(over: QColor, under: QColor) -> QColor:
    """What is seen where a translucent colour lies over an opaque one."""
    alpha = over.alphaF()
    return QColor.fromRgbF(
        over.redF() * alpha + under.redF() * (1 - alpha),
        over.greenF() * alpha + under.greenF() * (1 - alpha),
        over.blueF() * alpha + under.blueF() * (1 - alpha),
    )


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_texts_are_readable_on_every_ground(palette: Palette) -> None:
    for role in TEXT_ROLES:
        assert worst(palette, role) >= 4.5, role


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_edges_and_the_focus_ring_are_seen(palette: Palette) -> None:
    assert worst(palette, "edge") >= 3.0
    assert worst(palette, "accent") >= 3.0


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=lambda palette: palette.name)
def test_contrasts_are_those_that_the_look_tells(palette: Palette) -> None:
    for role, told in TOLD[palette.name].items():
        assert worst(palette, role) == pytest.approx(told, abs=0.06), role


@pytest.mark.parametrize(
    "text, fill, told",
    [
        (DARK.on_accent, DARK.accent, 8.6),
        (LIGHT.on_accent, LIGHT.accent, 6.4),
        (theme.ON_AMBER, theme.AMBER_FILL, 10.8),
        (theme.ON_RED, theme.RED_FILL, 5.8),
    ],
)
def test_texts_on_fills_are_readable(text: QColor, fill: QColor, told: float) -> None:
    assert contrast(text, fill) >= 4.5
    assert contrast(text, fill) == pytest.approx(told, abs=0.06)


def test_plates_are_readable_over_a_white_picture() -> None:
    plate = blend(theme.PLATE, WHITE)
    assert contrast(theme.ON_PLATE, plate) == pytest.approx(8.0, abs=0.1)
    assert contrast(theme.ON_PLATE2, plate) == pytest.approx(5.6, abs=0.2)
    assert contrast(theme.AMBER_FILL, plate) >= 4.5  # "0 fps", on a picture already darkened


def test_the_banners_buttons_are_readable() -> None:
    assert contrast(WHITE, DARK_PLATE) >= 4.5
    assert contrast(theme.RED_FILL, WHITE) >= 4.5
    assert contrast(LIGHT.accent, LIGHT.panel) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(WHITE, BLACK) == pytest.approx(21.0)
    assert contrast(QColor("#777777"), WHITE) == pytest.approx(4.48, abs=0.01)


def test_the_system_decides_unless_the_person_does() -> None:
    dark, light = QPalette(), QPalette()
    dark.setColor(QPalette.Window, BLACK)
    dark.setColor(QPalette.WindowText, WHITE)
    light.setColor(QPalette.Window, WHITE)
    light.setColor(QPalette.WindowText, BLACK)
    assert choose_palette(ThemeChoice.SYSTEM, dark) is DARK
    assert choose_palette(ThemeChoice.SYSTEM, light) is LIGHT
    assert choose_palette(ThemeChoice.LIGHT, dark) is LIGHT
    assert choose_palette(ThemeChoice.DARK, light) is DARK


class _Narrow(Type):
    """A face whose 1 is narrow, as Inter's is."""

    def _metrics(self, size_px: int, is_bold: bool = False) -> Any:
        real = super()._metrics(size_px, is_bold)

        class Metrics:
            def horizontalAdvance(self, text: str) -> float:
                return sum(real.horizontalAdvance(char) * (0.5 if char == "1" else 1) for char in text)

        return Metrics()


def test_every_digit_counts_as_wide_as_the_widest(qapp: Any) -> None:
    face = _Narrow()
    assert face.width("111", 18, True) == pytest.approx(face.width("808", 18, True))
    assert face.digit(18, True)[1] is False


def test_the_face_is_one_of_the_look(qapp: Any) -> None:
    assert find_face() in FACES


def test_wrapped_lines_fit_and_lose_no_word(qapp: Any) -> None:
    face = Type()
    words = "Nothing heard for 0.9 s. The car goes to neutral by itself. Averyverylongwordwithoutaspace."
    lines = face.wrap(words, 13, 120)
    assert all(face.fits(line, 13, 120) for line in lines)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
