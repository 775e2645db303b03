"""Pressing a car's e-stop: on every line there is, until one confirms it or time is up."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence

from pynet_car.lines import AskLine
from pynet_car.messages import State
from pynet_car.newest_status import NewestStatus
from pynet_car.sender import SEND_PERIOD_S
from pynet_core.errors import LinkError, PynetError


def press_e_stop(lines: Sequence[AskLine], newest: NewestStatus, timeout_s: float) -> None:
    """Return once the car has said that it stops.

    Raises:
        LinkError: It has not within `timeout_s`.
    """
    press = _Press(newest, time.monotonic() + timeout_s)
    try:
        for line in lines:  # at once on all: a lost segment holds one of them up
            threading.Thread(target=press.run, args=(line,), name="pynet e-stop", daemon=True).start()
    except RuntimeError:  # the machine has no thread left: in turns, in this one
        press.run(*lines)
    if not press.is_done.wait(max(0.0, press.until_s - time.monotonic())):
        raise LinkError(f"E-STOP not confirmed within {timeout_s:g} s: {press.error or 'no answer'}")


class _Press:
    """One press.  `run` is of any number of threads."""

    def __init__(self, newest: NewestStatus, until_s: float) -> None:
        self.until_s = until_s  # monotonic
        self.is_done = threading.Event()
        self.error: PynetError | None = None  # why the newest try failed
        self._newest = newest
        self._seen = newest.value

    def run(self, *lines: AskLine) -> None:
        for line in itertools.cycle(lines):
            try:
                line.ask("e_stop")
                self.is_done.set()
            except PynetError as exc:
                self.error = exc
                # Not one from before: somebody may have reset the car since, and be driving.
                status = self._newest.value
                if status is not None and status is not self._seen and status.state is State.E_STOP:
                    self.is_done.set()
            if self.is_done.wait(SEND_PERIOD_S) or time.monotonic() > self.until_s:
                return
