"""A limit on bytes a second, as a bucket of tokens.  Pure: the caller has the clock, and does the waiting."""

from __future__ import annotations

from typing import Final

BURST_S: Final = 0.25  # of the rate; what an idle spell may save up


class TokenBucket:
    """Lets `bytes_per_s` through on average, and `burst_bytes` at once.  Threads need a lock around it."""

    def __init__(self, bytes_per_s: float, burst_bytes: float | None = None) -> None:
        """Raises ValueError when nothing could ever pass."""
        if not bytes_per_s > 0:
            raise ValueError(f"a limit is more than 0 B/s, got {bytes_per_s}")
        self._per_ns = bytes_per_s / 1e9
        self._burst = bytes_per_s * BURST_S if burst_bytes is None else burst_bytes
        self._tokens = self._burst
        self._last_ns: int | None = None

    def take(self, count: int, now_ns: int) -> int:
        """These bytes go; returns how many ns to wait before the next.

        What is taken is owed, so that pieces larger than the bucket pass too,
        each paid for by the wait after it.
        """
        if self._last_ns is not None:
            gained = max(0, now_ns - self._last_ns) * self._per_ns
            self._tokens = min(self._burst, self._tokens + gained)
        self._last_ns = now_ns
        self._tokens -= count
        return 0 if self._tokens >= 0 else round(-self._tokens / self._per_ns)
