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
from collections.abc import Sequence
from typing import Final

from PyQt5.QtCore import QCoreApplication, Qt
from PyQt5.QtWidgets import QApplication

from desktop_app.app import App
from desktop_app.finder import Finder
from desktop_app.folders import Folders
from desktop_app.garbage import GarbageTimer
from desktop_app.theme import ThemeChoice

SWITCH_INTERVAL_S: Final = 0.0005  # the GUI waits at most this long for a thread that decodes or unpacks


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the last window is closed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pynet-desktop", description="See and drive a robot.")
    parser.add_argument("address", nargs="?", default="", metavar="HOST[:PORT]", help="the robot")
    parser.add_argument("--theme", choices=("dark", "light"), help="for this run")
    parser.add_argument("--demo", action="store_true", help="start a simulated car and show it")
    options = parser.parse_args(arguments)
    if options.demo and options.address:
        parser.error("--demo brings its own car: leave the address out")
    if not _has_display():
        parser.exit(
            1,
            "pynet-desktop: there is no display here, neither DISPLAY nor WAYLAND_DISPLAY is set; "
            "./run demo --headless drives without one\n",
        )
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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.close())  # runs at the next tick: Python gets its turn there
    try:
        return qt.exec_()
    finally:
        app.finish()


def _has_display() -> bool:
    """Where there is none Qt aborts, and tells people to install it again."""
    if sys.platform != "linux" or "QT_QPA_PLATFORM" in os.environ:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def make_qt(argv: list[str]) -> QApplication:
    """Qt and the interpreter, set up for a window that must not stutter."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    QCoreApplication.setAttribute(Qt.AA_EnableHighDpiScaling)
    QCoreApplication.setAttribute(Qt.AA_UseHighDpiPixmaps)
    qt = QApplication(argv)
    qt.setApplicationName("pynet")
    GarbageTimer(qt)
    return qt
