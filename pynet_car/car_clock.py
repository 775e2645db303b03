"""The car's monotonic clock, as well as pings tell it."""

from __future__ import annotations

import time
from typing import Final

from pynet_core.client import Pong

MEMORY: Final = 20  # pings; the shortest of them gives the offset


class CarClock:
    """One thread takes pongs, any may ask."""

    def __init__(self) -> None:
        self._pongs: tuple[Pong, ...] = ()

    def take(self, newest: Pong) -> None:
        """Forget those that this one proves wrong: the car was switched off and on, or we were asleep."""

        def agrees(pong: Pong) -> bool:
            return abs(pong.offset_ns - newest.offset_ns) <= (pong.rtt_ns + newest.rtt_ns) / 2

        self._pongs = (*filter(agrees, self._pongs[1 - MEMORY :]), newest)

    @property
    def rtt_ns(self) -> int | None:
        """The newest round trip; None before the first."""
        pongs = self._pongs
        return pongs[-1].rtt_ns if pongs else None

    @property
    def offset_ns(self) -> int:
        """To be added to our clock for the car's; 0 before the first pong."""
        best = min(self._pongs, key=lambda pong: pong.rtt_ns, default=None)
        return best.offset_ns if best else 0

    def now_ns(self) -> int:
        """Minus a stamp of the car's this gives an age."""
        return time.monotonic_ns() + self.offset_ns
