"""The newest Status of a car, whichever pair has brought it, and waiting for what it shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pynet_car.messages import Status
from pynet_core.errors import DeadlineExceeded


class NewestStatus:
    """What the car has said last.  Any thread."""

    def __init__(self, where: str) -> None:
        """`where` is the car, for messages."""
        self._where = where
        self._changed = threading.Condition()
        self._came_s = 0.0  # monotonic
        self.value: Status | None = None  # None before the first

    @property
    def age_s(self) -> float:
        """Since it came in, here."""
        return time.monotonic() - self._came_s

    def take(self, status: Status) -> bool:
        """One more has come; False when it is no news: the other pair was faster."""
        with self._changed:
            known = self.value
            if known is not None and known.boot == status.boot and known.stamp_ns >= status.stamp_ns:
                return False
            self.value, self._came_s = status, time.monotonic()
            self._changed.notify_all()
            return True

    def wait_for_another(self, seen: Status, timeout_s: float) -> None:
        """Return when there is another than this one, or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self.value is not seen, timeout_s)

    def wait_until(self, holds: Callable[[Status], bool], timeout_s: float, what: str) -> None:
        """Return when there is one of which this holds.

        Raises:
            DeadlineExceeded: None within `timeout_s`; `what` is what was to be seen, in words.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.value is not None and holds(self.value), timeout_s):
                raise DeadlineExceeded(
                    f"{what}, but no Status of {self._where} says so within {timeout_s:g} s"
                )
