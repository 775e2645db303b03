"""Motion from wheel encoder ticks: distance, pose, velocity.  Pure: no clock, no pins, no thread.

Counts and pose come from the ticks themselves, so they do not depend on when
one asks.  Velocity comes from the time between ticks, not from ticks per
polling interval: a 98 ticks/m disc counted at 50 Hz knows speed to 0.5 m/s only.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from typing import Final

from pynet_car.messages import Odometry, ReadingState

SPAN_NS: Final = 50_000_000  # velocity is averaged over as many whole ticks as fit, at least one
LATE_NS: Final = 20_000_000  # a tick may reach us that much later than its stamp: 5 ms polls, a busy core
SILENCE_NS: Final = 250_000_000  # no tick for so long is standing still: below 0.04 m/s at 98 ticks/m


class Wheel(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


class Odometer:
    """Integrates the ticks of two wheels; used by one thread, or under its owner's lock."""

    def __init__(self, *, ticks_per_m: float, track_width_m: float) -> None:
        self._tick_m = 1.0 / ticks_per_m
        self._track_m = track_width_m
        # One wheel rolls on an arc round the other: so far the middle of the axle gets, as the crow flies.
        self._chord_m = track_width_m * math.sin(self._tick_m / track_width_m / 2)
        self._wheels = {Wheel.LEFT: _Wheel(), Wheel.RIGHT: _Wheel()}
        self._x_m = 0.0
        self._y_m = 0.0
        self._seq = 0

    def tick(self, wheel: Wheel, step: int, stamp_ns: int) -> None:
        """One tick of one wheel: `step` is +1 forward or -1 backward, `stamp_ns` when its edge was."""
        before = self._heading_rad
        self._wheels[wheel].tick(step, stamp_ns)
        along_chord = (before + self._heading_rad) / 2
        self._x_m += step * self._chord_m * math.cos(along_chord)
        self._y_m += step * self._chord_m * math.sin(along_chord)

    def at(self, now_ns: int, state: ReadingState = ReadingState.OK) -> Odometry:
        """All that is known at `now_ns`, which must not lie before the newest tick."""
        left, right = self._wheels[Wheel.LEFT], self._wheels[Wheel.RIGHT]
        left_mps = left.ticks_per_s(now_ns) * self._tick_m
        right_mps = right.ticks_per_s(now_ns) * self._tick_m
        self._seq += 1
        return Odometry(
            seq=self._seq,
            captured_ns=now_ns,
            left_ticks=left.count,
            right_ticks=right.count,
            distance_m=(left.count + right.count) * self._tick_m / 2,
            x_m=self._x_m,
            y_m=self._y_m,
            heading_rad=self._heading_rad,
            velocity_mps=(left_mps + right_mps) / 2,
            yaw_rate_radps=(right_mps - left_mps) / self._track_m,
            state=state,
        )

    @property
    def _heading_rad(self) -> float:
        """From the counts alone, so it never drifts by rounding; + left, not wrapped."""
        return (
            (self._wheels[Wheel.RIGHT].count - self._wheels[Wheel.LEFT].count) * self._tick_m / self._track_m
        )


class _Wheel:
    """Counts the ticks of one wheel and keeps the newest stamps of one direction."""

    def __init__(self) -> None:
        self.count = 0
        self._direction = 0
        self._recent: deque[tuple[int, int]] = deque(maxlen=64)  # (stamp_ns, count), stamps strictly rising

    def tick(self, step: int, stamp_ns: int) -> None:
        recent = self._recent
        if step != self._direction:
            recent.clear()  # it turned round: the time since the last tick says nothing about speed
        self._direction = step
        self.count += step
        if recent and stamp_ns <= recent[-1][0]:
            recent[-1] = (recent[-1][0], self.count)  # two edges in one stamp: no period between them
            return
        recent.append((stamp_ns, self.count))
        while len(recent) > 2 and recent[-1][0] - recent[0][0] > SPAN_NS:
            recent.popleft()

    def ticks_per_s(self, now_ns: int) -> float:
        """Signed; falls while no tick comes that should have, and is 0 after SILENCE_NS."""
        if len(self._recent) < 2:
            return 0.0
        (first_ns, first), (last_ns, last) = self._recent[0], self._recent[-1]
        silence_ns = now_ns - last_ns
        if silence_ns > SILENCE_NS:
            return 0.0
        rate = (last - first) * 1e9 / (last_ns - first_ns)
        # Had it kept up that rate the next tick would be here, unless it is still on its way to us.
        overdue_ns = silence_ns - LATE_NS
        limit = 1e9 / overdue_ns if overdue_ns > 0 else math.inf
        return max(-limit, min(limit, rate))
