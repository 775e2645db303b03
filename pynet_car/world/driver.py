"""The teacher: drives by the true pose, for scripted operators and trials.  Pure; no I/O.

Pure pursuit (Coulter, CMU-RI-TR-92-01) on the centre line, at the speed that
the bends ahead allow.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from pynet_car.messages import PATH_REACH_M, PathPoint
from pynet_car.world import DEFAULT_SEED
from pynet_car.world.board import Pose
from pynet_car.world.car import CAR_SPEC, CarSpec
from pynet_car.world.track import Track
from pynet_car.world.wiring import WIRING

_POINT_M: Final = 0.15
_LATERAL_MPS2: Final = 2.6  # a third of the grip
_BRAKING_MPS2: Final = 1.5
_PREVIEW_M: Final = 1.6
_SLOWEST_MPS: Final = 0.7
_MAX_DT_S: Final = 0.1


class Wish(NamedTuple):
    """What the teacher does with the stick; each in [-1, 1]."""

    throttle: float
    steering: float


class Teacher:
    """Call it with each new pose.  Laps clean though its commands are 60 ms old."""

    def __init__(
        self,
        track: Track | None = None,
        *,
        max_speed_mps: float = 1.9,
        spec: CarSpec = CAR_SPEC,
    ) -> None:
        """Without a track: the one `python -m pynet_car.world` has by default."""
        self._track = track or Track(DEFAULT_SEED)
        self._max_speed_mps = max_speed_mps
        self._spec = spec
        self._integral = 0.0
        self._last_ns = 0

    def path(
        self, pose: Pose, *, lens_m: float = WIRING.lens_forward_m, length_m: float = PATH_REACH_M
    ) -> tuple[PathPoint, ...]:
        """The centre line ahead of the camera, which is `lens_m` ahead of the car's centre, with speeds."""
        c, s = math.cos(pose.heading_rad), math.sin(pose.heading_rad)
        lens_x, lens_y = pose.x_m + lens_m * c, pose.y_m + lens_m * s
        points = []
        for ahead_m in np.arange(_POINT_M, length_m + _POINT_M / 2, _POINT_M).tolist():
            arc_m = pose.arc_m + lens_m + ahead_m
            x, y, _ = self._track.point(arc_m)
            dx, dy = x - lens_x, y - lens_y
            points.append(PathPoint(c * dx + s * dy, c * dy - s * dx, self._allowed_mps(arc_m)))
        return tuple(points)

    def __call__(self, pose: Pose) -> Wish:
        dt_s = min(_MAX_DT_S, max(0.0, (pose.ns - self._last_ns) / 1e9))
        self._last_ns = pose.ns
        return Wish(
            self._throttle(self._allowed_mps(pose.arc_m), pose.velocity_mps, dt_s), self._steering(pose)
        )

    def _allowed_mps(self, arc_m: float) -> float:
        """As fast as every bend in sight of here allows, given that the car may still brake before it."""
        ahead = np.arange(0.0, _PREVIEW_M, 0.1)
        samples = np.round((arc_m + ahead) / self._track.spacing_m).astype(int) % self._track.count
        bends = np.maximum(np.abs(self._track.curvature[samples]), 0.05)
        allowed = np.sqrt(_LATERAL_MPS2 / bends + 2 * _BRAKING_MPS2 * ahead)
        return min(self._max_speed_mps, max(_SLOWEST_MPS, float(allowed.min())))

    def _throttle(self, target_mps: float, velocity_mps: float, dt_s: float) -> float:
        error = target_mps - velocity_mps
        self._integral = max(-0.3, min(0.3, self._integral + 0.5 * error * dt_s))
        return max(-0.3, min(1.0, target_mps / self._spec.top_speed_mps + 0.5 * error + self._integral))

    def _steering(self, pose: Pose) -> float:
        """Along the arc that leads the rear axle to a point a look-ahead away."""
        look_m = 0.35 + 0.28 * max(0.0, pose.velocity_mps)
        goal_x, goal_y, _ = self._track.point(pose.arc_m + look_m - self._spec.wheelbase_m / 2)
        dx, dy = goal_x - pose.x_m, goal_y - pose.y_m
        c, s = math.cos(pose.heading_rad), math.sin(pose.heading_rad)
        ahead, left = c * dx + s * dy + self._spec.wheelbase_m / 2, c * dy - s * dx
        steer_rad = math.atan(2 * self._spec.wheelbase_m * left / (ahead * ahead + left * left))
        return max(-1.0, min(1.0, steer_rad / self._spec.max_steer_rad))
