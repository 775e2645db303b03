from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_car.messages import Odometry, Reading, ReadingState
from pynet_car.reflex import Agreement, Head, Sight, is_blind, known_velocity_mps, limit, look, stopping_m

pytestmark = pytest.mark.promise

MS = 1_000_000
NOW = 10_000 * MS
AHEAD = Head("ahead", 0.0, 0.06)
BEHIND = Head("behind", math.pi, 0.06)
CLEAR = Sight(False, False, "")


def reading(
    value: float = 3.0, *, state: ReadingState = ReadingState.OK, age_ms: float = 0.0, channel: str = "ahead"
) -> Reading:
    captured_ns = NOW - round(age_ms * MS)
    return Reading(channel=channel, seq=1, captured_ns=captured_ns, value=value, unit="m", state=state)


def sight(newest: Reading | None, head: Head = AHEAD, *, velocity_mps: float | None = 0.0) -> Sight:
    readings: Mapping[str, Reading] = {} if newest is None else {head.channel: newest}
    return look([head], readings, velocity_mps=velocity_mps, now_ns=NOW)


def odometry(velocity_mps: float, *, age_ms: int = 0, state: ReadingState = ReadingState.OK) -> Odometry:
    return Odometry(
        seq=1, captured_ns=NOW - age_ms * MS, left_ticks=0, right_ticks=0, distance_m=0.0, x_m=0.0, y_m=0.0,
        heading_rad=0.0, velocity_mps=velocity_mps, yaw_rate_radps=0.0, state=state,
    )  # fmt: skip


@pytest.mark.parametrize(("velocity_mps", "stops_within_m"), [(0.0, 0.28), (1.0, 0.5267), (2.0, 1.1067)])
def test_brakes_within_the_measured_stopping_distance(velocity_mps: float, stops_within_m: float) -> None:
    assert math.isclose(stopping_m(velocity_mps), stops_within_m, abs_tol=1e-4)
    assert sight(reading(stops_within_m - 0.01), velocity_mps=velocity_mps).blocked_forward
    assert not sight(reading(stops_within_m + 0.01), velocity_mps=velocity_mps).blocked_forward


def test_a_sensor_that_looks_back_blocks_backward_only() -> None:
    seen = sight(reading(0.1, channel="behind"), BEHIND)
    assert (seen.blocked_forward, seen.blocked_backward) == (False, True)


def test_speed_counts_only_toward_the_sensor() -> None:
    assert not sight(reading(0.5, channel="behind"), BEHIND, velocity_mps=2.0).blocked_backward
    assert sight(reading(0.5, channel="behind"), BEHIND, velocity_mps=-2.0).blocked_backward


def test_out_of_range_is_clear_to_the_sensors_range_and_no_further() -> None:
    clear = reading(3.0, state=ReadingState.OUT_OF_RANGE)
    assert sight(clear, velocity_mps=3.7) == CLEAR
    assert sight(clear, velocity_mps=None) == CLEAR
    assert "too little at this speed" in sight(clear, velocity_mps=3.9).reason
    short = reading(0.25, state=ReadingState.OUT_OF_RANGE)  # max_range_m = 0.25: it would never brake
    assert sight(short, velocity_mps=0.0).blocked_forward


@pytest.mark.parametrize("state", [ReadingState.FAULT, ReadingState.STALE])
def test_a_faulty_or_stale_sensor_blocks_the_way_it_looks_and_leaves_the_other_free(
    state: ReadingState,
) -> None:
    seen = sight(reading(3.0, state=state))
    assert (seen.blocked_forward, seen.blocked_backward) == (True, False)


def test_a_sensor_that_never_spoke_blocks() -> None:
    assert sight(None).blocked_forward
    assert "ahead has not measured yet" in sight(None).reason


def test_a_reading_is_stale_after_200_ms_or_two_periods_whichever_is_longer() -> None:
    slow = Head("ahead", 0.0, 0.15)
    assert not sight(reading(age_ms=200.0)).blocked_forward
    assert sight(reading(age_ms=200.001)).blocked_forward
    assert not sight(reading(age_ms=300.0), slow).blocked_forward
    assert sight(reading(age_ms=300.001), slow).blocked_forward


def test_a_reading_from_after_the_tick_began_is_good_and_one_from_the_future_is_not() -> None:
    assert not sight(reading(age_ms=-50.0)).blocked_forward
    assert sight(reading(age_ms=-51.0)).blocked_forward


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1])
def test_a_range_that_cannot_be_blocks(value: float) -> None:
    assert sight(reading(value)).blocked_forward


def test_unknown_speed_counts_as_two_metres_a_second() -> None:
    assert sight(reading(1.0), velocity_mps=None).blocked_forward
    assert not sight(reading(1.2), velocity_mps=None).blocked_forward


