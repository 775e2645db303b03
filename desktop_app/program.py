"""The desktop window's program: builds all of it.

Without an address it opens on nothing and asks; --demo starts this computer's
simulated car, shows it, and ends it with the window.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from PyQt5.QtCore import QCoreApplication, Qt, QtFatalMsg, QTimer, qInstallMessageHandler
from PyQt5.QtWidgets import QApplication

from desktop_app.app import App
from desktop_app.finder import Finder
from desktop_app.folders import Folders
from desktop_app.garbage import GarbageTimer
from desktop_app.theme import ThemeChoice

_log = logging.getLogger(__name__)

SWITCH_INTERVAL_S: Final = 0.0005  # the GUI waits at most this long for a thread that decodes or unpacks
_DISPLAYS: Final = ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY")
_ENDINGS: Final = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the last window is closed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pynet-desktop", description="See and drive a robot.")
    parser.add_argument("address", nargs="?", default="", metavar="HOST[:PORT]", help="the robot")
    parser.add_argument("--theme", choices=("dark", "light"), help="for this run")
    parser.add_argument("--demo", action="store_true", help="start a simulated car and show it")
    options = parser.parse_args(arguments)
    if options.demo and options.address:
        parser.error("--demo brings its own car: leave the address out")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    qt = make_qt(sys.argv[:1])
    theme = ThemeChoice(options.theme) if options.theme else None
    app = App(qt, Folders.of_this_system(), theme=theme, finder=Finder())
    app.ended.connect(qt.quit)
    try:
        cockpit = app.start(options.address)
    except ValueError as exc:
        app.finish()
        parser.error(str(exc))
    if options.demo:
        app.start_simulated(cockpit)
    close_at_signals(app.close)
    try:
        return qt.exec_()
    finally:
        app.finish()


def close_at_signals(close: Callable[[], None]) -> None:
    """Close when somebody ends the program, or its terminal."""
    for number in _ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup: the terminal may go
            # Python calls it in the middle of a tick, which may hold a lock that closing wants too: so later.
            signal.signal(number, lambda *_: QTimer.singleShot(0, close))


def no_display_words(environ: Mapping[str, str], said: str) -> str:
    """Why no window can be opened here, and what helps; `said` is what Qt said of it first."""
    named = [f"{name}={environ[name]}" for name in _DISPLAYS if environ.get(name)]
    why = f"{', '.join(named)}: {said}" if named else "neither DISPLAY nor WAYLAND_DISPLAY is set"
    return f"there is no display here, {why}; ./run demo --headless drives without one"


def _explain_no_display() -> list[str]:
    """Until Qt has a display; what it says meanwhile.

    Without one it would abort, leave a core dump, and tell people to install it again.
    """
    said: list[str] = []

    def on_message(kind: int, context: object, message: str) -> None:
        said.append(message)
        if kind == QtFatalMsg:
            print(f"pynet-desktop: {no_display_words(os.environ, said[0])}", file=sys.stderr, flush=True)
            os._exit(1)  # whoever returns from here is aborted

    qInstallMessageHandler(on_message)
    return said


def make_qt(argv: list[str]) -> QApplication:
    """Qt and the interpreter, set up for a window that must not stutter."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    QCoreApplication.setAttribute(Qt.AA_EnableHighDpiScaling)
    QCoreApplication.setAttribute(Qt.AA_UseHighDpiPixmaps)
    said = _explain_no_display()
    qt = QApplication(argv)
    qInstallMessageHandler(None)
    for message in said:
        _log.warning("Qt: %s", message)
    qt.setApplicationName("pynet")
    GarbageTimer(qt)
    return qt
