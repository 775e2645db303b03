"""From what the driver wishes to what the pins put out: clamp and slew.  Pure.

Slew limits act away from zero, for the gearbox and the battery.  Toward zero
nothing may take longer than 50 ms, and a stop takes no time at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

TOWARD_ZERO_PER_S: Final = 25.0  # full to nothing in 40 ms: 50 ms less one tick
MAX_DT_S: Final = 0.05  # a tick that comes later than this must not jump further


class Outputs(NamedTuple):
    """What stands at the pins, each in [-1, 1]."""

    duty: float
    steering: float


NEUTRAL: Final = Outputs(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_throttle: float  # (0, 1]
    throttle_slew_per_s: float  # away from zero
    steering_slew_per_s: float  # away from zero


def mix(now: Outputs, *, throttle: float, steering: float, limits: Limits, dt_s: float) -> Outputs:
    """The outputs `dt_s` after `now` on the way to this wish.

    To stop at once do not come here: put out NEUTRAL.
    """
    return Outputs(
        _slew(now.duty, _clamp(throttle, limits.max_throttle), limits.throttle_slew_per_s, dt_s),
        _slew(now.steering, _clamp(steering, 1.0), limits.steering_slew_per_s, dt_s),
    )


def sides(duty: float, steering: float) -> tuple[float, float]:
    """(left, right) duty of a car that steers by turning its sides at different speeds.

    The outer side gets the duty; the inner one less, nothing at half steering,
    and the opposite at full: it turns on the spot.  Without throttle nothing
    turns at all: then a reflex that takes the throttle away has stopped the car.
    """
    inner = duty * (1.0 - 2.0 * abs(steering))
    return (inner, duty) if steering > 0.0 else (duty, inner)


def _clamp(wish: float, limit: float) -> float:
    # NaN passes every comparison below, and a motor must never get it.
    return max(-limit, min(limit, wish)) if math.isfinite(wish) else 0.0


def _slew(now: float, wish: float, rise_per_s: float, dt_s: float) -> float:
    dt_s = max(0.0, min(MAX_DT_S, dt_s)) if math.isfinite(dt_s) else 0.0
    if now * wish < 0.0:
        wish = 0.0  # through zero first, and for one tick at it: an H-bridge dislikes both sides at once
    falls = abs(wish) < abs(now)
    step = (max(rise_per_s, TOWARD_ZERO_PER_S) if falls else rise_per_s) * dt_s
    return max(now - step, min(now + step, wish))
