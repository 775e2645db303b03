"""Deadlines: an instant on the monotonic clock, made from a duration."""

from __future__ import annotations

import time
from typing import Final

from pynet_core.errors import DeadlineExceeded

FOR_EVER_S: Final = 1e6  # 11 days and more: poll(2) cannot count them in ms, and nobody means them


class Deadline:
    """The instant `timeout_s` from now; never, when that is None."""

    def __init__(self, timeout_s: float | None, what: str) -> None:
        if timeout_s is not None and timeout_s >= FOR_EVER_S:
            timeout_s = None
        self.timeout_s = timeout_s
        self._at = None if timeout_s is None else time.monotonic() + timeout_s
        self._what = what

    def ends_after(self, other: Deadline) -> bool:
        """It is the later of the two."""
        return other._at is not None and (self._at is None or self._at > other._at)

    def remaining_s(self) -> float | None:
        """Seconds left, more than 0; None when there is no end.

        Raises:
            DeadlineExceeded: It has passed.
        """
        if self._at is None:
            return None
        left_s = self._at - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(f"{self._what}: nothing within {self.timeout_s:g} s")
        return left_s
