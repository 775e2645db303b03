"""A closed track grown from a seed: its centre line, barriers and cones, and where a point lies on it.

Geometry only, quick to build: what it looks like is in `scenery`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HALF_LANE_M: Final = 0.40  # off-track is the car's centre beyond this
BARRIER_M: Final = 0.65  # from the centre line, both sides
CONE_M: Final = 0.52  # cones stand between the lane's edge and the barrier
SPACING_M: Final = 0.02  # between samples of the centre line, about
MIN_RADIUS_M: Final = 0.85  # the car turns in 0.5 m
_NEIGHBOURS_M: Final = 2 * BARRIER_M + 0.15  # between the centre lines of two stretches side by side


class Place(NamedTuple):
    """Where a point lies on the track."""

    sample: int  # of the centre line, the nearest
    arc_m: float  # along the centre line, [0, length)
    cross_track_m: float  # off the centre line, + left


@dataclass(frozen=True, slots=True)
class Box:
    """A carton in the way: square, of `size_m`."""

    x_m: float
    y_m: float
    heading_rad: float = 0.0
    size_m: float = 0.26

    @property
    def sides(self) -> Floats:
        """Its four sides, (4, 4): x0, y0, x1, y1."""
        return _ring(self.x_m, self.y_m, self.heading_rad, self.size_m / 2)


class Track:
    """A closed lane 0.8 m wide between two barriers, about 20 m long; each seed is another one.

    Samples run in driving direction.  `centre` and `normal` (to the left) are
    (n, 2); `heading` and `curvature` (+ is a left bend) are (n,).
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = np.random.default_rng(seed)
        # About one draw in fifteen is wide enough everywhere.
        for _ in range(2000):
            line = _draw(chance)
            if line is not None:
                break
        else:
            raise ValueError(f"no track grows from seed {seed}")
        centre, tangent, self.curvature, self.length_m = line
        self.centre = centre
        self.count = len(centre)
        self.spacing_m = self.length_m / self.count
        self.tangent = tangent
        self.normal = np.column_stack((-tangent[:, 1], tangent[:, 0]))
        self.heading = np.arctan2(tangent[:, 1], tangent[:, 0])
        posts = chance.choice(self.count, int(chance.integers(6, 13)), replace=False)
        side = chance.choice((-CONE_M, CONE_M), len(posts))
        self.cones: Floats = centre[posts] + side[:, None] * self.normal[posts]

    @cached_property
    def barriers(self) -> Floats:
        """Both barriers as straight panels, (n, 4): x0, y0, x1, y1."""
        sides = []
        for offset in (BARRIER_M, -BARRIER_M):
            posts = (self.centre + offset * self.normal)[::12]
            sides.append(np.hstack((posts, np.roll(posts, -1, axis=0))))
        return np.vstack(sides)

    @cached_property
    def obstacles(self) -> Floats:
        """All that stands on it and echoes, (n, 4): barriers and cones."""
        cones = [_ring(x, y, math.pi / 4, 0.04) for x, y in self.cones.tolist()]
        return np.vstack([self.barriers, *cones])

    def locate(self, x_m: float, y_m: float, hint: int | None = None) -> Place:
        """The place nearest to a point; with the sample of a moment ago as a hint the search is short."""
        if hint is None:
            offsets = self.centre - (x_m, y_m)
            index = int(np.argmin(np.einsum("ij,ij->i", offsets, offsets)))
        else:
            window = np.arange(hint - 40, hint + 41) % self.count
            offsets = self.centre[window] - (x_m, y_m)
            index = int(window[np.argmin(np.einsum("ij,ij->i", offsets, offsets))])
        cx, cy = self.centre[index].tolist()
        tx, ty = self.tangent[index].tolist()
        dx, dy = x_m - cx, y_m - cy
        arc_m = (index * self.spacing_m + dx * tx + dy * ty) % self.length_m
        if arc_m == self.length_m:  # what % makes of a hair less than 0
            arc_m = 0.0
        return Place(index, arc_m, dy * tx - dx * ty)

    def point(self, arc_m: float, cross_track_m: float = 0.0) -> tuple[float, float, float]:
        """(x, y, heading) of a place."""
        index = round(arc_m / self.spacing_m) % self.count
        x, y = (self.centre[index] + cross_track_m * self.normal[index]).tolist()
        return x, y, float(self.heading[index])

    def box_at(self, arc_m: float, cross_track_m: float = 0.0) -> Box:
        return Box(*self.point(arc_m, cross_track_m))


