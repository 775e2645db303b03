"""Whether this car follows paths, by its settings, and the tracker that does, on its odometry."""

from __future__ import annotations

import math
from typing import Final

from pi_agent.config import AgentConfig, bearing_rad, is_simulated
from pynet_car.messages import DrivePath, Odometry, Verdict
from pynet_car.path import Chassis, Course, Tracker
from pynet_car.trail import Trail
from pynet_car.world.car import CAR_SPEC
from pynet_car.world.wiring import WIRING

# The simulated car as it is: its encoders measure its rear axle, half a wheelbase behind its centre.
SIMULATED_RADIUS_M: Final = CAR_SPEC.wheelbase_m / math.tan(CAR_SPEC.max_steer_rad)
SIMULATED_ROLL_M: Final = 0.4  # measured 0.37 from 1 m/s
SIMULATED_LENS_M: Final = WIRING.lens_forward_m + CAR_SPEC.wheelbase_m / 2


class Follower:
    """A tracker on this car's odometry, or the reason why there is none.  The guardian's thread's."""

    def __init__(self, config: AgentConfig) -> None:
        self._why_not = why_no_paths(config)
        self._tracker = None if self._why_not else Tracker(_chassis(config))
        self._trail = Trail()

    def hear(self, odometry: Odometry) -> None:
        self._trail.add(odometry)

    def forget(self) -> None:
        """The worker has died, and the next one's encoders begin anew."""
        self._trail = Trail()
        if self._tracker is not None:
            self._tracker.forget()

    def follow(self, path: DrivePath, *, velocity_mps: float | None, duty: float, now_ns: int) -> Course:
        """One tick on this path; throttle 0.0 where it cannot be followed, and why."""
        if self._tracker is None:
            return Course(0.0, 0.0, Verdict.LIMITED, self._why_not)
        return self._tracker.follow(path, self._trail, velocity_mps=velocity_mps, duty=duty, now_ns=now_ns)

    def roll_out(self, path: DrivePath, *, velocity_mps: float | None, now_ns: int) -> float:
        """The steering that keeps the car on it while it rolls, its motor off."""
        if self._tracker is None:
            return 0.0
        return self._tracker.roll_out(path, self._trail, velocity_mps=velocity_mps, now_ns=now_ns)


def top_speed_mps(config: AgentConfig) -> float:
    """At max_throttle, as the settings say; of the simulated car it is known anyway.  0 is not known."""
    drive = config.drive
    if drive.top_speed_mps or not is_simulated(config):
        return drive.top_speed_mps
    return round(CAR_SPEC.steady_mps(drive.max_throttle), 2)


def why_no_paths(config: AgentConfig) -> str:
    """What keeps this car from following paths; '' when nothing does."""
    if not config.encoder.enabled:
        return "This car has no encoders: it follows no paths."
    if not any(abs(bearing_rad(head)) <= math.pi / 2 for head in config.proximity.heads):
        return "This car has no ranger that looks ahead: it follows no paths."
    missing = [] if top_speed_mps(config) else ["[drive] top_speed_mps"]
    if not is_simulated(config):
        if not config.path.turning_radius_m and not _is_sided(config):
            missing.append("[path] turning_radius_m")
        if not config.path.roll_m:
            missing.append("[path] roll_m")
    return f"To follow paths, measure and set {' and '.join(missing)} in agent.toml." if missing else ""


def _chassis(config: AgentConfig) -> Chassis:
    simulated, is_sided = is_simulated(config), _is_sided(config)
    encoder = config.encoder
    return Chassis(
        top_speed_mps=top_speed_mps(config),
        max_throttle=config.drive.max_throttle,
        turning_radius_m=SIMULATED_RADIUS_M if simulated else config.path.turning_radius_m,
        roll_m=SIMULATED_ROLL_M if simulated else config.path.roll_m,
        lens_m=SIMULATED_LENS_M if simulated else config.path.lens_m,
        track_width_m=encoder.track_width_m if is_sided else 0.0,
        coarse_rad=0.03 + 2 / encoder.ticks_per_m / encoder.track_width_m,  # a tick of each wheel
    )


def _is_sided(config: AgentConfig) -> bool:
    """Whether it turns by its sides; the simulated car has a servo, whatever [drive] says."""
    return config.drive.kind == "differential" and not is_simulated(config)
