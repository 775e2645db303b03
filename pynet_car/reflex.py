"""Brake before what is ahead, whoever drives.  Pure.

`look` judges the newest readings, `limit` applies the judgement to a throttle.
Steering stays free.  What is blocked gets throttle 0 and no counter-brake.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pynet_car.messages import Odometry, Reading, ReadingState

STALE_NS: Final = 200_000_000  # a reading or odometry older than this, or than two periods, is stale
AHEAD_NS: Final = 50_000_000  # taken after the tick has read the clock, or an echo yet to arrive
CAMERA_STALE_NS: Final = 1_000_000_000
CREEP_MPS: Final = 0.5  # with a stalled camera nobody goes faster
CREEP_CUTOFF_MPS: Final = 0.45  # odometry and motor lag 50 ms: at 0.15 throttle about 0.02 m/s
CREEP_THROTTLE: Final = 0.15  # of full; about 0.5 m/s on a car of 3.2 m/s, and all we have without odometry
UNKNOWN_MPS: Final = 2.0  # how fast we take the car to be when the encoders do not say
FASTEST_MPS: Final = 100.0  # encoders that say more do not say how fast; a square of it must fit into a float

# Motor one way and encoders the other: so long a car does not take to turn round.
AGAINST_S: Final = 1.0
AGAINST_DUTY: Final = 0.2
AGAINST_MPS: Final = 0.1
MAX_DT_S: Final = 0.05
STRAIGHT: Final = 0.5  # steering; beyond, a car that turns by its sides has one of them going back

# Stopping distance at v m/s: 0.28 m to the bumper, 80 ms to react, 3 m/s2 to stop.
# Measured: 14 of 14 boxes, for 2.5 % of the laps an hour.
MARGIN_M: Final = 0.28
REACTION_S: Final = 0.08
TWICE_BRAKING_MPS2: Final = 6.0

# A sonar hears within a cone; what it hears may stand anywhere in it.  A head that looks aside
# brakes only for what may stand in the car's own track: walls beside the lane are not ahead.
HALF_CONE_RAD: Final = math.radians(15.0)
HALF_TRACK_M: Final = 0.20  # half a 1:10 car (0.12 m) and a hand's breadth


@dataclass(frozen=True, slots=True)
class Head:
    """One range sensor: what its channel is called, where it looks, how often it measures."""

    channel: str
    bearing_rad: float  # 0 ahead, + left; beyond a right angle it looks backward
    period_s: float


@dataclass(frozen=True, slots=True)
class Sight:
    """What the sensors forbid, and why in words for a person ('' when there is nothing to say)."""

    blocked_forward: bool
    blocked_backward: bool
    reason: str


def look(
    heads: Sequence[Head],
    newest: Mapping[str, Reading],
    *,
    velocity_mps: float | None,
    now_ns: int,
) -> Sight:
    """Which ways are blocked.

    `newest` is by channel; a head that never spoke is stale.  Velocity None is
    unknown: the car counts as going UNKNOWN_MPS in both directions.
    """
    if not heads:
        return Sight(False, False, "No proximity sensor is configured: nothing brakes for you.")
    blocked = {True: False, False: False}  # by "looks forward"
    reason = ""
    for head in heads:
        forward = abs(head.bearing_rad) <= math.pi / 2
        if velocity_mps is None:
            approach_mps = UNKNOWN_MPS
        else:
            approach_mps = max(0.0, velocity_mps if forward else -velocity_mps)
        why = _obstacle(head, newest.get(head.channel), approach_mps, now_ns)
        if why:
            blocked[forward] = True
            reason = reason or f"{head.channel} {why}: {'forward' if forward else 'backward'} is blocked."
    return Sight(blocked[True], blocked[False], reason)


def _obstacle(head: Head, reading: Reading | None, approach_mps: float, now_ns: int) -> str:
    """Why nothing may move toward where this head looks; '' when it may."""
    if reading is None:
        return "has not measured yet"
    age_ns = now_ns - reading.captured_ns
    if reading.state is ReadingState.STALE or not is_recent(age_ns, head.period_s):
        return "is stale"
    if reading.state is ReadingState.FAULT or not (math.isfinite(reading.value) and reading.value >= 0.0):
        return "is faulty"
    ahead, beside = _axes(head.bearing_rad)
    if reading.value * beside >= HALF_TRACK_M or reading.value * ahead >= stopping_m(approach_mps):
        return ""
    if reading.state is ReadingState.OUT_OF_RANGE:  # clear that far, and nobody knows what comes then
        return f"sees {reading.value:.2f} m far, too little at this speed"
    return f"sees something at {reading.value:.2f} m"


@functools.cache  # a car has a handful of bearings, and a hundred ticks a second
def _axes(bearing_rad: float) -> tuple[float, float]:
    """How much of a range counts along the way and across it, for the nearest edge of the cone."""
    off_axis_rad = min(abs(bearing_rad), math.pi - abs(bearing_rad))
    off_axis_rad = max(0.0, off_axis_rad - HALF_CONE_RAD)
    return math.cos(off_axis_rad), math.sin(off_axis_rad)


def stopping_m(approach_mps: float) -> float:
    """How far ahead must be free at this speed."""
    return MARGIN_M + REACTION_S * approach_mps + approach_mps**2 / TWICE_BRAKING_MPS2


def is_recent(age_ns: int, period_s: float) -> bool:
    """Whether a measurement of this period still tells what is now."""
    return -AHEAD_NS <= age_ns <= max(STALE_NS, 2 * period_s * 1e9)


def known_velocity_mps(odometry: Odometry | None, *, period_s: float, now_ns: int) -> float | None:
    """What the encoders say now; None when they are faulty, stale or silent."""
    if odometry is None or odometry.state is not ReadingState.OK:
        return None
    is_known = is_recent(now_ns - odometry.captured_ns, period_s)
    is_known = is_known and abs(odometry.velocity_mps) <= FASTEST_MPS  # NaN is not
    return odometry.velocity_mps if is_known else None


class Agreement:
    """Whether the encoders count the way the motor drives.  One thread's.

    Where their wires are swapped, a car that drives at a wall seems to leave it,
    and would brake a hand's breadth before it.
    """

    def __init__(self) -> None:
        self._against_s = 0.0

    def is_broken(self, *, duty: float, steering: float, velocity_mps: float | None, dt_s: float) -> bool:
        """After a tick with this put out; once broken, until they agree."""
        if (
            velocity_mps is not None
            and abs(duty) >= AGAINST_DUTY
            and abs(steering) <= STRAIGHT
            and abs(velocity_mps) >= AGAINST_MPS
        ):
            agree = duty * velocity_mps > 0.0
            self._against_s = 0.0 if agree else self._against_s + max(0.0, min(MAX_DT_S, dt_s))
        return self._against_s > AGAINST_S


def is_blind(camera_ns: int | None, now_ns: int) -> bool:
    """Whether the newest camera frame, if there ever was one, no longer shows what is now."""
    return camera_ns is None or not -AHEAD_NS <= now_ns - camera_ns <= CAMERA_STALE_NS


def limit(throttle: float, sight: Sight, *, creep: bool = False, velocity_mps: float | None = None) -> float:
    """The throttle that is left.

    `creep`: nobody sees where the car goes, so it stays below CREEP_MPS: cut
    off by the odometry where there is one, and by CREEP_THROTTLE always.
    """
    if (throttle > 0.0 and sight.blocked_forward) or (throttle < 0.0 and sight.blocked_backward):
        return 0.0
    if not creep:
        return throttle
    if velocity_mps is not None and velocity_mps * throttle > 0.0 and abs(velocity_mps) > CREEP_CUTOFF_MPS:
        return 0.0
    return max(-CREEP_THROTTLE, min(CREEP_THROTTLE, throttle))
