"""Follow a path that a network has seen in a picture of a moment ago.  Pure: no clock, no pin, no thread.

The path is laid down where the camera was when the picture was taken, by the
car's own odometry, so whatever time it took to get here shifts nothing.  From
there it is tracked, and so slowly that the car can always roll out on what is
left of it.

Steering is pure pursuit (Coulter, CMU-RI-TR-92-01): the arc that leads the axle
to a point a little ahead.  It takes no derivative of the path, which wobbles
from picture to picture when a network draws it, and one number of the car.
Speed is what the motor gives at that speed on the flat, and a PI controller for
the rest.  Nothing brakes: the motor drives forward or is off.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

from pynet_car.messages import PATH_LIFESPAN_NS, PATH_MIN_GAP_M, PATH_REACH_M, DrivePath, Verdict
from pynet_car.trail import Place, Trail

REACTION_S: Final = 0.1  # from "too fast" to motor off: odometry 50 ms old, a tick, 40 ms toward zero
MARGIN_M: Final = 0.05
LOOK_M: Final = 0.35  # ahead at rest,
LOOK_S: Final = 0.28  # and so much more for the way of so long
OFF_M: Final = 0.5  # so far beside its path it does not follow it: it was pushed, or it slides
SHARPEST: Final = 0.6  # steering of a car that turns by its sides: more would turn it on the spot

KP: Final = 1.6  # of full throttle, for an error of the top speed
KI_PER_S: Final = 1.6
MAX_INTEGRAL: Final = 0.3  # of full throttle: a slope, a battery
STANDING_MPS: Final = 0.05  # slower is not asked of a motor
MAX_DT_S: Final = 0.05

STALL_THROTTLE: Final = 0.25  # of full; from standing it begins with no more,
STALL_S: Final = 0.5  # adds so much of full throttle in that time, and gives up
STALL_M: Final = 0.02  # two ticks of a coarse disc
BEND_M: Final = 0.2  # over so long a way the encoders' bend is looked at,
BEND_SHARE: Final = 1.5  # and may be so much sharper than the car's sharpest: a dead wheel makes it 5 times


@dataclass(frozen=True, slots=True, kw_only=True)
class Chassis:
    """What has to be known of a car that follows paths."""

    top_speed_mps: float  # at `max_throttle`, on the flat
    max_throttle: float
    turning_radius_m: float  # of the middle of the axle, at full steering; unless it turns by its sides
    roll_m: float  # how far it rolls from 1 m/s when the motor is switched off
    lens_m: float = 0.0  # camera ahead of the axle with the encoders
    track_width_m: float = 0.0  # of a car that turns by its sides; 0.0 for one with wheels that turn
    coarse_rad: float = 0.15  # how far the odometry's heading may be off, by the ticks of its discs

    def steering(self, curvature_per_m: float) -> float:
        """For this bend, + left; as much of it as the car can do."""
        if self.track_width_m:
            # The inner side gets 1 - 2 |s| of the outer one's duty.
            half = abs(curvature_per_m) * self.track_width_m
            return math.copysign(min(SHARPEST, half / (2.0 + half)), curvature_per_m)
        return max(-1.0, min(1.0, curvature_per_m * self.turning_radius_m))

    def stopping_m(self, velocity_mps: float) -> float:
        """At most so far it goes on after this speed has been seen.

        Right where friction stops it (a square) and where the motor does (a straight line).
        """
        return (self.roll_m + REACTION_S) * velocity_mps * max(1.0, velocity_mps)

    def speed_mps(self, stopping_m: float) -> float:
        """The fastest that stops within this distance: `stopping_m` the other way round."""
        at_one = self.roll_m + REACTION_S
        share = max(0.0, stopping_m) / at_one
        return share if share < 1.0 else math.sqrt(share)


class Course(NamedTuple):
    """What the tracker wants put out, and what to say of it."""

    throttle: float  # [0, max_throttle]
    steering: float  # [-1, 1]
    verdict: Verdict
    reason: str  # '' while it drives as the path asks
    left_m: float = 0.0
    fault: str = ""  # in words to follow "disarmed: "; what no newer path mends


class Tracker:
    """Follows the newest path, tick by tick.  One thread's.

    A path that became void stays so, whatever comes after; a newer one is
    needed.  Whoever calls keeps the rules of who may drive.
    """

    def __init__(self, chassis: Chassis) -> None:
        self._chassis = chassis
        self._path: DrivePath | None = None
        self._laid: _Laid | None = None
        self._void: tuple[Verdict, str] | None = None
        self._wish = 0.0  # the throttle asked for at the last tick
        self._integral = 0.0
        self._last_ns = 0
        self._stall_s = 0.0
        self._stall_from_m = 0.0
        self._bend_from: Place | None = None

    def follow(
        self, path: DrivePath, trail: Trail, *, velocity_mps: float | None, duty: float, now_ns: int
    ) -> Course:
        """One tick on this path.

        `velocity_mps` None is odometry that is not fit for use; `duty` is what
        the last tick's wish came to at the motor.
        """
        dt_s = (now_ns - self._last_ns) / 1e9
        if dt_s > 2 * MAX_DT_S:  # it did not drive meanwhile
            self._rest()
        self._last_ns = now_ns
        if path is not self._path:
            self._take(path, trail)
        place = trail.at(now_ns)
        laid = self._look_for_end(path, trail, place, velocity_mps, now_ns)
        if laid is None or place is None or velocity_mps is None:
            assert self._void is not None
            self._rest()
            return Course(0.0, 0.0, *self._void)
        steering, left_m, target_mps = self._aim(laid, place, velocity_mps)
        if self._void is not None:  # it rolls out, along its path
            self._rest()
            return Course(0.0, steering, *self._void, max(0.0, left_m))
        if left_m <= 0.0:
            self._rest()
            return Course(0.0, steering, Verdict.LIMITED, "The path is at its end.")
        throttle = self._throttle(target_mps, velocity_mps, steering, duty, min(MAX_DT_S, dt_s))
        if velocity_mps > self._chassis.speed_mps(left_m):
            throttle = 0.0
        self._watch_wheels(duty, place, velocity_mps, dt_s)
        if velocity_mps < 2 * STANDING_MPS:  # an encoder that is dead says so too
            throttle = min(throttle, (STALL_THROTTLE + self._stall_s) * self._chassis.max_throttle)
        self._wish = throttle
        return Course(throttle, steering, Verdict.TAKEN, "", left_m, self._fault(place, velocity_mps))

    def roll_out(self, path: DrivePath, trail: Trail, *, velocity_mps: float | None, now_ns: int) -> float:
        """The steering that keeps a car with its motor off on this path, if it was on it; else 0.0."""
        place = trail.at(now_ns)
        is_usable = path is self._path and velocity_mps is not None and place is not None
        if self._laid is None or not is_usable or self._laid.breaks != trail.breaks:
            return 0.0
        assert place is not None and velocity_mps is not None
        return self._aim(self._laid, place, velocity_mps)[0]

    def forget(self) -> None:
        """Nothing of what was known is so any more: other encoders count."""
        self._path = self._laid = self._void = None
        self._rest()

    # taking and ending

    def _take(self, path: DrivePath, trail: Trail) -> None:
        self._path, self._laid, self._void = path, None, None
        start = trail.at(path.t_capture_ns)
        if start is None:
            self._void = Verdict.STALE, "The path's picture is older than the odometry."
        else:
            self._laid = _lay(path, start, self._chassis, trail.breaks)

    def _look_for_end(
        self, path: DrivePath, trail: Trail, place: Place | None, velocity_mps: float | None, now_ns: int
    ) -> _Laid | None:
        """The path as it lies, void or not; None when nobody knows where it lies."""
        laid = self._laid
        if laid is not None and (velocity_mps is None or place is None or laid.breaks != trail.breaks):
            self._void = Verdict.STALE, "The encoders are silent or faulty: the path is lost."
            self._laid = laid = None
        elif self._void is None and now_ns - path.answers_ns > PATH_LIFESPAN_NS:
            self._void = Verdict.STALE, f"The path is older than {PATH_LIFESPAN_NS / 1e9:g} s."
        elif self._void is None and laid is not None and place is not None:
            if place.rolled_m - laid.start.rolled_m > PATH_REACH_M:
                self._void = Verdict.STALE, f"The path was left {PATH_REACH_M:g} m ago."
            elif laid.advance(place) > OFF_M:
                self._void = Verdict.LIMITED, f"The car is more than {OFF_M:g} m off its path."
        return laid

    # steering and speed

    def _aim(self, laid: _Laid, place: Place, velocity_mps: float) -> tuple[float, float, float]:
        """(steering, metres left, speed to go at) from here."""
        laid.advance(place)
        goal_x, goal_y = laid.point(laid.arc_m + LOOK_M + LOOK_S * max(0.0, velocity_mps))
        dx, dy = goal_x - place.x_m, goal_y - place.y_m
        c, s = math.cos(place.heading_rad), math.sin(place.heading_rad)
        left = c * dy - s * dx
        away_squared = max(PATH_MIN_GAP_M**2, dx * dx + dy * dy)
        steering = self._chassis.steering(2.0 * left / away_squared)
        return steering, laid.end_m - laid.arc_m, laid.speed_mps()

    def _throttle(
        self, target_mps: float, velocity_mps: float, steering: float, duty: float, dt_s: float
    ) -> float:
        """[0, max_throttle]"""
        chassis = self._chassis
        if target_mps < STANDING_MPS:
            self._integral = 0.0
            return 0.0
        error = (target_mps - velocity_mps) / chassis.top_speed_mps
        # What slew, reflex and limits have not let through is no reason to ask for more.
        if error < 0.0 or duty >= self._wish - 0.01:
            self._integral += KI_PER_S * error * dt_s
            self._integral = max(-MAX_INTEGRAL, min(MAX_INTEGRAL, self._integral))
        wish = target_mps / chassis.top_speed_mps + KP * error + self._integral
        if chassis.track_width_m:
            wish /= 1.0 - abs(steering)  # the inner side does less
        return chassis.max_throttle * max(0.0, min(1.0, wish))

    def _watch_wheels(self, duty: float, place: Place, velocity_mps: float, dt_s: float) -> None:
        """How long the motor has driven, and the encoders have counted nothing, or backward."""
        moved = velocity_mps > -STANDING_MPS and abs(place.rolled_m - self._stall_from_m) > STALL_M
        if moved or duty < (STALL_THROTTLE - 0.01) * self._chassis.max_throttle:
            self._stall_s, self._stall_from_m = 0.0, place.rolled_m
        else:
            self._stall_s += max(0.0, min(MAX_DT_S, dt_s))

    def _fault(self, place: Place, velocity_mps: float) -> str:
        """Why the encoders cannot be believed; '' while they can."""
        if self._stall_s > STALL_S:
            if velocity_mps <= -STANDING_MPS:
                return "the motor drove forward and the encoders counted backward (is A where B should be?)"
            return "the motor drove and the encoders counted nothing"
        before = self._bend_from
        rolled_m = place.rolled_m - before.rolled_m if before else 0.0
        if before is None or not 0.0 <= rolled_m <= 2 * BEND_M:  # none, or one of another drive
            self._bend_from = place
        elif rolled_m > BEND_M:
            self._bend_from = place
            chassis, turned_rad = self._chassis, abs(place.heading_rad - before.heading_rad)
            if chassis.track_width_m:  # it may turn on the spot
                return ""
            if turned_rad > chassis.coarse_rad + BEND_SHARE * rolled_m / chassis.turning_radius_m:
                return "the encoders counted a bend that the car cannot drive (does each wheel count?)"
        return ""

    def _rest(self) -> None:
        self._wish = self._integral = self._stall_s = 0.0
        self._bend_from = None


class _Laid:
    """A path in the odometry's frame, from the axle where it was at the picture."""

    def __init__(
        self,
        start: Place,
        points: list[tuple[float, float]],
        speeds: list[float],
        end_m: float,
        chassis: Chassis,
        breaks: int,
    ) -> None:
        self.start = start
        self.breaks = breaks
        self.arc_m = 0.0  # how far along it the axle is; never falls
        self.end_m = end_m  # the axle's last place on it
        self._points = points
        self._speeds = speeds
        self._chassis = chassis
        lengths = [math.dist(a, b) for a, b in itertools.pairwise(points)]
        self._arcs = list(itertools.accumulate(lengths, initial=0.0))
        self._at = 0  # the piece it is on
        # How far the car may roll out from each point, that it is slow enough at all that follow.
        rooms = [0.0] * len(points)
        room = math.inf
        for i in reversed(range(len(points))):
            room = min(chassis.stopping_m(speeds[i]), room + (lengths[i] if i < len(lengths) else 0.0))
            rooms[i] = min(room, max(0.0, end_m - self._arcs[i]))
        self._rooms = rooms

    def advance(self, place: Place) -> float:
        """Go along to where the car is now; how far beside the path that is."""
        while True:
            (ax, ay), (bx, by) = self._points[self._at : self._at + 2]
            along_x, along_y = bx - ax, by - ay
            length = self._arcs[self._at + 1] - self._arcs[self._at]
            dx, dy = place.x_m - ax, place.y_m - ay
            along = (dx * along_x + dy * along_y) / length
            if along <= length or self._at == len(self._points) - 2:
                break
            self._at += 1
        self.arc_m = max(self.arc_m, self._arcs[self._at] + max(0.0, along))
        return abs(along_x * dy - along_y * dx) / length

    def point(self, arc_m: float) -> tuple[float, float]:
        """So far along it; beyond its end straight on."""
        i = min(max(bisect_right(self._arcs, arc_m) - 1, 0), len(self._points) - 2)
        (ax, ay), (bx, by) = self._points[i : i + 2]
        share = (arc_m - self._arcs[i]) / (self._arcs[i + 1] - self._arcs[i])
        return ax + share * (bx - ax), ay + share * (by - ay)

    def speed_mps(self) -> float:
        """What it asks for here, and lets the car roll out before what is slower ahead."""
        i = self._at
        to_go_m = max(0.0, self._arcs[i + 1] - self.arc_m)
        share = 1.0 - min(1.0, to_go_m / (self._arcs[i + 1] - self._arcs[i]))
        asked_mps = self._speeds[i] + share * (self._speeds[i + 1] - self._speeds[i])
        room_m = min(self._rooms[i + 1] + to_go_m, max(0.0, self.end_m - self.arc_m))
        return min(asked_mps, self._chassis.speed_mps(room_m), self._chassis.top_speed_mps)