def test_a_wall_beside_the_lane_does_not_stop_a_fast_car_but_a_box_at_its_corner_does() -> None:
    corner = Head("ahead", math.radians(50.0), 0.06)
    wall_m = 0.65 / math.sin(math.radians(50.0))  # from the middle of the lane
    assert not sight(reading(wall_m), corner, velocity_mps=2.5).blocked_forward
    assert sight(reading(0.25), corner, velocity_mps=0.0).blocked_forward


def test_a_head_15_degrees_off_brakes_as_one_that_looks_ahead() -> None:
    aside = Head("ahead", math.radians(-15.0), 0.06)
    assert sight(reading(1.1), aside, velocity_mps=2.0).blocked_forward


def test_without_sensors_nothing_is_blocked_and_it_says_so() -> None:
    seen = look([], {}, velocity_mps=None, now_ns=NOW)
    assert (seen.blocked_forward, seen.blocked_backward) == (False, False)
    assert "No proximity sensor" in seen.reason


def test_one_blocked_head_among_clear_ones_is_enough_and_is_named() -> None:
    heads = [Head("left", 0.2, 0.06), Head("right", -0.2, 0.06)]
    newest = {"left": reading(3.0, channel="left"), "right": reading(0.2, channel="right")}
    seen = look(heads, newest, velocity_mps=0.0, now_ns=NOW)
    assert seen.blocked_forward
    assert "right sees something at 0.20 m" in seen.reason


def test_blocked_takes_the_throttle_that_way_only() -> None:
    assert limit(0.7, Sight(True, False, "")) == 0.0
    assert limit(-0.7, Sight(True, False, "")) == -0.7
    assert limit(-0.7, Sight(False, True, "")) == 0.0
    assert limit(0.7, Sight(False, True, "")) == 0.7


@given(st.floats(-1.0, 1.0), st.booleans(), st.booleans(), st.booleans(), st.none() | st.floats(-5.0, 5.0))
def test_limit_never_adds_throttle_nor_turns_it_round(
    throttle: float, forward: bool, backward: bool, creep: bool, velocity_mps: float | None
) -> None:
    left = limit(throttle, Sight(forward, backward, ""), creep=creep, velocity_mps=velocity_mps)
    assert left * throttle >= 0.0
    assert abs(left) <= abs(throttle)


def test_creeping_ends_at_half_a_metre_a_second_and_leaves_the_other_way_free() -> None:
    assert 0.0 < limit(1.0, CLEAR, creep=True, velocity_mps=0.3) <= 0.15
    assert limit(1.0, CLEAR, creep=True, velocity_mps=0.5) == 0.0
    assert limit(-1.0, CLEAR, creep=True, velocity_mps=-0.5) == 0.0
    assert limit(-1.0, CLEAR, creep=True, velocity_mps=0.5) < 0.0
    assert limit(1.0, CLEAR, creep=True) == 0.15


def test_a_camera_is_blind_after_one_second_and_before_its_first_frame() -> None:
    assert is_blind(None, NOW)
    assert not is_blind(NOW - 1000 * MS, NOW)
    assert is_blind(NOW - 1000 * MS - 1, NOW)
    assert is_blind(NOW + 51 * MS, NOW)  # no camera of this car


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_encoders_run_against_the_motor_when_they_did_so_for_a_second_and_until_they_agree(
    way: float,
) -> None:
    agreement = Agreement()

    def after(ms: int, duty: float, velocity_mps: float | None, steering: float = 0.0) -> bool:
        broken = False
        for _ in range(ms // 10):
            broken = agreement.is_broken(
                duty=way * duty,
                steering=steering,
                velocity_mps=None if velocity_mps is None else way * velocity_mps,
                dt_s=0.01,
            )
        return broken

    assert not after(900, 0.5, -1.0)  # it turns round
    assert not after(10, 0.5, 0.2)
    assert not after(5000, 0.5, -1.0, steering=0.9)  # on the spot, by its sides
    assert not after(5000, 0.0, -1.0)  # it rolls
    assert after(1020, 0.5, -1.0)
    assert after(5000, 0.0, None), "what it was it is still"
    assert not after(10, 0.5, 1.0)


def test_velocity_is_known_only_from_fresh_and_sound_odometry() -> None:
    assert known_velocity_mps(odometry(1.5, age_ms=200), period_s=0.02, now_ns=NOW) == 1.5
    assert known_velocity_mps(odometry(1.5, age_ms=201), period_s=0.02, now_ns=NOW) is None
    for value in (math.nan, math.inf, -1e200, 101.0):
        assert known_velocity_mps(odometry(value), period_s=0.02, now_ns=NOW) is None
    faulty = odometry(1.5, state=ReadingState.FAULT)
    assert known_velocity_mps(faulty, period_s=0.02, now_ns=NOW) is None
    assert known_velocity_mps(None, period_s=0.02, now_ns=NOW) is None
