"""`./run screenshot`: the window's pictures for the README and the docs, from a running demo, in both themes.

A simulated car drives behind the real window (drawn off screen); nothing in
the pictures is made up.  Each state is really reached: keys arm and drive, a
stuck window makes the failsafe trip, a stopped worker makes all go stale.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before Qt is imported

from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication

from desktop_app.app import App
from desktop_app.cockpit import Cockpit
from desktop_app.folders import Folders
from desktop_app.program import make_qt
from desktop_app.theme import ThemeChoice
from pynet_car.messages import State
from pynet_car.world.launch import SimulatedCar
from pynet_core.keys import HOME_VARIABLE

FOLDER: Final = Path("docs/pictures")
WIDTH_PX: Final = 1440
HEIGHT_PX: Final = 900
QUALITY: Final = 88
SOON_S: Final = 20.0
STUCK_S: Final = 0.45  # of the Qt loop: longer than a command's lifespan


class Photographer:
    """One window on one car.  GUI thread."""

    def __init__(self, qt: QApplication, cockpit: Cockpit, theme: str) -> None:
        self._qt = qt
        self._cockpit = cockpit
        self._theme = theme
        self._window = cockpit.window
        self._window.resize(WIDTH_PX, HEIGHT_PX)

    def run_for(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.run_until(lambda: time.monotonic() >= end_s)

    def run_until(self, is_so: Callable[[], bool]) -> None:
        """Let Qt run until it is so.

        Raises:
            TimeoutError: It is not, within 20 s.
        """
        deadline_s = time.monotonic() + SOON_S
        while not is_so():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the window shows {self._window.view}")
            self._qt.processEvents()
            time.sleep(0.002)

    def run_until_state(self, state: State) -> None:
        self.run_until(lambda: self._window.view.state is state)

    def tap(self, key: Qt.Key) -> None:
        QTest.keyClick(self._window.picture, key)

    def arm(self) -> None:
        """Press Enter until it was taken: the window ignores a press that waited while it was stuck."""
        again_s = 0.0

        def is_armed() -> bool:
            nonlocal again_s
            if time.monotonic() >= again_s:
                again_s = time.monotonic() + 1.5
                self.tap(Qt.Key_Return)
            return self._window.view.state is State.ARMED

        self.run_until(is_armed)

    def hold(self, key: Qt.Key, seconds: float) -> None:
        QTest.keyPress(self._window.picture, key)
        self.run_for(seconds)

    def take(self, name: str) -> None:
        path = FOLDER / f"window-{name}-{self._theme}.jpg"
        if not self._window.grab().save(str(path), quality=QUALITY):
            raise OSError(f"cannot write {path}")
        print(path)

    def take_all(self, car: SimulatedCar, log: IO[bytes]) -> None:
        self.run_for(0.5)
        self.take("no-robot")
        with SimulatedCar(tls=True, log=log) as stranger:
            self._cockpit.connect_to("127.0.0.1", stranger.port)
            self.run_until(lambda: self._window.sheets.is_open)
            self._window.pair_sheet.set_name("ada-laptop")  # not the name of whose computer takes this
            QTest.keyClicks(self._window.pair_sheet.code, "4821")
            self.take("pair")
            self._window.sheets.close_sheet()
        self._cockpit.connect_to("127.0.0.1", car.port)
        self.run_until(lambda: self._window.view.picture_age_s is not None)
        self.run_for(8.0)  # for charts that show something
        self.take("disarmed")
        self.arm()
        self.run_for(0.2)  # neutral has to be seen while armed
        self.hold(Qt.Key_Up, 1.4)
        self.take("armed")
        time.sleep(STUCK_S)
        self.run_until_state(State.FAILSAFE)
        self.run_for(0.1)
        self.take("failsafe")
        QTest.keyRelease(self._window.picture, Qt.Key_Up)
        self.tap(Qt.Key_Space)
        self.run_until_state(State.E_STOP)
        self.run_for(0.3)
        self.take("e-stop")
        worker = car.worker_pid
        os.kill(worker, signal.SIGSTOP)
        self.run_for(1.5)
        self.take("link-lost")
        os.kill(worker, signal.SIGCONT)


def photograph(theme: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    qt = make_qt(sys.argv[:1])
    with (
        tempfile.TemporaryDirectory() as kept,
        Path(kept, "log").open("wb") as log,
        SimulatedCar(log=log) as car,
    ):
        folder = Path(kept)
        os.environ[HOME_VARIABLE] = str(folder / "keys")  # this laptop is nobody's
        folders = Folders(folder / "settings.json", folder / "crashes", folder / "pictures")
        app = App(qt, folders, theme=ThemeChoice(theme))
        try:
            photographer = Photographer(qt, app.start(), theme)
            photographer.take_all(car, log)
            app.close()
            photographer.run_until(lambda: not app.cockpits)
        finally:
            app.finish()


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run screenshot", description="take the docs' pictures")
    parser.add_argument("--theme", choices=("dark", "light"), help="only this one")
    options = parser.parse_args()
    if options.theme:
        photograph(options.theme)
        return 0
    # A process each: the crash reporter and Qt's application are made once in a process.
    return max(
        subprocess.call([sys.executable, "-m", "docs.screenshots", "--theme", theme])
        for theme in ("dark", "light")
    )


if __name__ == "__main__":
    sys.exit(main())
