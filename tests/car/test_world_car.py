"""How the car moves: within its tyres' grip, to rest when let go, left when steered left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_car.world.car import CAR_SPEC, Car, advance

STEP_S = 0.005
GRIP_MPS2 = CAR_SPEC.grip * 9.81
UNIT = st.floats(-1, 1)


def drive(car: Car, duty: float, steering: float | None, seconds: float, step_s: float = STEP_S) -> Car:
    for _ in range(round(seconds / step_s)):
        car = advance(car, CAR_SPEC, duty, steering, step_s)
    return car


def seconds_to_rest(car: Car, duty: float = 0.0) -> float:
    for step in range(10_000):
        if car.velocity_mps == 0.0:
            return step * STEP_S
        car = advance(car, CAR_SPEC, duty, 0.0, STEP_S)
    raise AssertionError(f"still rolls at {car.velocity_mps} m/s")


@given(commands=st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=60), velocity=st.floats(-3, 3))
def test_the_tyres_never_give_more_than_their_grip(
    commands: list[tuple[float, float]], velocity: float
) -> None:
    car = Car(velocity_mps=velocity)
    for duty, steering in commands:
        before, car = car, advance(car, CAR_SPEC, duty, steering, STEP_S)
        along = (car.velocity_mps - before.velocity_mps) / STEP_S
        across = car.velocity_mps * car.yaw_rate_radps
        assert math.hypot(along, across) <= GRIP_MPS2 * (1 + 1e-9)


def test_full_reverse_at_speed_brakes_as_hard_as_the_tyres_hold() -> None:
    car = advance(Car(velocity_mps=3.0), CAR_SPEC, -1.0, 0.0, STEP_S)
    assert 3.0 - car.velocity_mps == pytest.approx(GRIP_MPS2 * STEP_S)


@pytest.mark.parametrize(("speed_mps", "within_s"), [(1.0, 1.2), (1.5, 1.5), (3.0, 2.0), (-1.5, 1.5)])
def test_a_car_let_go_comes_to_a_full_rest(speed_mps: float, within_s: float) -> None:
    assert 0.3 < seconds_to_rest(Car(velocity_mps=speed_mps)) < within_s


def test_a_car_at_rest_stays_there_without_duty_and_within_the_dead_band() -> None:
    for duty in (0.0, 0.07, -0.07):
        car = drive(Car(), duty, 0.5, 2.0)
        assert (car.x_m, car.y_m, car.distance_m, car.velocity_mps) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("duty", [0.0, 0.07, 0.1, 0.3, 0.6, 1.0])
def test_its_steady_speed_is_what_it_comes_to(duty: float) -> None:
    found = drive(Car(), duty, 0.0, 5.0).velocity_mps
    assert CAR_SPEC.steady_mps(duty) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize("duty", [0.1, 0.3, 0.6, 1.0])
def test_duty_sets_a_speed_either_way(duty: float) -> None:
    forward = drive(Car(), duty, 0.0, 4.0).velocity_mps
    assert 0.6 * 3.2 * duty < forward < 3.2 * duty
    assert drive(Car(), -duty, 0.0, 4.0).velocity_mps == pytest.approx(-forward)


def test_positive_steering_turns_left_in_the_circle_that_its_wheelbase_gives() -> None:
    car = drive(Car(velocity_mps=0.5), 0.2, 1.0, 10.0)
    assert car.y_m != 0.0
    assert car.heading_rad > 0
    slip = math.atan(0.5 * math.tan(CAR_SPEC.max_steer_rad))
    radius = CAR_SPEC.wheelbase_m / (math.cos(slip) * math.tan(CAR_SPEC.max_steer_rad))
    assert car.velocity_mps / car.yaw_rate_radps == pytest.approx(radius)
    right = drive(Car(velocity_mps=0.5), 0.2, -1.0, 10.0)
    assert (right.heading_rad, right.x_m, right.y_m) == pytest.approx((-car.heading_rad, car.x_m, -car.y_m))


def test_a_servo_without_pulses_stays_where_it_is() -> None:
    turned = drive(Car(), 0.0, 0.6, 1.0)
    assert turned.steer_rad == pytest.approx(0.6 * CAR_SPEC.max_steer_rad, rel=1e-3)
    assert drive(turned, 0.3, None, 1.0).steer_rad == turned.steer_rad


def test_a_servo_turns_no_faster_than_it_can() -> None:
    car = advance(Car(steer_rad=-CAR_SPEC.max_steer_rad), CAR_SPEC, 0.0, 1.0, STEP_S)
    assert car.steer_rad + CAR_SPEC.max_steer_rad == pytest.approx(CAR_SPEC.servo_rate_radps * STEP_S)


def test_five_millisecond_steps_are_a_centimetre_off_fine_ones_after_ten_seconds() -> None:
    coarse, fine = Car(), Car()
    for second in range(10):
        steering = 0.5 * math.sin(second)
        coarse = drive(coarse, 0.6, steering, 1.0)
        fine = drive(fine, 0.6, steering, 1.0, 0.0002)
    assert coarse.distance_m > 14
    assert math.hypot(coarse.x_m - fine.x_m, coarse.y_m - fine.y_m) < 0.02
