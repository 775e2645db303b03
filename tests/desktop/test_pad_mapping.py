"""What a gamepad's inputs are for: no two at once, the E-STOP always one, and hearing which was moved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.pad_mapping import (
    USUAL,
    Role,
    assign,
    input_of,
    lacks,
    listed,
    moved,
    sdl_line,
    sensible,
    value,
    why_not,
    words,
)
from desktop_app.settings import PadMapping
from desktop_app.view import PadInputs
from tests.desktop.look_views import JOYSTICK, PAD

AXES = [name for name, _ in PAD.axes] + ["-lefty", "-righty", "-leftx", "-rightx"]
BUTTONS = [name for name, _ in PAD.buttons]
REST = replace(
    PAD, axes=tuple((name, 0.0) for name, _ in PAD.axes), buttons=tuple((n, False) for n in BUTTONS)
)
RAW = replace(
    JOYSTICK,
    axes=(("a0", 0.0), ("a1", 0.0), ("a2", -1.0), ("a3", 1.0)),
    buttons=tuple((name, False) for name, _ in JOYSTICK.buttons),
)


def with_axis(pad: PadInputs, name: str, at: float) -> PadInputs:
    return replace(pad, axes=tuple((own, at if own == name else old) for own, old in pad.axes))


def with_button(pad: PadInputs, *down: str) -> PadInputs:
    return replace(pad, buttons=tuple((own, own in down) for own, _ in pad.buttons))


@given(st.lists(st.tuples(st.sampled_from(list(Role)), st.integers(0, 99)), max_size=20))
def test_whatever_is_asked_the_e_stop_keeps_a_button_of_its_own(asked: list[tuple[Role, int]]) -> None:
    mapping = USUAL
    for role, number in asked:
        names = AXES if role.is_axis else BUTTONS
        try:
            mapping = assign(mapping, role, names[number % len(names)])
        except ValueError as exc:
            assert str(exc).endswith("first.")
    assert mapping.e_stop in BUTTONS
    assert len({mapping.e_stop, mapping.hold, mapping.arm}) == 3
    assert len({mapping.steer, mapping.forward, mapping.back}) == 3


def test_an_input_that_has_a_role_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"^B is the E-STOP. Give the E-STOP another button first.$"):
        assign(USUAL, Role.HOLD, "b")
    with pytest.raises(ValueError, match=r"^LB is taken: Hold to drive."):
        assign(USUAL, Role.E_STOP, "leftshoulder")
    with pytest.raises(ValueError, match=r"^LT is taken: Brake, then back."):
        assign(USUAL, Role.FORWARD, "lefttrigger")
    with pytest.raises(ValueError, match=r"^Left stick right is taken: Steering."):
        assign(USUAL, Role.FORWARD, "leftx")


def test_one_stick_drives_forward_with_its_upper_half_and_back_with_its_lower() -> None:
    mapping = assign(assign(USUAL, Role.FORWARD, "-righty"), Role.BACK, "righty")
    up = replace(with_axis(REST, "righty", -1.0), mapping=mapping)
    down = replace(with_axis(REST, "righty", 1.0), mapping=mapping)
    ways = [value(role, input_of(mapping, role), up) for role in (Role.FORWARD, Role.BACK)]
    assert ways == [1.0, 0.0]
    assert [value(role, input_of(mapping, role), down) for role in (Role.FORWARD, Role.BACK)] == [0.0, 1.0]
    assert words(Role.FORWARD, mapping.forward) == "Right stick up"


@pytest.mark.parametrize("left_end", [-1.0, 1.0])
def test_the_end_it_was_pushed_to_is_left(left_end: float) -> None:
    name = moved(Role.STEER, REST, with_axis(REST, "rightx", left_end))
    mapping = assign(USUAL, Role.STEER, name)
    pushed = replace(with_axis(REST, "rightx", left_end), mapping=mapping)
    assert mapping.steer == "rightx"
    assert value(Role.STEER, mapping.steer, pushed) == 1.0


def test_a_small_motion_is_none_and_the_largest_is_meant() -> None:
    assert moved(Role.FORWARD, REST, with_axis(REST, "righttrigger", 0.4)) == ""
    both = with_axis(with_axis(REST, "leftx", 0.6), "righttrigger", 0.9)
    assert moved(Role.FORWARD, REST, both) == "righttrigger"


def test_a_button_that_was_down_already_is_not_meant() -> None:
    before = with_button(REST, "a")
    assert moved(Role.E_STOP, before, with_button(REST, "a")) == ""
    assert moved(Role.E_STOP, before, with_button(REST, "a", "x")) == "x"
    assert moved(Role.E_STOP, before, replace(with_button(REST, "x"), guid="another pad")) == ""


def test_of_a_joystick_halves_whole_ways_and_turned_ones_are_told_apart() -> None:
    assert moved(Role.STEER, RAW, with_axis(RAW, "a0", -1.0)) == "a0"
    assert moved(Role.STEER, RAW, with_axis(RAW, "a0", 1.0)) == "a0~"
    assert moved(Role.FORWARD, RAW, with_axis(RAW, "a1", -1.0)) == "-a1"
    assert moved(Role.FORWARD, RAW, with_axis(RAW, "a2", 0.0)) == "a2"  # it rests at its lower end
    assert moved(Role.BACK, RAW, with_axis(RAW, "a3", -1.0)) == "a3~"
    assert moved(Role.ARM, RAW, with_button(RAW, "h0.4")) == "h0.4"
    assert value(Role.FORWARD, "a2", RAW) == 0.0
    assert value(Role.BACK, "a3~", RAW) == 0.0
    assert value(Role.FORWARD, "a2", with_axis(RAW, "a2", 1.0)) == 1.0


def test_a_half_and_the_whole_of_one_axis_meet() -> None:
    assert why_not({Role.FORWARD: "+a2"}, Role.BACK, "-a2") == ""
    assert why_not({Role.FORWARD: "a2"}, Role.BACK, "-a2") != ""
    assert why_not({Role.STEER: "a0~"}, Role.BACK, "-a0") != ""
    assert why_not({Role.STEER: "a0"}, Role.FORWARD, "a1") == ""


def test_the_line_for_sdl_names_each_role_and_no_comma_of_a_name() -> None:
    inputs = dict(zip(Role, ("a0", "a2", "a3~", "b0", "b1", "h0.4"), strict=True))
    line = sdl_line(replace(RAW, name="Stick, the\nbest"), inputs)
    assert line == (
        "05000000,Stick the best,leftx:a0,righttrigger:a2,lefttrigger:a3~,leftshoulder:b0,b:b1,start:h0.4,"
    )


def test_what_is_too_little_to_drive_with_is_said() -> None:
    assert lacks(RAW) == ""
    few = replace(RAW, axes=RAW.axes[:1], buttons=RAW.buttons[:2])
    assert lacks(few) == "It has 1 axes and 2 buttons. Driving takes 2 axes and 3 buttons at least."


def test_inputs_that_the_pad_has_not_are_the_usual_ones() -> None:
    mapping = PadMapping(steer="rightx", forward="-righty", e_stop="paddle9", hold="")
    assert sensible(mapping, PAD) == PadMapping(steer="rightx", forward="-righty")


def test_help_names_what_is_held_and_pressed() -> None:
    assert dict(listed(PadMapping(hold="rightshoulder", e_stop="x")))["RB"] == "Hold to drive"
    assert dict(listed(PadMapping(e_stop="x")))["X"] == "E-STOP"
