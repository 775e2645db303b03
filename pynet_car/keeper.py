"""The thread that keeps a driver's lines to the car open.

When the car's echo has been silent for 1 s it asks for a new pair, every 0.5 s,
beside the old ones: after a stall TCP would wait seconds for its own timer, a
new pair does not.  Whichever is heard first wins.  If it is the new one, all
others are cut and opened anew.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pynet_car.lines import Line, StreamLine
from pynet_car.race import Race
from pynet_core.client import Client
from pynet_core.controller import Controller, PairId
from pynet_core.errors import DeadlineExceeded, LinkClosed, PynetError

_log = logging.getLogger(__name__)

SILENCE_S: Final = 1.0  # 50 Status messages late
QUIET_S: Final = 0.3  # nothing is asked then: its answer would be waited for, and the race with it
TRY_S: Final = 2.0  # for one try: longer than three round trips of a very long way, TLS's and HELLO's
OPEN_S: Final = 0.5  # for the job of a line to begin on a pair that has just answered
CHECK_PERIOD_S: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Try:
    """One more pair for a line, opened in a thread of its own."""

    line: Line
    number: int  # of its pair's attempts
    began_s: float

    def pair(self) -> PairId:
        """For this attempt only: others of the same pair may be on their way."""
        pair = PairId()
        pair.bytes, pair.attempt = self.line.pair.bytes, self.number - 1
        return pair


class Keeper:
    """Opens what is down, and races for what is silent."""

    def __init__(self, controller: Controller, changed: threading.Event) -> None:
        self._controller = controller
        self._changed = changed  # set by lines that went down
        self._adding = threading.Lock()
        self._lines: tuple[Line, ...] = ()
        self._echoes: tuple[StreamLine, ...] = ()
        self._closing = False
        self._race: Race[Line] = Race()
        self._used: dict[Line, int] = {}  # which attempt each line runs on
        # What came of the tries, at most race.AT_ONCE of them.
        self._results: queue.SimpleQueue[tuple[_Try, Client | PynetError]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pynet keeper", daemon=True)
        self.error: PynetError | None = None  # why the newest attempt failed; None when all is up

    def open(self, lines: tuple[Line, ...], echoes: tuple[StreamLine, ...], timeout_s: float) -> None:
        """Open all lines and keep them so.

        Raises:
            LinkError: One could not be opened; none is left open then.
        """
        self._echoes = echoes
        for line in lines:
            self._use(line, self._first(line, timeout_s), timeout_s)
            self._lines = (*self._lines, line)
        self._thread.start()

    def _first(self, line: Line, timeout_s: float) -> Client:
        """A pair; on a poor link one handshake in some is not done in the time that a gateway gives it."""
        end_s = time.monotonic() + timeout_s
        while True:
            left_s = end_s - time.monotonic()
            try:
                return self._controller.get_client(
                    purpose=line.purpose, pair=line.pair, timeout_s=min(TRY_S, left_s)
                )
            except (LinkClosed, DeadlineExceeded):
                if end_s - time.monotonic() < OPEN_S:
                    raise

    def add(self, line: Line) -> None:
        """Keep one more line open; from any thread."""
        with self._adding:
            self._lines = (*self._lines, line)
        self._changed.set()

    def close(self) -> None:
        """End the thread; the lines stay as they are."""
        self._closing = True
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def silent_s(self) -> float:
        """How long ago the newest echo came, over all echo lines."""
        return time.monotonic() - max(line.item_at_s for line in self._echoes)

    def _run(self) -> None:
        while not self._closing:
            self._changed.wait(CHECK_PERIOD_S)
            self._changed.clear()
            self._take_results()
            for line in self._race.due(self._down(), now_s := time.monotonic()):
                self._try(line, now_s)
            if self.silent_s < QUIET_S:
                self._check()

    def _down(self) -> Sequence[Line]:
        """What to open, the echoes first.  Of a silent car one echo, though it is up, and nothing else."""
        now_s = time.monotonic()
        if self.silent_s > SILENCE_S:
            return [echo for echo in self._echoes if now_s >= echo.retry_at_s][:1]
        for echo in self._echoes:
            if echo.is_up and now_s - echo.item_at_s > SILENCE_S:
                echo.cut()  # it is stuck alone
        return [line for line in self._lines if not line.is_up and now_s >= line.retry_at_s]

    def _check(self) -> None:
        for line in self._lines:
            if line.is_up and not self._closing:
                line.check(time.monotonic())

    def _try(self, line: Line, now_s: float) -> None:
        line.pair.attempt += 1
        started = _Try(line, line.pair.attempt, now_s)
        trying = threading.Thread(target=self._open, args=(started,), name="pynet try", daemon=True)
        try:
            trying.start()
        except RuntimeError as exc:  # the machine has none left; later it may
            self._results.put((started, LinkClosed(f"no pair can be opened: {exc}")))

    def _open(self, started: _Try) -> None:
        """In a thread of its own."""
        result: Client | PynetError
        try:
            result = self._controller.get_client(
                purpose=started.line.purpose, pair=started.pair(), timeout_s=TRY_S
            )
        except PynetError as exc:
            result = exc
        self._results.put((started, result))
        self._changed.set()
        if self._closing:
            self._take_results()

    def _take_results(self) -> None:
        while True:
            try:
                started, result = self._results.get_nowait()
            except queue.Empty:
                return
            if self._closing:
                if isinstance(result, Client):
                    result.close()
            else:
                self._take(started, result)

    def _take(self, started: _Try, result: Client | PynetError) -> None:
        line = started.line
        error = result if isinstance(result, PynetError) else None
        if isinstance(result, Client) and started.number < self._used.get(line, 0):
            result.close()  # a later one is in use, and has ended this one at the car
        elif isinstance(result, Client):
            self._used[line] = started.number
            was_silent = self.silent_s > SILENCE_S
            try:
                self._use(line, result, OPEN_S)
            except PynetError as exc:
                error = exc
            else:
                if was_silent:
                    self._cut_others(line)
        self._race.ended(line, started.began_s, answered=error is None)
        if error is None:
            self.error = None
        elif self.silent_s > SILENCE_S or not line.is_up:
            if self.error is None:
                _log.info("no link to the car: %s", error)
            self.error = error

    def _cut_others(self, line: Line) -> None:
        """They are as silent as the one whose place has been taken."""
        for other in self._lines:
            if other is not line and other.is_up:
                other.cut()

    def _use(self, line: Line, client: Client, timeout_s: float) -> None:
        """Let the line do its job on this client."""
        client.timeout_s = timeout_s
        try:
            line.open(client)
        except PynetError:
            client.close()
            raise