def _lay(path: DrivePath, start: Place, chassis: Chassis, breaks: int) -> _Laid:
    c, s = math.cos(start.heading_rad), math.sin(start.heading_rad)
    points: list[tuple[float, float]] = []
    speeds: list[float] = []
    if chassis.lens_m >= 0.0:  # else the path begins behind the axle
        points, speeds = [(start.x_m, start.y_m)], [path.points[0].speed_mps]
    # The lens is on the path too, unless it is the axle, or the first point.
    for x_m, y_m, speed_mps in (
        (0.0, 0.0, path.points[0].speed_mps),
        *((point.x_m, point.y_m, point.speed_mps) for point in path.points),
    ):
        x_m += chassis.lens_m
        at = start.x_m + c * x_m - s * y_m, start.y_m + s * x_m + c * y_m
        if not points or math.dist(at, points[-1]) >= PATH_MIN_GAP_M / 2:
            points.append(at)
            speeds.append(speed_mps)
    # The lens, not the axle behind it, stops within the path: so the axle goes as far as the path is long.
    ends = [math.hypot(p.x_m - q[0], p.y_m - q[1]) for q, p in zip(_before(path), path.points, strict=True)]
    end_m = min(sum(ends), PATH_REACH_M) - MARGIN_M
    return _Laid(start, points, speeds, end_m, chassis, breaks)


def _before(path: DrivePath) -> list[tuple[float, float]]:
    return [(0.0, 0.0), *((point.x_m, point.y_m) for point in path.points[:-1])]