def _ring(x_m: float, y_m: float, heading_rad: float, half_m: float) -> Floats:
    c, s = half_m * math.cos(heading_rad), half_m * math.sin(heading_rad)
    corners = np.array([(c - s, s + c), (-c - s, c - s), (s - c, -s - c), (c + s, s - c)])
    corners += (x_m, y_m)
    return np.hstack((corners, np.roll(corners, -1, axis=0)))


def _draw(chance: np.random.Generator) -> tuple[Floats, Floats, Floats, float] | None:
    """(centre, tangent, curvature, length) of one random closed line; None if it is too tight."""
    count = int(chance.integers(8, 13))
    angles = np.sort((np.arange(count) + chance.uniform(-0.25, 0.25, count)) * (2 * math.pi / count))
    radii = chance.uniform(0.55, 1.0, count)
    spline = _ClosedSpline(np.column_stack((4.3 * radii * np.cos(angles), 3.4 * radii * np.sin(angles))))
    # Resample to even spacing along the line.
    fine = np.linspace(0.0, spline.end, 2001)
    points, _, _ = spline(fine)
    arc = np.concatenate(((0.0,), np.cumsum(np.hypot(*np.diff(points, axis=0).T))))
    length = float(arc[-1])
    samples = round(length / SPACING_M)
    centre, first, second = spline(np.interp(np.arange(samples) * (length / samples), arc, fine))
    speed = np.hypot(first[:, 0], first[:, 1])
    curvature = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    if np.abs(curvature).max() > 1 / MIN_RADIUS_M:
        return None
    coarse = centre[::15]
    apart = np.hypot(*(coarse[:, None] - coarse[None]).transpose(2, 0, 1))
    steps = np.abs(np.subtract.outer(np.arange(len(coarse)), np.arange(len(coarse))))
    if apart[np.minimum(steps, len(coarse) - steps) > 9].min() < _NEIGHBOURS_M:
        return None
    tangent = first / speed[:, None]
    if chance.random() < 0.5:  # drive it the other way round
        centre, tangent, curvature = centre[::-1], -tangent[::-1], -curvature[::-1]
    # The line to start from lies before the straightest 1.5 m.
    ahead = np.convolve(np.abs(np.concatenate((curvature, curvature[:75]))), np.ones(75), "valid")
    start = -int(np.argmin(ahead[:samples]))
    return np.roll(centre, start, axis=0), np.roll(tangent, start, axis=0), np.roll(curvature, start), length


class _ClosedSpline:
    """The periodic cubic spline through points (n, 2), by chord length from 0 to `end`."""

    def __init__(self, points: Floats) -> None:
        count = len(points)
        following = np.roll(points, -1, axis=0)
        chord = np.hypot(*(following - points).T)
        slope = (following - points) / chord[:, None]
        system = np.zeros((count, count))
        for i in range(count):  # continuity of the first derivative at knot i
            system[i, i - 1] += chord[i - 1]
            system[i, i] += 2 * (chord[i - 1] + chord[i])
            system[i, (i + 1) % count] += chord[i]
        bend = np.linalg.solve(system, 6 * (slope - np.roll(slope, 1, axis=0)))  # second derivatives
        bent = np.roll(bend, -1, axis=0)
        self._knots = np.concatenate(((0.0,), np.cumsum(chord)))
        self._terms = (
            points,
            slope - chord[:, None] * (2 * bend + bent) / 6,
            bend / 2,
            (bent - bend) / (6 * chord[:, None]),
        )
        self.end = float(self._knots[-1])

    def __call__(self, along: Floats) -> tuple[Floats, Floats, Floats]:
        """Position, first and second derivative, each (n, 2)."""
        piece = np.clip(np.searchsorted(self._knots, along, "right") - 1, 0, len(self._terms[0]) - 1)
        u = (along - self._knots[piece])[:, None]
        p, q, r, s = (term[piece] for term in self._terms)
        return p + u * (q + u * (r + u * s)), q + u * (2 * r + 3 * u * s), 2 * r + 6 * u * s
