"""The interpreter's switch interval: one for the whole process, short while somebody holds it so."""

from __future__ import annotations

import sys
import threading
from typing import Final

SWITCH_INTERVAL_S: Final = 0.0005  # a call beside a thread that computes in Python: 5.3 ms -> 0.75 ms
LEAST_S: Final = 0.00001  # below, threads do little but take turns
MOST_S: Final = 1.0

# A process has one interval, so the claims to it are known in one place.
_lock = threading.Lock()
_held: list[SwitchInterval] = []
_before_s = _ours_s = 0.0  # what it was before the first claim, and what we have set it to


class SwitchInterval:
    """A claim to an interval; of several the shortest counts.  Any thread."""

    def __init__(self, interval_s: float | None) -> None:
        """`interval_s` in seconds; None claims nothing.

        Raises:
            ValueError: It is not from 0.00001 to 1.
        """
        if interval_s is not None and not LEAST_S <= interval_s <= MOST_S:
            raise ValueError(f"switch_interval_s must be {LEAST_S:.5f} to {MOST_S:g}, got {interval_s!r}")
        self._interval_s = interval_s

    def hold(self) -> None:
        """Have it, until `release`.  Idempotent."""
        global _before_s
        with _lock:
            if self._interval_s is not None and self not in _held:
                if not _held:
                    _before_s = sys.getswitchinterval()
                _held.append(self)
                _apply()

    def release(self) -> None:
        """Give it up: that of other claims counts, and without any what was there before.  Idempotent."""
        with _lock:
            if self in _held:
                # Set by others since the last claim: theirs, and not for us to take back.
                is_ours = sys.getswitchinterval() == _ours_s
                _held.remove(self)
                if is_ours:
                    _apply()


def _apply() -> None:
    """Set what the claims that are held come to; called with the lock held."""
    global _ours_s
    claims = [each._interval_s for each in _held if each._interval_s is not None]
    sys.setswitchinterval(min(claims, default=_before_s))
    _ours_s = sys.getswitchinterval()  # as the interpreter rounds it
