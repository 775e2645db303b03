"""What the guardian must not do in its tick: write the log, and keep the e-stop on disk."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
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
    """Takes notes from the tick without ever making it wait; a thread of its own writes them down."""

    def __init__(self, state_dir: Path, *, retry_s: float = RETRY_S) -> None:
        self.dropped = 0  # events that came while the queue was full
        self._path = state_dir / LATCH_FILE
        self._queue: queue.Queue[Event | None] = queue.Queue(QUEUE_EVENTS)
        self._wanted = self._kept = read_latch(state_dir)
        self._retry_s = retry_s
        self._trouble = ""  # why the e-stop is not on disk as it should be
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="diary", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def tell(self, event: Event) -> None:
        """Log this event, soon."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def keep_e_stop(self, why: str) -> None:
        """Hold the e-stop over restarts, or '' to forget it; written soon, and until it succeeds."""
        self._wanted = why
        self._wake()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write down what is left, for at most this long.  Idempotent."""
        self._closing = True
        self._wake()
        self._thread.join(timeout_s)

    def _wake(self) -> None:
        with contextlib.suppress(queue.Full):  # then it is awake
            self._queue.put_nowait(None)

    def _run(self) -> None:
        while not (self._closing and self._queue.empty()):
            try:
                event = self._queue.get(timeout=None if self._wanted == self._kept else self._retry_s)
            except queue.Empty:
                event = None
            # Before the log line: the stop outlives a power cut that comes in between.
            self._keep(self._wanted)
            if event is not None:
                log.log(_LEVELS[event.severity], "%s", event.text)

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
                log.error("the e-stop is not kept over a restart: %s; trying again", exc)
            self._trouble = str(exc)
        else:
            if self._trouble:
                log.info("the e-stop is kept over a restart again")
            self._trouble = ""
            self._kept = wanted


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
