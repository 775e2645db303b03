"""No silent exit: what nobody caught goes to a file, to stderr and to the person, and the car is disarmed.

PyQt ends the program on an exception in a slot unless sys.excepthook is ours.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from PyQt5.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, QtFatalMsg, qInstallMessageHandler

_log = logging.getLogger(__name__)

MAX_REPORTS: Final = 20  # files; the oldest go
FORGET_S: Final = 7 * 86400.0
AGAIN_S: Final = 10.0  # the same failure within this time is counted, not reported anew

OnCrash = Callable[[str], None]  # gets words for the person; called in whichever thread failed


class CrashReporter:
    """Installed once, by the composition root."""

    def __init__(self, folder: Path, on_crash: OnCrash) -> None:
        self._folder = folder
        self._on_crash = on_crash
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}  # signature -> monotonic s
        self._is_reporting = threading.local()
        self._fatal: IO[str] | None = None
        self.reports = 0

    def install(self) -> str:
        """From now on.  Returns words about how the last run ended, '' if it ended well."""
        last = self._last_run()
        sys.excepthook = self._excepthook
        threading.excepthook = self._thread_excepthook
        qInstallMessageHandler(self._qt_message)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._fatal = self._fatal_path.open("w")
            faulthandler.enable(self._fatal)  # a crash in C has no Python left to write with
        except OSError as exc:
            _log.warning("crash reports go to stderr only: %s", exc)
            faulthandler.enable()
        return last

    def uninstall(self) -> None:
        """The program ends well."""
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        qInstallMessageHandler(None)
        faulthandler.disable()
        if self._fatal is not None:
            self._fatal.close()
            self._fatal = None
            self._fatal_path.unlink(missing_ok=True)

    @property
    def _fatal_path(self) -> Path:
        return self._folder / f"fatal-{os.getpid()}.txt"

    def _last_run(self) -> str:
        """A run that ended well has taken its file away; one that crashed in C has written into it."""
        kept = None
        try:
            for path in self._folder.glob("fatal-*.txt"):
                if path.stat().st_size > 0:
                    kept = self._folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{path.name}"
                    path.replace(kept)
                elif time.time() - path.stat().st_mtime > FORGET_S:
                    path.unlink()  # that run was killed; a younger one may be running
        except OSError as exc:
            _log.warning("crash reports: %s", exc)
        return f"The window crashed last time. Report: {kept}" if kept else ""

    def _excepthook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        self.report(error, threading.current_thread().name)

    def _thread_excepthook(self, crash: threading.ExceptHookArgs) -> None:
        if crash.exc_value is not None:
            self.report(crash.exc_value, crash.thread.name if crash.thread else "?")

    def report(self, error: BaseException, where: str) -> None:
        """Tell everybody about this failure; any thread.  Never raises."""
        if getattr(self._is_reporting, "now", False):
            return  # telling it failed: that would go round in circles
        self._is_reporting.now = True
        try:
            text = "".join(traceback.format_exception(error))
            if not self._is_new(error):
                return
            _log.critical("unhandled in %s:\n%s", where, text)
            path = self._write(where, text)
            place = f"Report: {path}" if path else "The report is on stderr."
            self._on_crash(f"Something in this window failed; the car is disarmed. {place}")
        except Exception:  # the last resort of all: stderr
            traceback.print_exc()
        finally:
            self._is_reporting.now = False

    def _is_new(self, error: BaseException) -> bool:
        """A slot that fails at 50 Hz is one report."""
        frames = traceback.extract_tb(error.__traceback__)
        signature = f"{type(error).__name__} {[(f.filename, f.lineno) for f in frames[-3:]]}"
        now_s = time.monotonic()
        with self._lock:
            last_s = self._seen.get(signature)
            self._seen[signature] = now_s
            return last_s is None or now_s - last_s > AGAIN_S

    def _write(self, where: str, text: str) -> Path | None:
        """None where nothing can be written."""
        with self._lock:
            self.reports += 1
            name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{self.reports}.txt"
        head = (
            f"pynet-desktop, thread {where}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
            f"Python {platform.python_version()}, Qt {QT_VERSION_STR}, PyQt {PYQT_VERSION_STR}, "
            f"{platform.platform()}\n\n"
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / name
            path.write_text(head + text, encoding="utf-8", errors="replace")
            for old in sorted(self._folder.glob("crash-*.txt"))[:-MAX_REPORTS]:
                old.unlink(missing_ok=True)
        except OSError as exc:
            _log.warning("no crash report: %s", exc)
            return None
        return path

    def _qt_message(self, kind: int, context: object, message: str) -> None:
        if kind == QtFatalMsg:
            _log.critical("Qt: %s", message)
            self._write("Qt", f"Qt gave up: {message}\n\n" + "".join(traceback.format_stack()))
        else:
            _log.warning("Qt: %s", message)
