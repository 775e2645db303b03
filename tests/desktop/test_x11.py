"""What Qt tells too late or wrongly on X11, mended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PyQt5.QtCore import QEvent, QObject, Qt
from PyQt5.QtGui import QKeyEvent, QWindow
from PyQt5.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from desktop_app.x11 import RepeatMender

UP = 111  # X keycode


class Keys(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.seen.append(("press", event.isAutoRepeat()))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        self.seen.append(("release", event.isAutoRepeat()))


class Bench(QObject):
    """A window whose key events come by a mender, and a key that is down or not."""

    def __init__(self, qtbot: QtBot) -> None:
        super().__init__()
        self.is_down = True
        self.widget = Keys()
        qtbot.addWidget(self.widget)
        self.widget.show()
        self.mender = RepeatMender(lambda code: self.is_down and code == UP)
        app = QApplication.instance()
        assert app is not None
        app.installEventFilter(self.mender)

    def send(self, kind: QEvent.Type, at_ms: int) -> None:
        event = QKeyEvent(kind, Qt.Key_Up, Qt.NoModifier, UP, 0, 0)
        event.setTimestamp(at_ms)
        window = self.widget.windowHandle()
        assert isinstance(window, QWindow)
        QApplication.sendEvent(window, event)

    def close(self) -> None:
        app = QApplication.instance()
        assert app is not None
        app.removeEventFilter(self.mender)


@pytest.fixture
def bench(qtbot: QtBot) -> Iterator[Bench]:
    bench = Bench(qtbot)
    yield bench
    bench.close()


def test_a_release_of_a_key_that_is_down_and_the_press_with_its_time_are_repeats(bench: Bench) -> None:
    bench.send(QEvent.KeyPress, 1000)
    for at_ms in (1660, 1700, 1740):
        bench.send(QEvent.KeyRelease, at_ms)
        bench.send(QEvent.KeyPress, at_ms)
    bench.is_down = False
    bench.send(QEvent.KeyRelease, 1770)
    repeats = [("release", True), ("press", True)] * 3
    assert bench.widget.seen == [("press", False), *repeats, ("release", False)]


def test_a_key_that_was_let_go_and_pressed_again_is_no_repeat(bench: Bench) -> None:
    bench.send(QEvent.KeyPress, 1000)
    bench.is_down = False
    bench.send(QEvent.KeyRelease, 1100)
    bench.is_down = True
    bench.send(QEvent.KeyPress, 1150)
    assert bench.widget.seen == [("press", False), ("release", False), ("press", False)]


def test_the_first_thing_seen_of_a_key_held_from_before_is_a_repeat(bench: Bench) -> None:
    bench.send(QEvent.KeyRelease, 1660)
    bench.send(QEvent.KeyPress, 1660)
    assert bench.widget.seen == [("release", True), ("press", True)]
