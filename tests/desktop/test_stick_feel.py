"""How a gamepad feels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.stick_feel import Triggers, shape
from desktop_app.teleop import NEUTRAL


def throttle(triggers: Triggers, forward: float, back: float, velocity_mps: float | None = None) -> float:
    return triggers.stick(forward, back, 0.0, velocity_mps=velocity_mps, is_held=True).throttle


def test_without_the_hold_button_it_is_neutral() -> None:
    assert Triggers().stick(1.0, 0.0, 1.0, velocity_mps=0.0, is_held=False) == NEUTRAL


def test_back_brakes_while_the_car_rolls_and_then_drives_back() -> None:
    triggers = Triggers()
    assert throttle(triggers, 0.8, 0.0, 1.5) == 0.8
    assert throttle(triggers, 0.0, 0.5, 1.5) == 0.0
    assert throttle(triggers, 0.0, 0.5, 0.05) == -0.5
    assert throttle(triggers, 0.0, 0.5, -1.0) == -0.5


def test_without_encoders_back_must_be_let_go_and_pulled_again() -> None:
    triggers = Triggers()
    throttle(triggers, 0.8, 0.0)
    throttle(triggers, 0.0, 0.0)
    for _ in range(100):
        assert throttle(triggers, 0.0, 0.5) == 0.0
    throttle(triggers, 0.0, 0.0)
    assert throttle(triggers, 0.0, 0.5) == -0.5


def test_from_standing_back_is_back() -> None:
    assert throttle(Triggers(), 0.0, 0.5) == -0.5


def test_both_triggers_brake() -> None:
    assert throttle(Triggers(), 1.0, 1.0, 0.0) == 0.0


def test_a_pulled_brake_is_not_let_go() -> None:
    assert not Triggers().stick(0.0, 1.0, 0.0, velocity_mps=2.0, is_held=True).is_neutral


@given(st.floats(-1.0, 1.0), st.floats(0.0, 0.5), st.floats(1.0, 3.0))
def test_shape_keeps_sign_and_range_and_the_dead_zone_is_dead(
    value: float, dead_zone: float, curve: float
) -> None:
    shaped = shape(value, dead_zone=dead_zone, curve=curve)
    assert abs(shaped) <= 1.0
    assert shaped * value >= 0.0
    if abs(value) <= dead_zone:
        assert shaped == 0.0


def test_full_is_full() -> None:
    assert shape(1.0, dead_zone=0.2, curve=1.7) == 1.0
    assert shape(-1.0, dead_zone=0.2, curve=1.7) == -1.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_neutral(value: float) -> None:
    assert shape(value, dead_zone=0.1, curve=1.0) == 0.0
