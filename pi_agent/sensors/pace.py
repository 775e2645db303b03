"""An even beat for a thread that measures by the clock."""

from __future__ import annotations

import time


class Pace:
    """Beats once a period; a beat that comes late is not made up for.  One thread's own."""

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self._next_ns = 0

    def wait(self) -> int:
        """Sleep until the next beat; returns the time then, monotonic ns."""
        now = time.monotonic_ns()
        self._next_ns = max(self._next_ns + self._period_ns, now)
        if self._next_ns > now:
            time.sleep((self._next_ns - now) * 1e-9)
        return time.monotonic_ns()
