"""The bandwidth limit of one transfer: all its pairs wait here in turn."""

from __future__ import annotations

import threading
import time

from pynet_core.transfer.bucket import TokenBucket


class Limit:
    """No more than `bytes_per_s`, of all pairs together; None is no limit.  Any thread."""

    def __init__(self, bytes_per_s: int | None) -> None:
        """Raises ValueError when nothing could ever pass."""
        self._bucket = None if bytes_per_s is None else TokenBucket(bytes_per_s)
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def pace(self, count: int) -> None:
        """So many bytes are about to travel; returns when they may."""
        if self._bucket is None or not count:
            return
        with self._lock:  # held while waiting: who comes later waits longer
            wait_ns = self._bucket.take(count, time.monotonic_ns())
            self._is_over.wait(wait_ns / 1e9)

    def stop(self) -> None:
        """Nobody waits any more."""
        self._is_over.set()
