"""What the simulated sonars hear: the nearest thing in each beam."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from pynet_car.world.track import Floats
from pynet_car.world.wiring import NO_ECHO_NS, SOUND_MPS, Wiring

_BEAM_RAD: Final = np.radians((-7.0, 0.0, 7.0))  # three rays stand for a beam of 15 degrees
_LONGEST_M: Final = 0.5  # a barrier's panel on the outside of the tightest bend is 0.42 m


def cast(x_m: float, y_m: float, angles: Floats, walls: Floats, max_m: float) -> Floats:
    """How far each ray goes before it meets a wall, at most max_m.

    `angles` (n,) are in the track's frame, `walls` (m, 4) straight pieces x0, y0, x1, y1.
    """
    start = walls[:, :2] - (x_m, y_m)
    # No wall is longer than this: others are out of reach.
    near = np.einsum("ij,ij->i", start, start) < (max_m + _LONGEST_M) ** 2
    start, along = start[near], walls[near, 2:] - walls[near, :2]
    ray = np.column_stack((np.cos(angles), np.sin(angles)))
    with np.errstate(divide="ignore", invalid="ignore"):  # a ray parallel to a wall misses it
        across = np.outer(ray[:, 0], along[:, 1]) - np.outer(ray[:, 1], along[:, 0])
        distance = (start[:, 0] * along[:, 1] - start[:, 1] * along[:, 0]) / across
        share = (np.outer(ray[:, 1], start[:, 0]) - np.outer(ray[:, 0], start[:, 1])) / across
        hit = (share >= 0) & (share <= 1) & (distance > 0)
    nearest: Floats = np.where(hit, distance, max_m).min(axis=1, initial=max_m)
    return nearest


def sonar_ranges(x_m: float, y_m: float, heading_rad: float, wiring: Wiring, walls: Floats) -> list[float]:
    """Metres from each sonar to the nearest thing in its beam; `inf` when nothing is in range."""
    x_m += wiring.sonar_forward_m * math.cos(heading_rad)
    y_m += wiring.sonar_forward_m * math.sin(heading_rad)
    bearings = heading_rad + np.radians([sonar.bearing_deg for sonar in wiring.sonars])
    rays = (bearings[:, None] + _BEAM_RAD).ravel()
    nearest = cast(x_m, y_m, rays, walls, wiring.sonar_range_m).reshape(-1, len(_BEAM_RAD)).min(axis=1)
    return [range_m if range_m < wiring.sonar_range_m else math.inf for range_m in nearest.tolist()]


def echo_ns(range_m: float) -> int:
    """How long the echo line stays high for this range, out and back."""
    return NO_ECHO_NS if math.isinf(range_m) else round(2e9 * range_m / SOUND_MPS)
