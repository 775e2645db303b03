"""What a subscription counts and measures: how much, how often, how old."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

SEEN_FRAMES: Final = 512  # 10 s of a 50 Hz stream
SEEN_NS: Final = 10_000_000_000


@dataclass(frozen=True, slots=True)
class StreamStats:
    """The first four are counted since the subscription began.

    Rate and ages are those of the newest 512 frames, and of no more than the
    last 10 s; NaN when nothing came in that time.  Items that came together
    in one frame are one age, that of the oldest.  An age is from the yield at
    the gateway to the callback: by the clocks' distance as the newest ping
    found it, half its round trip more or less, and never below that of the
    item that came fastest.  Two machines' clocks drift apart some ms an hour.
    """

    items: int
    payload_bytes: int
    replaced: int  # skipped by the gateway for newer ones
    stamp_ns: int  # gateway's clock at the newest item
    rate_hz: float  # items a second
    age_p50_ms: float
    age_p99_ms: float


class Meter:
    """Rate and ages of one stream.  One thread tells it, any may read."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int, int]] = deque(maxlen=SEEN_FRAMES)  # when, how old, the how manieth
        # The most that one came before it was made: so wrong is what we know of the clocks.
        self._early_ns = 0

    def came(self, now_ns: int, made_ns: int, number: int) -> None:
        """Item `number` has come, made at `made_ns` by our clock."""
        age_ns = now_ns - made_ns
        if -age_ns > self._early_ns:
            self._early_ns = -age_ns
        self._seen.append((now_ns, age_ns, number))

    def read(self, now_ns: int, number: int) -> tuple[float, float, float]:
        """Items a second, and p50 and p99 of their ages in ms, when `number` have come by now."""
        recent = [each for each in self._seen.copy() if now_ns - each[0] <= SEEN_NS]
        if not recent:
            return math.nan, math.nan, math.nan
        first_ns, _, first = recent[0]
        rate_hz = (number - first) / max(now_ns - first_ns, 1) * 1e9
        ages_ms = sorted((age_ns + self._early_ns) / 1e6 for _, age_ns, _ in recent)
        return rate_hz, _at(ages_ms, 0.5), _at(ages_ms, 0.99)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
