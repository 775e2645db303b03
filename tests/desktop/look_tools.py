"""Measuring what a window has really drawn: the texts' boxes, and its pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QPoint, QRectF, QSize
from PyQt5.QtGui import QImage
from PyQt5.QtWidgets import QApplication, QWidget

from desktop_app.ink import Drawn
from desktop_app.main_window import MainWindow
from desktop_app.theme import ThemeChoice
from desktop_app.view import Connection, View
from desktop_app.window_memory import WindowMemory
from tests.desktop.look_views import samples

SIZES: Final = {"full": (1440, 900), "compact": (1024, 600), "large": (1920, 1080), "least full": (1240, 760)}
# Words that end in an ellipsis by themselves: they go on, they are not cut.
GOES_ON: Final = ("Reset…", "Pair…", "Pairing", "onnecting", "Starting", "Waiting")


def make_window(
    qtbot: Any, size: str | tuple[int, int] = "full", theme: str = "dark", zoom: int = 100
) -> MainWindow:
    width, height = SIZES[size] if isinstance(size, str) else size
    memory = WindowMemory(theme=ThemeChoice(theme), zoom=zoom, width=width, height=height)
    window = MainWindow(memory, room=QSize(width, height))  # Qt's offscreen screen is 800x800
    qtbot.addWidget(window)
    window.show()
    window.activateWindow()
    QApplication.processEvents()
    return window


def show(window: MainWindow, view: View) -> None:
    """As `cockpit.py` does it: the view, the charts' points, a picture; and one paint of everything."""
    window.show_view(view)
    now_s = window.picture._clock()
    lanes = window.parts.panel.charts._lanes.values()
    if any(lane.is_empty for lane in lanes):
        window.add_samples(samples(now_s))
    has_picture = view.connection in (Connection.UP, Connection.LOST)
    if view.picture_age_s is not None and has_picture:
        window.picture.set_picture(grey_ramp(640, 480), None, 1, now_s - view.picture_age_s)
    window.show_view(view)
    QApplication.processEvents()
    window.grab()


def grey_ramp(width: int, height: int) -> QImage:
    """A picture with something in it."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 0] = np.linspace(40, 220, width, dtype=np.uint8)
    pixels[..., 1] = np.linspace(220, 60, height, dtype=np.uint8)[:, None]
    pixels[..., 2] = 120
    return QImage(pixels.tobytes(), width, height, QImage.Format_RGB32).copy()


def painted(window: QWidget) -> Iterator[tuple[QWidget, tuple[Drawn, ...], float]]:
    """Every visible widget that notes what it draws, its texts, and its scale."""
    for widget in (window, *window.findChildren(QWidget)):
        drawn = getattr(widget, "drawn", None)
        if drawn is not None and widget.isVisible():
            yield widget, drawn, widget.look.scale  # type: ignore[attr-defined]


def faults(window: QWidget) -> list[str]:
    """Texts that are cut, elided, outside of their widget, or on top of something else."""
    found: list[str] = []
    for widget, drawn, scale in painted(window):
        name = type(widget).__name__
        inside = QRectF(0, 0, widget.width() / scale, widget.height() / scale).adjusted(-0.5, -0.5, 0.5, 0.5)
        children = [
            QRectF(child.geometry().topLeft() / scale, child.geometry().bottomRight() / scale)
            for child in widget.children()
            if isinstance(child, QWidget)
            and child.isVisible()
            and type(child).__name__ != "TabButton"
            and type(child).__name__ != "QScrollArea"
        ]
        for text in drawn:
            if text.is_cut:
                found.append(f"{name}: {text.text!r} is {text.box.width():.0f} wide, room {text.room:.0f}")
            if not inside.contains(text.box):
                found.append(f"{name}: {text.text!r} at {_box(text.box)} leaves {_box(inside)}")
            if "…" in text.text and not any(word in text.text for word in GOES_ON):
                found.append(f"{name}: {text.text!r} is elided")
            found += [
                f"{name}: {text.text!r} lies under a child" for box in children if box.intersects(text.box)
            ]
        for one, other in itertools.combinations(drawn, 2):
            if one.box.adjusted(0.5, 0.5, -0.5, -0.5).intersects(other.box):
                found.append(f"{name}: {one.text!r} and {other.text!r} overlap")
    return found


def texts(window: QWidget) -> set[str]:
    """Every word on the window."""
    return {text.text for _, drawn, _ in painted(window) for text in drawn}


def grey(widget: QWidget) -> NDArray[np.float64]:
    """What is seen of the widget without colour, (H, W), 0 to 255."""
    pixels = _pixels(widget)
    blue, green, red = (pixels[..., i].astype(float) for i in range(3))
    return np.asarray(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def deuteranopic(widget: QWidget) -> NDArray[np.float64]:
    """About what an eye without green cones sees, (H, W, 3); Machado, Oliveira & Fernandes 2009."""
    matrix = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    )
    return np.asarray((_pixels(widget)[..., 2::-1].astype(float) @ matrix.T).clip(0, 255))


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean difference of two greyscale pictures, in levels of 255."""
    return float(np.abs(one - other).mean())


def _pixels(widget: QWidget) -> NDArray[np.uint8]:
    """(H, W, 4) uint8, BGRX."""
    image = widget.grab().toImage().convertToFormat(QImage.Format_RGB32)
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return pixels.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()]


def middle(widget: QWidget) -> QPoint:
    return widget.rect().center()


def _box(rect: QRectF) -> str:
    return f"({rect.left():.0f}, {rect.top():.0f}, {rect.right():.0f}, {rect.bottom():.0f})"
