"""The real window with a back door that only tests have: `python -m tests.desktop.launcher PORT DIR`.

Everything is as in `desktop_app.program`, but what it keeps is kept in DIR.
Prints what happens, a line each (`window ID`, `ready`, `state ARMED`, ...); takes
commands on stdin: `block MS` (the Qt loop, and only that; then `free`), `fail` (an exception
in a slot), `close`, `front` (says so when it has the keyboard), `pad`, `axis NAME VALUE`,
`trigger NAME VALUE`, `button NAME 0|1`, `unplug`, `hands` (says so when they may drive: neutral was seen).
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Final

from PyQt5.QtCore import QObject, QTimer, pyqtSignal
from PyQt5.QtWidgets import QApplication

from desktop_app.app import App
from desktop_app.cockpit import Cockpit
from desktop_app.folders import Folders
from desktop_app.program import make_qt
from desktop_app.view import Focus
from tests.desktop.virtual_pad import VirtualPad

LOOK_MS: Final = 5


class BackDoor(QObject):
    """GUI thread; commands come from the thread that reads stdin."""

    _asked = pyqtSignal(str)

    def __init__(self, app: App, cockpit: Cockpit) -> None:
        super().__init__()
        self._app = app
        self._cockpit = cockpit
        self._pad: VirtualPad | None = None
        self._is_ready = False
        self._state = ""
        self._hint = ""
        self._awaits_front = self._awaits_hands = False
        self._asked.connect(self._do)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        threading.Thread(target=self._read, daemon=True).start()
        say("window", int(cockpit.window.winId()))

    def _read(self) -> None:
        for line in sys.stdin:
            self._asked.emit(line.strip())

    def _look(self) -> None:
        view = self._cockpit.window.view
        if not self._is_ready and view.description is not None and view.picture_age_s is not None:
            self._is_ready = True
            say("ready")
        if self._awaits_front and self._cockpit.window.focus is Focus.DRIVE:
            self._awaits_front = False
            say("front")
        hands = self._cockpit.hands.teleop
        is_pad_there = self._pad is None or hands._gamepad is not None
        if self._awaits_hands and is_pad_there and not hands._latched:
            self._awaits_hands = False
            say("hands")
        state = f"{view.state}{' assumed' if view.is_assumed else ''}"
        if state != self._state:
            self._state = state
            say("state", state)
        if view.drive.hint != self._hint:
            self._hint = view.drive.hint
            say("hint", self._hint)

    def _do(self, line: str) -> None:
        command, *words = line.split()
        if command == "block":
            say("blocked", time.monotonic_ns())
            time.sleep(float(words[0]) / 1000)  # gives the GIL back: every other thread runs on
            say("free", time.monotonic_ns())
        elif command == "fail":
            say("failed", time.monotonic_ns())
            raise ZeroDivisionError("as a test has asked")
        elif command == "close":
            say("closing", time.monotonic_ns())
            self._cockpit.window.close()
        elif command == "front":
            self._awaits_front = True
        elif command == "hands":
            self._awaits_hands = True
        elif command == "pad":
            self._pad = VirtualPad()
        elif command == "unplug":
            assert self._pad is not None
            say("unplugged", time.monotonic_ns())
            self._pad.unplug()
        elif command in ("axis", "trigger"):
            getattr(self._pad, command)(words[0], float(words[1]))
        elif command == "button":
            assert self._pad is not None
            say(f"button-{words[0]}", time.monotonic_ns())
            self._pad.button(words[0], words[1] == "1")


def say(*words: object) -> None:
    print(*words, flush=True)


def main() -> int:
    port, folder = sys.argv[1], Path(sys.argv[2])
    qt: QApplication = make_qt(sys.argv[:1])
    app = App(qt, Folders(folder / "settings.json", folder / "crashes", folder / "pictures"))
    app.ended.connect(qt.quit)
    door = BackDoor(app, app.start(f"127.0.0.1:{port}"))
    code = qt.exec_()
    say("ended")
    app.finish()
    del door
    return code


if __name__ == "__main__":
    sys.exit(main())
