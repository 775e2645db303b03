"""How much a pair asks for at a time.  Pure."""

from __future__ import annotations

from typing import Final

from pynet_core.transfer.messages import MAX_PACK_BYTES
from pynet_core.transfer.stock import LAST_PACK_BYTES, MIN_RANGE_BYTES

MAX_RANGE_BYTES: Final = 32 * 1024 * 1024
UNIT_S: Final = 0.25  # a unit should take so long: what a dead pair loses, and how even the end is


class Sizes:
    """Units that take UNIT_S at the rate of the last one; little at first, for a pair may be slow.

    What a slow one has asked for no other can bring.  One thread's.
    """

    def __init__(self) -> None:
        self.range_bytes = MIN_RANGE_BYTES
        self.pack_bytes = LAST_PACK_BYTES
        self._since_s: float | None = None

    def pause(self) -> None:
        """What passes until the next unit is asked for is not the link's."""
        self._since_s = None

    def done(self, size: int, now_s: float, *, packed: bool) -> None:
        """A pack of so many bytes has come, or a range: that says how large the next of its kind is."""
        if self._since_s is not None:
            wanted = int(size / max(now_s - self._since_s, 1e-6) * UNIT_S)
            if packed:
                self.pack_bytes = max(LAST_PACK_BYTES, min(wanted, 2 * self.pack_bytes, MAX_PACK_BYTES))
            else:
                range_bytes = min(wanted, 2 * self.range_bytes, MAX_RANGE_BYTES) >> 20 << 20
                self.range_bytes = max(MIN_RANGE_BYTES, range_bytes)
        self._since_s = now_s
