"""Where the car was in the last seconds, by its own wheel encoders.  Pure: no clock, no thread.

What asks where the car is now asks a moment after the newest odometry: the
answer goes on from there at its speed and turn.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

from pynet_car.messages import Odometry, ReadingState

MEMORY_NS: Final = 2_000_000_000  # longer than any path lives
BEYOND_NS: Final = 250_000_000  # so far past the newest odometry it goes on; older odometry is stale anyway
FASTEST_MPS: Final = 30.0  # what is farther from one to the next did not roll there
FARTHEST: Final = 1e7  # m, or rad
WILDEST: Final = 1e3  # m/s, or rad/s
SLACK_M: Final = 0.05  # two ticks of a coarse disc may come in one moment


class Place(NamedTuple):
    """Middle of the axle in the odometry's own frame; `rolled_m` grows whichever way it goes."""

    ns: int
    x_m: float
    y_m: float
    heading_rad: float
    rolled_m: float


class Trail:
    """The newest odometry and what led to it.  One thread's.

    `breaks` counts how often what came did not continue what was known: then
    the encoders began anew, and no place from before can be told.
    """

    def __init__(self) -> None:
        self._places: deque[Place] = deque()
        self._newest: Odometry | None = None
        self.breaks = 0

    def add(self, odometry: Odometry) -> None:
        """Take the next one; one that is faulty, or does not follow, breaks the trail."""
        before = self._newest
        if odometry.state is not ReadingState.OK or not _is_possible(odometry):
            self._break()
            return
        rolled_m = 0.0
        if before is not None:
            elapsed_s = (odometry.captured_ns - before.captured_ns) / 1e9
            step_m = math.hypot(odometry.x_m - before.x_m, odometry.y_m - before.y_m)
            moved_m = abs(odometry.distance_m - before.distance_m)
            follows = odometry.seq > before.seq and elapsed_s > 0.0
            if not follows or max(step_m, moved_m) > SLACK_M + FASTEST_MPS * elapsed_s:
                self._break()
            else:
                rolled_m = self._places[-1].rolled_m + moved_m
        self._newest = odometry
        self._places.append(
            Place(odometry.captured_ns, odometry.x_m, odometry.y_m, odometry.heading_rad, rolled_m)
        )
        while odometry.captured_ns - self._places[0].ns > MEMORY_NS:
            self._places.popleft()

    def at(self, ns: int) -> Place | None:
        """Where the car was, or is, at this moment; None when that is not known."""
        newest = self._newest
        if newest is None or ns < self._places[0].ns or ns - newest.captured_ns > BEYOND_NS:
            return None
        last = self._places[-1]
        if ns >= last.ns:
            dt_s = (ns - last.ns) / 1e9
            turned = newest.yaw_rate_radps * dt_s
            ahead_m = newest.velocity_mps * dt_s
            course = last.heading_rad + turned / 2
            return Place(
                ns,
                last.x_m + ahead_m * math.cos(course),
                last.y_m + ahead_m * math.sin(course),
                last.heading_rad + turned,
                last.rolled_m + abs(ahead_m),
            )
        after = last
        for place in reversed(self._places):
            if place.ns <= ns:
                break
            after = place
        share = (ns - place.ns) / (after.ns - place.ns)
        x, y, heading, rolled = (a + share * (b - a) for a, b in zip(place[1:], after[1:], strict=True))
        return Place(ns, x, y, heading, rolled)

    def _break(self) -> None:
        self._places.clear()
        self._newest = None
        self.breaks += 1


def _is_possible(odometry: Odometry) -> bool:
    """Whether a car can have driven that: no NaN, and no place so far out that millimetres are lost."""
    where = odometry.distance_m, odometry.x_m, odometry.y_m, odometry.heading_rad
    how = odometry.velocity_mps, odometry.yaw_rate_radps
    return all(abs(value) < FARTHEST for value in where) and all(abs(value) < WILDEST for value in how)
