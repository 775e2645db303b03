"""What the guardian must not do in its tick: write the log, and keep the e-stop on disk."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from pathlib import Path
from typing import Final

from pynet_car.messages import Event, Severity

LATCH_FILE: Final = "e_stop"  # in the state directory: there while the e-stop is latched
MAX_WHY: Final = 1024  # characters; what a bad disk makes of the file must still fit into a Status
QUEUE_EVENTS: Final = 256  # a person reads a few a minute
RETRY_S: Final = 1.0  # to a disk that failed
_LEVELS: Final = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}

log = logging.getLogger(__name__)


def read_latch(state_dir: Path) -> str:
    """Why the e-stop is latched; '' when it is not.  A latch that cannot be read holds."""
    try:
        with (state_dir / LATCH_FILE).open(encoding="utf-8", errors="replace") as file:
            line = file.readline(MAX_WHY)
    except FileNotFoundError:
        return ""
    except OSError as exc:
        return f"the kept e-stop cannot be read ({exc.strerror})"
    why = "".join(filter(str.isprintable, line)).strip()
    return why or "the e-stop was pressed before the restart"


class Diary:
    """Takes notes from the tick without ever making it wait; two threads of its own write them down.

    Two, for a log may stand still (a terminal with Ctrl-S, a pipe that nobody
    reads), and the e-stop is to be on disk all the same.
    """

    def __init__(self, state_dir: Path, *, retry_s: float = RETRY_S) -> None:
        self.dropped = 0  # events that came while the queue was full
        self._path = state_dir / LATCH_FILE
        self._queue: queue.Queue[tuple[int, str] | None] = queue.Queue(QUEUE_EVENTS)  # level, text
        self._wanted = self._kept = read_latch(state_dir)
        self._retry_s = retry_s
        self._trouble = ""  # why the e-stop is not on disk as it should be
        self._closing = False
        self._asked = threading.Event()  # to look at the latch
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("diary", self._write), ("e-stop", self._look_after_latch))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def tell(self, event: Event) -> None:
        """Log this event, soon."""
        self._note(_LEVELS[event.severity], event.text)

    def keep_e_stop(self, why: str) -> None:
        """Hold the e-stop over restarts, or '' to forget it; written soon, and until it succeeds."""
        self._wanted = why
        self._asked.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write down what is left, for at most this long.  Idempotent."""
        self._closing = True
        self._asked.set()
        with contextlib.suppress(queue.Full):  # then it is awake
            self._queue.put_nowait(None)
        until_s = time.monotonic() + timeout_s
        for thread in reversed(self._threads):  # the latch first
            thread.join(max(0.0, until_s - time.monotonic()))

    def _note(self, level: int, text: str) -> None:
        try:
            self._queue.put_nowait((level, text))
        except queue.Full:
            self.dropped += 1

    def _write(self) -> None:
        while not (self._closing and self._queue.empty()):
            note = self._queue.get()
            if note is not None:
                log.log(note[0], "%s", note[1])

    def _look_after_latch(self) -> None:
        is_last = False
        while not is_last:
            self._asked.wait(None if self._wanted == self._kept else self._retry_s)
            self._asked.clear()
            is_last = self._closing  # asked before the look, for what was wanted until then
            self._keep(self._wanted)

    def _keep(self, wanted: str) -> None:
        if wanted == self._kept:
            return
        try:
            if wanted:
                fresh = self._path.with_suffix(".new")
                with fresh.open("w", encoding="utf-8") as file:
                    file.write(wanted + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self._path)
            else:
                self._path.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except OSError as exc:
            if str(exc) != self._trouble:  # told once: it is tried again every second
                self._note(logging.ERROR, f"the e-stop is not kept over a restart: {exc}; trying again")
            self._trouble = str(exc)
        else:
            if self._trouble:
                self._note(logging.INFO, "the e-stop is kept over a restart again")
            self._trouble = ""
            self._kept = wanted


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
