"""Ticks with stamps become distance, pose and velocity."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_car.messages import Odometry
from pynet_car.odometry import SILENCE_NS, Odometer, Wheel

MS = 1_000_000
TICK_M = 1 / 98


def odometer() -> Odometer:
    return Odometer(ticks_per_m=98.0, track_width_m=0.18)


def drive(odo: Odometer, period_ns: int, *, ticks: int = 20, left: int = 1, right: int = 1) -> int:
    """Both wheels tick together each period; the stamp of the last tick."""
    for i in range(1, ticks + 1):
        for wheel, step in ((Wheel.LEFT, left), (Wheel.RIGHT, right)):
            if step:
                odo.tick(wheel, step, i * period_ns)
    return ticks * period_ns


def test_before_the_first_tick_all_is_zero() -> None:
    at = odometer().at(5)
    assert (at.distance_m, at.x_m, at.y_m, at.heading_rad, at.velocity_mps, at.yaw_rate_radps) == (0,) * 6
    assert (at.seq, at.captured_ns) == (1, 5)


@pytest.mark.parametrize("step", [1, -1])
def test_98_ticks_of_both_wheels_are_one_metre(step: int) -> None:
    odo = odometer()
    at = odo.at(drive(odo, 10 * MS, ticks=98, left=step, right=step))
    assert at.distance_m == pytest.approx(step, abs=1e-12)
    assert at.heading_rad == 0.0
    assert math.hypot(at.x_m, at.y_m) == pytest.approx(1.0, rel=1e-3)
    assert (at.left_ticks, at.right_ticks) == (98 * step, 98 * step)


def test_turning_on_the_spot_turns_left_and_stays_there() -> None:
    odo = odometer()
    at = odo.at(drive(odo, 10 * MS, ticks=30, left=-1, right=1))
    assert at.distance_m == 0.0
    assert at.heading_rad == pytest.approx(60 * TICK_M / 0.18)
    assert math.hypot(at.x_m, at.y_m) < TICK_M
    assert at.velocity_mps == 0.0
    assert at.yaw_rate_radps == pytest.approx(2 * TICK_M / 10e-3 / 0.18)


def test_one_wheel_alone_rolls_on_a_circle_round_the_other() -> None:
    odo = odometer()
    for i in range(1, 56):
        odo.tick(Wheel.RIGHT, 1, i * 10 * MS)
        at = odo.at(i * 10 * MS)
        # The left wheel stands at (0, +0.09), whatever the heading.
        assert at.x_m - 0.09 * math.sin(at.heading_rad) == pytest.approx(0.0, abs=1e-12)
        assert at.y_m + 0.09 * math.cos(at.heading_rad) == pytest.approx(0.09, abs=1e-12)


@given(st.integers(1 * MS, SILENCE_NS), st.sampled_from([1, -1]))
def test_velocity_of_an_even_pace_is_exact_at_any_speed(period_ns: int, step: int) -> None:
    odo = odometer()
    now = drive(odo, period_ns, left=step, right=step)
    assert odo.at(now).velocity_mps == pytest.approx(step * TICK_M / (period_ns * 1e-9), rel=1e-9)
    assert odo.at(now + period_ns // 2).velocity_mps == pytest.approx(
        step * TICK_M / (period_ns * 1e-9), rel=1e-9
    )


def test_velocity_falls_with_the_silence_and_is_zero_after_its_limit() -> None:
    odo = odometer()
    last = drive(odo, 10 * MS)
    assert odo.at(last + 30 * MS).velocity_mps == pytest.approx(TICK_M / 10e-3)  # may be on its way to us
    assert odo.at(last + 40 * MS).velocity_mps == pytest.approx(TICK_M / 20e-3)
    assert odo.at(last + 220 * MS).velocity_mps == pytest.approx(TICK_M / 200e-3)
    assert odo.at(last + SILENCE_NS + 1).velocity_mps == 0.0


def test_velocity_follows_a_change_of_pace_within_the_averaging_span() -> None:
    odo = odometer()
    last = drive(odo, 10 * MS)
    for i in range(1, 4):
        for wheel in Wheel:
            odo.tick(wheel, 1, last + i * 25 * MS)
    assert odo.at(last + 75 * MS).velocity_mps == pytest.approx(TICK_M / 25e-3)


def test_turning_round_does_not_count_the_pause_as_speed() -> None:
    odo = odometer()
    last = drive(odo, 10 * MS)
    for wheel in Wheel:
        odo.tick(wheel, -1, last + 1 * MS)
    assert odo.at(last + 1 * MS).velocity_mps == 0.0
    for wheel in Wheel:
        odo.tick(wheel, -1, last + 21 * MS)
    assert odo.at(last + 21 * MS).velocity_mps == pytest.approx(-TICK_M / 20e-3)


def test_two_ticks_in_one_stamp_count_both_and_divide_by_nothing() -> None:
    odo = odometer()
    for stamp in (10 * MS, 20 * MS, 20 * MS):
        for wheel in Wheel:
            odo.tick(wheel, 1, stamp)
    at = odo.at(20 * MS)
    assert at.left_ticks == 3
    assert at.velocity_mps == pytest.approx(2 * TICK_M / 10e-3)


ticks = st.lists(
    st.tuples(st.sampled_from(Wheel), st.sampled_from([1, -1]), st.integers(0, 100 * MS)), max_size=80
)


def play(tape: list[tuple[Wheel, int, int]], *, polled: bool) -> Odometry:
    odo, now = odometer(), 0
    for wheel, step, gap in tape:
        now += gap
        odo.tick(wheel, step, now)
        if polled:
            odo.at(now)
    return odo.at(now)


@given(ticks)
def test_any_ticks_are_counted_once_and_move_the_car_no_further_than_they_reach(
    tape: list[tuple[Wheel, int, int]],
) -> None:
    at = play(tape, polled=False)
    assert at.left_ticks == sum(step for wheel, step, _ in tape if wheel is Wheel.LEFT)
    assert at.right_ticks == sum(step for wheel, step, _ in tape if wheel is Wheel.RIGHT)
    assert math.hypot(at.x_m, at.y_m) <= len(tape) * TICK_M / 2 + 1e-9
    assert math.isfinite(at.velocity_mps) and math.isfinite(at.yaw_rate_radps)


@given(ticks)
def test_asking_changes_nothing(tape: list[tuple[Wheel, int, int]]) -> None:
    often, once = play(tape, polled=True), play(tape, polled=False)
    assert (often.x_m, often.y_m, often.velocity_mps) == (once.x_m, once.y_m, once.velocity_mps)


@given(ticks)
def test_the_same_ticks_taken_back_lead_home(tape: list[tuple[Wheel, int, int]]) -> None:
    at = play(tape + [(wheel, -step, gap) for wheel, step, gap in reversed(tape)], polled=False)
    assert (at.left_ticks, at.right_ticks, at.heading_rad) == (0, 0, 0.0)
    assert (at.x_m, at.y_m) == pytest.approx((0.0, 0.0), abs=1e-9)


@given(st.lists(st.tuples(st.sampled_from(Wheel), st.sampled_from([1, -1]), st.integers(-(10**12), 10**12))))
def test_stamps_out_of_order_never_give_an_infinite_speed(tape: list[tuple[Wheel, int, int]]) -> None:
    odo = odometer()
    for tick in tape:
        odo.tick(*tick)
    assert math.isfinite(odo.at(10**12).velocity_mps)
