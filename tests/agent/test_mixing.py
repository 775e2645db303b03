from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pi_agent.mixing import NEUTRAL, Limits, Outputs, mix

LIMITS = Limits(max_throttle=0.8, throttle_slew_per_s=4.0, steering_slew_per_s=12.0)
ANY_FLOAT = st.floats()  # NaN and infinities too
DT = st.floats(-1.0, 10.0) | st.just(math.nan) | st.just(math.inf)


def duty_after(now: float, throttle: float, dt_s: float, *, ticks: int = 1) -> float:
    outputs = Outputs(now, 0.0)
    for _ in range(ticks):
        outputs = mix(outputs, throttle=throttle, steering=0.0, limits=LIMITS, dt_s=dt_s)
    return outputs.duty


@given(st.lists(st.tuples(ANY_FLOAT, ANY_FLOAT, DT), max_size=30))
def test_outputs_stay_within_limits_whatever_is_wished(wishes: list[tuple[float, float, float]]) -> None:
    outputs = NEUTRAL
    for throttle, steering, dt_s in wishes:
        outputs = mix(outputs, throttle=throttle, steering=steering, limits=LIMITS, dt_s=dt_s)
        assert abs(outputs.duty) <= LIMITS.max_throttle  # false for NaN
        assert abs(outputs.steering) <= 1.0


@given(st.floats(-0.8, 0.8), st.floats(-1.0, 1.0), st.floats(0.0, 0.05))
def test_duty_never_moves_away_from_zero_faster_than_its_slew(now: float, wish: float, dt_s: float) -> None:
    after = duty_after(now, wish, dt_s)
    assert abs(after) <= abs(now) + 4.0 * dt_s + 1e-12


@given(st.floats(-0.8, 0.8), st.floats(-1.0, 1.0), st.floats(0.0, 0.05))
def test_duty_never_changes_its_sign_in_one_tick(now: float, wish: float, dt_s: float) -> None:
    assert duty_after(now, wish, dt_s) * now >= 0.0


@given(st.floats(-0.8, 0.8), st.floats(0.0, 1.0))
def test_any_duty_is_zero_50_ms_after_the_stick_is_let_go(now: float, slew: float) -> None:
    outputs = Outputs(now, now)
    slow = Limits(max_throttle=0.8, throttle_slew_per_s=slew, steering_slew_per_s=slew)
    for _ in range(5):
        outputs = mix(outputs, throttle=0.0, steering=0.0, limits=slow, dt_s=0.01)
    assert outputs == NEUTRAL


def test_full_throttle_takes_as_long_as_the_slew_says() -> None:
    assert duty_after(0.0, 0.8, 0.01, ticks=19) < 0.8
    assert math.isclose(duty_after(0.0, 0.8, 0.01, ticks=20), 0.8)


def test_reversing_rests_at_zero_for_a_tick() -> None:
    assert duty_after(0.1, -0.8, 0.01) == 0.0
    assert math.isclose(duty_after(0.0, -0.8, 0.01), -0.04)


def test_a_late_tick_jumps_no_further_than_50_ms() -> None:
    assert math.isclose(duty_after(0.0, 0.8, 3.0), 4.0 * 0.05)


def test_throttle_is_clamped_and_steering_is_not_affected_by_it() -> None:
    outputs = mix(Outputs(0.8, 1.0), throttle=1.0, steering=1.0, limits=LIMITS, dt_s=0.05)
    assert outputs == Outputs(0.8, 1.0)
