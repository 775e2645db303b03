"""A path is laid where the camera was, tracked, never outrun, and void in time; on a car without a world."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_car.messages import DrivePath, Odometry, PathPoint, Verdict
from pynet_car.path import MARGIN_M, OFF_M, STALL_S, Chassis, Course, Tracker
from pynet_car.trail import Trail
from pynet_car.world.car import CAR_SPEC, Car, CarSpec, advance

MS: Final = 1_000_000
TICK_NS: Final = 10 * MS
RADIUS_M: Final = CAR_SPEC.wheelbase_m / math.tan(CAR_SPEC.max_steer_rad)
CHASSIS: Final = Chassis(
    top_speed_mps=2.9, max_throttle=1.0, turning_radius_m=RADIUS_M, roll_m=0.4, lens_m=0.2
)


def straight(length_m: float = 3.0, speed_mps: float = 1.0, *, left_m: float = 0.0) -> tuple[PathPoint, ...]:
    count = math.ceil(length_m / 0.25)
    return tuple(PathPoint(length_m * i / count, left_m, speed_mps) for i in range(1, count + 1))


def bend(curvature_per_m: float, length_m: float, speed_mps: float) -> tuple[PathPoint, ...]:
    count = max(2, math.ceil(length_m / 0.2))
    points = []
    for i in range(1, count + 1):
        arc = length_m * i / count
        turn = arc * curvature_per_m
        if abs(turn) < 1e-9:
            points.append(PathPoint(arc, 0.0, speed_mps))
        else:
            points.append(
                PathPoint(math.sin(turn) / curvature_per_m, (1 - math.cos(turn)) / curvature_per_m, speed_mps)
            )
    return tuple(points)


@dataclass
class Drive:
    """The simulated car's physics under the tracker's hand, with odometry at 50 Hz that is late by 20 ms."""

    chassis: Chassis = CHASSIS
    spec: CarSpec = CAR_SPEC
    car: Car = field(default_factory=Car)
    now_ns: int = 10_000 * MS
    duty: float = 0.0
    steering: float = 0.0
    blind: bool = False  # the odometry is stale

    def __post_init__(self) -> None:
        self.tracker, self.trail = Tracker(self.chassis), Trail()
        self._velocities = [self.car.velocity_mps] * 6
        self._axle = [0.0, 0.0]
        self._seq = 0
        self.hear()

    @property
    def axle(self) -> tuple[float, float]:
        return self._axle[0], self._axle[1]

    @property
    def lens(self) -> tuple[float, float]:
        lens_m, heading = self.chassis.lens_m, self.car.heading_rad
        return self._axle[0] + lens_m * math.cos(heading), self._axle[1] + lens_m * math.sin(heading)

    def hear(self) -> None:
        self._seq += 1
        self.trail.add(
            Odometry(
                seq=self._seq,
                captured_ns=self.now_ns,
                left_ticks=0,
                right_ticks=0,
                distance_m=self.car.distance_m,
                x_m=self._axle[0],
                y_m=self._axle[1],
                heading_rad=self.car.heading_rad,
                velocity_mps=self._velocities[-4],
                yaw_rate_radps=self.car.yaw_rate_radps,
            )
        )

    def path(self, points: tuple[PathPoint, ...], *, age_ms: int = 0) -> DrivePath:
        stamp = self.now_ns - age_ms * MS
        return DrivePath(session=1, seq=1, points=points, t_capture_ns=stamp, answers_ns=stamp)

    def follow(self, path: DrivePath) -> Course:
        velocity = None if self.blind else self._velocities[-4]
        return self.tracker.follow(
            path, self.trail, velocity_mps=velocity, duty=self.duty, now_ns=self.now_ns
        )

    def tick(self, path: DrivePath) -> Course:
        """10 ms as the guardian does it: toward more under a slew, toward nothing at once."""
        course = self.follow(path)
        steering = course.steering
        if course.verdict is not Verdict.TAKEN:
            steering = self.tracker.roll_out(
                path, self.trail, velocity_mps=self._velocities[-4], now_ns=self.now_ns
            )
        self.duty = min(course.throttle, self.duty + 0.04) if course.throttle else 0.0
        self.steering += max(-0.12, min(0.12, steering - self.steering))
        for _ in range(2):
            self.car = advance(self.car, self.spec, self.duty, self.steering, 0.005)
            self._axle[0] += self.car.velocity_mps * math.cos(self.car.heading_rad) * 0.005
            self._axle[1] += self.car.velocity_mps * math.sin(self.car.heading_rad) * 0.005
        self._velocities = [*self._velocities[-5:], self.car.velocity_mps]
        self.now_ns += TICK_NS
        if self.now_ns % (2 * TICK_NS) == 0:
            self.hear()
        return course


# where it is


def test_it_drives_straight_along_a_straight_path() -> None:
    course = Drive().follow(Drive().path(straight()))
    assert course.steering == 0.0
    assert course.throttle > 0.2
    assert course.verdict is Verdict.TAKEN
    assert course.left_m == pytest.approx(3.0 - MARGIN_M)


@pytest.mark.parametrize("side", [1, -1])
def test_it_steers_to_the_side_where_the_path_is(side: int) -> None:
    drive = Drive()
    course = drive.follow(drive.path(straight(left_m=0.1 * side)))
    assert course.steering * side > 0.05


def test_it_steers_the_bend_that_the_path_has() -> None:
    drive = Drive()
    path = drive.path(bend(0.8, 3.0, 1.0))
    for _ in range(80):
        drive.tick(path)
    assert drive.steering == pytest.approx(0.8 * RADIUS_M, abs=0.05)


def test_the_path_lies_where_the_camera_was_and_not_where_it_is() -> None:
    """Half a second and 0.5 m later the same path says the same, seen from 0.5 m on."""
    late = Drive(car=Car(velocity_mps=1.0))
    points = bend(0.9, 3.0, 1.0)
    taken_then = late.path(points)
    coasting = late.path(straight(speed_mps=1.0))
    for _ in range(50):
        late.tick(coasting)
    x, _ = late.axle
    assert x > 0.4
    steering = late.follow(taken_then).steering
    on_the_arc = Drive(car=Car(velocity_mps=1.0))
    assert steering > on_the_arc.follow(on_the_arc.path(points)).steering + 0.15, (
        "it is to the right of it by now"
    )


# how fast


@given(
    speeds=st.lists(st.floats(0.0, 5.0), min_size=2, max_size=12),
    gap_m=st.floats(0.05, 0.9),
    velocity_mps=st.floats(0.0, 4.0),
)
def test_no_throttle_where_the_car_could_not_stop_within_the_path(
    speeds: list[float], gap_m: float, velocity_mps: float
) -> None:
    drive = Drive(car=Car(velocity_mps=velocity_mps))
    points = tuple(PathPoint(gap_m * (i + 1), 0.0, speed) for i, speed in enumerate(speeds))
    course = drive.follow(drive.path(points))
    left_m = min(3.0, gap_m * len(speeds)) - MARGIN_M
    assert course.left_m == pytest.approx(max(0.0, left_m))
    if course.throttle:
        assert CHASSIS.stopping_m(velocity_mps) <= left_m + 1e-9


@given(st.floats(0.0, 10.0))
def test_stopping_distance_and_speed_are_each_others_inverse(velocity_mps: float) -> None:
    assert CHASSIS.speed_mps(CHASSIS.stopping_m(velocity_mps)) == pytest.approx(velocity_mps)


@settings(deadline=None, max_examples=40)
@given(
    curvature=st.floats(-1.2, 1.2),
    length_m=st.floats(0.3, 3.5),
    speed_mps=st.floats(0.2, 4.0),
    begins_mps=st.floats(0.0, 1.0),
    age_ms=st.integers(0, 300),
    coast=st.sampled_from(["motor", "friction", "both"]),
    tau_s=st.floats(0.2, 0.3),
)
def test_left_alone_it_comes_to_rest_within_its_path(
    curvature: float,
    length_m: float,
    speed_mps: float,
    begins_mps: float,
    age_ms: int,
    coast: str,
    tau_s: float,
) -> None:
    """Whatever it asks for, however long it took to come, on cars that roll 0.4 m from 1 m/s and less."""
    spec = {
        "motor": CarSpec(coast_tau_s=0.4, rolling_mps2=0.01, drive_tau_s=tau_s),
        "friction": CarSpec(coast_tau_s=50.0, rolling_mps2=1.25, drive_tau_s=tau_s),
        "both": CarSpec(drive_tau_s=tau_s),
    }[coast]
    begins_mps = min(begins_mps, CHASSIS.speed_mps(length_m - MARGIN_M - begins_mps * age_ms / 1000))
    drive = Drive(spec=spec, car=Car(velocity_mps=begins_mps))
    path = drive.path(bend(curvature, length_m, speed_mps))
    rolling = drive.path(bend(curvature, 3.0, 0.0))
    for _ in range(age_ms // 10):  # it rolls while the path is on its way
        drive.tick(rolling)
    begun_m = CHASSIS.lens_m
    driven_m, fastest, void_ms = 0.0, 0.0, 0
    for _ in range(400):
        course = drive.tick(path)
        driven_m = drive.car.distance_m
        fastest = max(fastest, drive.car.velocity_mps)
        if drive.now_ns - path.t_capture_ns > 1500 * MS + TICK_NS:
            void_ms += 10
            assert course.throttle == 0.0
    assert drive.car.velocity_mps < 0.05
    assert driven_m <= min(length_m, 3.0), (
        f"{driven_m:.3f} m on a path of {length_m:.3f} m, {fastest:.2f} m/s"
    )
    assert off_bend(curvature, drive.axle, begun_m) < 0.25
    assert void_ms > 1000


def off_bend(curvature: float, axle: tuple[float, float], lens_m: float) -> float:
    """How far the axle is from a bend that begins at the lens."""
    x, y = axle[0] - lens_m, axle[1]
    if abs(curvature) < 1e-6 or x < 0.0:
        return abs(y)
    return abs(math.hypot(x, y - 1 / curvature) - abs(1 / curvature))


def test_it_slows_down_before_a_slower_point() -> None:
    drive = Drive()
    points = tuple(PathPoint(0.25 * i, 0.0, 2.0 if i < 8 else 0.5) for i in range(1, 13))
    path = drive.path(points)
    seen: list[float] = []
    while drive.axle[0] < 2.0 + CHASSIS.lens_m and len(seen) < 200:  # the axle is there
        drive.tick(path)
        seen.append(drive.car.velocity_mps)
    assert max(seen) > 1.0
    assert drive.car.velocity_mps < 0.75


def test_it_keeps_the_speed_that_is_asked_for() -> None:
    drive = Drive()
    speeds = []
    for i in range(300):
        if i % 10 == 0:
            path = drive.path(straight(3.0, 1.2))
        drive.tick(path)
        speeds.append(drive.car.velocity_mps)
    assert max(speeds) < 1.5
    assert all(abs(speed - 1.2) < 0.1 for speed in speeds[150:])


def test_what_the_limits_held_back_is_not_made_up_for_afterwards() -> None:
    drive = Drive()
    for i in range(300):  # something holds the throttle at nothing
        if i % 10 == 0:
            path = drive.path(straight(3.0, 1.0))
        drive.follow(path)
        drive.now_ns += TICK_NS
        drive.hear()
    held = drive.follow(path).throttle
    assert held == pytest.approx(Drive().follow(Drive().path(straight(3.0, 1.0))).throttle, abs=0.02)


def test_a_motor_that_drives_while_no_wheel_counts_is_stuck() -> None:
    drive = Drive()
    stuck_after = None
    for i in range(200):
        if i % 10 == 0:
            path = drive.path(straight(3.0, 1.0))
        course = drive.follow(path)
        drive.duty = course.throttle
        drive.now_ns += TICK_NS
        drive.hear()
        if course.fault:
            assert "counted nothing" in course.fault
            stuck_after = i * 0.01
            break
    assert stuck_after == pytest.approx(STALL_S, abs=0.05)


# when it is void


def test_it_is_void_a_second_and_a_half_after_its_picture_and_stays_so() -> None:
    drive = Drive()
    path = drive.path(straight(3.0, 0.2))
    while drive.now_ns <= path.t_capture_ns + 1500 * MS:
        assert drive.tick(path).throttle > 0.0
    course = drive.tick(path)
    assert (course.throttle, course.verdict, course.reason) == (
        0.0,
        Verdict.STALE,
        "The path is older than 1.5 s.",
    )


def test_it_is_as_old_as_the_oldest_of_its_inputs() -> None:
    drive = Drive()
    path = DrivePath(
        session=1,
        seq=1,
        points=straight(),
        t_capture_ns=drive.now_ns,
        answers_ns=drive.now_ns - 1501 * MS,
    )
    assert drive.follow(path).verdict is Verdict.STALE


def test_it_is_void_3_m_after_its_picture() -> None:
    drive = Drive(car=Car(velocity_mps=3.0))
    path = drive.path(straight(12.0, 3.0))
    drive.tick(path)
    driven = []
    while drive.now_ns < path.t_capture_ns + 1400 * MS:
        course = drive.tick(path)
        if course.throttle:
            driven.append(drive.car.distance_m)
    assert max(driven, default=0.0) < 3.0


def test_stale_odometry_voids_it_at_once_and_for_good() -> None:
    drive = Drive()
    path = drive.path(straight())
    assert drive.tick(path).throttle > 0.0
    drive.blind = True
    assert drive.tick(path).throttle == 0.0
    drive.blind = False
    course = drive.tick(path)
    assert (course.throttle, course.steering, course.verdict) == (0.0, 0.0, Verdict.STALE)
    assert "encoders" in course.reason
    assert drive.tick(drive.path(straight())).throttle > 0.0, "a newer path drives again"


def test_encoders_that_begin_anew_void_it() -> None:
    drive = Drive()
    path = drive.path(straight())
    drive.tick(path)
    drive._seq = 0
    drive.now_ns += MS
    drive.hear()
    assert drive.tick(path).throttle == 0.0


def test_a_picture_from_before_the_odometry_makes_no_path() -> None:
    drive = Drive()
    course = drive.follow(drive.path(straight(), age_ms=500))
    assert (course.throttle, course.verdict) == (0.0, Verdict.STALE)
    assert "odometry" in course.reason


def test_a_car_that_was_pushed_off_its_path_does_not_go_on() -> None:
    drive = Drive()
    path = drive.path(straight())
    drive.tick(path)
    drive._axle[1] += OFF_M + 0.05
    drive.hear()
    assert drive.tick(path).throttle == 0.0


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_nothing_that_happens_moves_the_car_on_a_void_path(data: st.DataObject) -> None:
    drive = Drive()
    path = drive.path(bend(data.draw(st.floats(-1, 1)), data.draw(st.floats(0.3, 3.0)), 1.5))
    is_void = False
    for _ in range(30):
        match data.draw(st.sampled_from(["tick", "tick", "blind", "gap", "restart", "push", "wait"])):
            case "blind":
                drive.blind = not drive.blind
            case "gap":
                drive.now_ns += data.draw(st.integers(0, 400)) * MS
            case "restart":
                drive._seq = 0
                drive.hear()
            case "push":
                drive._axle[1] += data.draw(st.floats(-1.0, 1.0))
                drive.hear()
            case "wait":
                for _ in range(20):
                    drive.tick(path)
        age_ns = drive.now_ns - path.t_capture_ns
        course = drive.tick(path)
        assert not (course.throttle and (is_void or drive.blind or age_ns > 1500 * MS))
        is_void = is_void or course.verdict is Verdict.STALE


def test_with_its_camera_behind_the_axle_it_follows_and_stops_as_well() -> None:
    drive = Drive(chassis=replace(CHASSIS, lens_m=-0.2))
    path = drive.path(bend(0.5, 2.0, 1.0))
    for _ in range(300):
        drive.tick(path)
    assert drive.car.velocity_mps < 0.05
    assert 1.2 < drive.car.distance_m < 1.8
    assert off_bend(0.5, drive.axle, -0.2) < 0.1


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_no_path_and_no_odometry_makes_it_raise_or_ask_for_what_is_out_of_range(data: st.DataObject) -> None:
    """An error here would end the guardian: whoever may drive could."""
    small, wide = st.floats(-3.0, 3.0), st.floats(-9e6, 9e6) | st.floats(-3.0, 3.0)
    tracker, trail, now_ns = Tracker(CHASSIS), Trail(), 10_000 * MS
    for seq in range(1, data.draw(st.integers(2, 6))):
        trail.add(
            Odometry(
                seq=seq,
                captured_ns=now_ns - data.draw(st.integers(0, 300)) * MS,
                left_ticks=0,
                right_ticks=0,
                distance_m=data.draw(wide),
                x_m=data.draw(wide),
                y_m=data.draw(wide),
                heading_rad=data.draw(wide),
                velocity_mps=data.draw(st.floats(-999.0, 999.0) | small),
                yaw_rate_radps=data.draw(st.floats(-999.0, 999.0) | small),
            )
        )
        now_ns += data.draw(st.integers(0, 200)) * MS
        path = drawn_path(data, now_ns)
        for _ in range(2):
            velocity = data.draw(st.none() | st.floats(-999.0, 999.0) | small)
            duty = data.draw(st.floats(-1.0, 1.0))
            course = tracker.follow(path, trail, velocity_mps=velocity, duty=duty, now_ns=now_ns)
            rolling = tracker.roll_out(path, trail, velocity_mps=velocity, now_ns=now_ns)
            assert 0.0 <= course.throttle <= 1.0
            assert max(abs(course.steering), abs(rolling)) <= 1.0
            now_ns += 10 * MS


def drawn_path(data: st.DataObject, now_ns: int) -> DrivePath:
    """Any that may be sent: short ones, long ones, corners."""
    x = y = heading = 0.0
    points = []
    for _ in range(data.draw(st.integers(2, 8))):
        heading += data.draw(st.floats(-1.5, 1.5))
        gap_m = data.draw(st.floats(0.0011, 0.99))
        x, y = x + gap_m * math.cos(heading), y + gap_m * math.sin(heading)
        points.append(PathPoint(x, y, data.draw(st.floats(0.0, 20.0))))
    stamp = now_ns - data.draw(st.integers(0, 400)) * MS
    return DrivePath(session=1, seq=1, points=tuple(points), t_capture_ns=stamp, answers_ns=stamp)


# the car


@given(st.floats(-20.0, 20.0))
def test_a_car_that_turns_by_its_sides_gets_the_duties_of_that_bend(curvature: float) -> None:
    chassis = Chassis(
        top_speed_mps=1.0, max_throttle=1.0, turning_radius_m=0.0, roll_m=0.1, track_width_m=0.2
    )
    steering = chassis.steering(curvature)
    assert abs(steering) <= 0.6
    if abs(steering) < 0.6:
        inner, outer = 1.0 - 2 * abs(steering), 1.0
        turned = math.copysign((outer - inner) / 0.2 / ((outer + inner) / 2), steering)
        assert turned == pytest.approx(curvature, abs=1e-9)
