"""The hands: what they may ask of the car, and when nothing but neutral."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from desktop_app.teleop import (
    AWAY_DISARM_NS,
    NEUTRAL,
    NS_PER_MS,
    OWNED_NS,
    PERIOD_NS,
    STUCK_NS,
    Decision,
    Direction,
    Gate,
    Source,
    Stick,
    Teleop,
)
from desktop_app.view import Focus

ARMED = Gate(may_drive=True, may_be_armed=True, epoch=(1,))
UP, W, LEFT, DOWN = 1, 2, 3, 4
WAY = {UP: Direction.FORWARD, W: Direction.FORWARD, LEFT: Direction.LEFT, DOWN: Direction.BACK}


@dataclass
class Hands:
    """A person at the window, and a clock."""

    teleop: Teleop = field(default_factory=Teleop)
    now_ns: int = 1_000_000_000
    gate: Gate = ARMED

    def tick(self, after_ms: float = 20) -> Decision:
        self.now_ns += int(after_ms * NS_PER_MS)
        return self.teleop.tick(self.now_ns, self.gate)

    def ticks(self, ms: float) -> Decision:
        for _ in range(int(ms / 20)):
            decision = self.tick()
        return decision

    def press(self, key: int) -> None:
        self.teleop.press(key, WAY[key])


@pytest.fixture
def hands() -> Hands:
    """The picture has the focus, the car is armed, neutral was seen."""
    hands = Hands()
    hands.teleop.set_focus(Focus.DRIVE)
    hands.tick()
    return hands


def wish(decision: Decision) -> tuple[float, float]:
    return decision.throttle, decision.steering


# --- keys and ramps ---


def test_a_held_key_rises_to_the_limit_and_no_further(hands: Hands) -> None:
    hands.press(UP)
    asked = [hands.tick().throttle for _ in range(40)]
    assert asked == sorted(asked)
    assert 0.0 < asked[0] < 0.1
    assert asked[-1] == hands.teleop.limit == 0.5


def test_letting_go_is_at_once(hands: Hands) -> None:
    hands.press(UP)
    hands.press(LEFT)
    hands.ticks(500)
    hands.teleop.release(UP)
    assert wish(hands.tick(1)) == (0.0, 1.0)
    hands.teleop.release(LEFT)
    assert wish(hands.tick(1)) == (0.0, 0.0)


def test_turning_round_passes_zero_at_once(hands: Hands) -> None:
    hands.press(UP)
    hands.ticks(500)
    hands.teleop.release(UP)
    hands.press(DOWN)
    assert -0.05 < hands.tick().throttle < 0.0


def test_a_tick_made_by_the_key_itself_moves_already(hands: Hands) -> None:
    hands.press(UP)
    assert hands.tick(0.1).throttle > 0.02


def test_of_two_keys_for_one_way_the_other_still_holds(hands: Hands) -> None:
    hands.press(UP)
    hands.press(W)
    hands.ticks(500)
    hands.teleop.release(UP)
    assert hands.tick().throttle == 0.5


def test_opposite_keys_cancel(hands: Hands) -> None:
    hands.press(UP)
    hands.press(DOWN)
    assert wish(hands.tick()) == (0.0, 0.0)


# --- breaks ---

BREAKS: dict[str, Callable[[Hands], None]] = {
    "failsafe, lease, restart, reconnect": lambda h: setattr(h, "gate", replace(h.gate, epoch=(2,))),
    "a gamepad came": lambda h: h.teleop.set_gamepad(NEUTRAL),
    "e-stop pressed": lambda h: h.teleop.break_off(),
}


@pytest.mark.parametrize("name", BREAKS)
def test_after_a_break_a_held_key_asks_nothing_until_let_go(name: str, hands: Hands) -> None:
    hands.press(UP)
    hands.ticks(500)
    BREAKS[name](hands)
    for _ in range(100):
        decision = hands.tick()
        assert wish(decision) == (0.0, 0.0)
        assert decision.hint == "Let go first"
    hands.teleop.release(UP)
    hands.tick()
    hands.press(UP)
    assert hands.tick().throttle > 0.0


def test_a_short_time_not_armed_is_a_break(hands: Hands) -> None:
    hands.press(UP)
    hands.ticks(500)
    hands.gate = replace(ARMED, may_drive=False)
    assert wish(hands.tick()) == (0.0, 0.0)
    hands.gate = ARMED
    assert wish(hands.ticks(1000)) == (0.0, 0.0)


def test_a_key_held_while_arming_asks_nothing_once_armed(hands: Hands) -> None:
    hands.gate = Gate()
    hands.press(UP)
    hands.tick()
    hands.gate = ARMED
    assert wish(hands.ticks(1000)) == (0.0, 0.0)


def test_focus_lost_is_neutral_in_the_same_tick_gamepad_too(hands: Hands) -> None:
    hands.teleop.set_gamepad(NEUTRAL)
    hands.tick()
    hands.teleop.set_gamepad(Stick(0.5, 0.5))
    assert hands.tick().throttle > 0.0
    hands.teleop.set_focus(Focus.AWAY)
    decision = hands.tick(0)
    assert wish(decision) == (0.0, 0.0)
    assert decision.hint == "Window not in front: controls are neutral"
    hands.teleop.set_focus(Focus.DRIVE)
    assert wish(hands.ticks(1000)) == (0.0, 0.0)


def test_keys_down_before_the_focus_came_back_count_as_not_pressed(hands: Hands) -> None:
    hands.press(UP)
    hands.ticks(100)
    hands.teleop.set_focus(Focus.AWAY)
    hands.tick()
    hands.teleop.set_focus(Focus.DRIVE)
    assert wish(hands.ticks(1000)) == (0.0, 0.0)
    hands.teleop.release(UP)
    hands.tick()
    hands.press(UP)
    assert hands.tick().throttle > 0.0


def test_a_key_seen_to_be_down_from_before_is_told_and_stops_the_other_hands_too(hands: Hands) -> None:
    hands.press(LEFT)
    hands.ticks(100)
    hands.teleop.hold_over(UP)
    assert wish(hands.tick()) == (0.0, 0.0)
    hands.teleop.release(LEFT)
    decision = hands.ticks(200)
    assert decision.hint == "Let go first"
    hands.press(LEFT)
    assert wish(hands.ticks(200)) == (0.0, 0.0)
    hands.teleop.release(LEFT)
    hands.teleop.release(UP)
    assert hands.ticks(100).hint == ""
    hands.press(UP)
    assert hands.tick().throttle > 0.0


def test_a_drag_that_began_before_the_focus_was_lost_is_void_until_let_go(hands: Hands) -> None:
    hands.teleop.drag(1.0, 0.0)
    assert hands.tick().throttle == 0.5
    hands.teleop.set_focus(Focus.AWAY)
    hands.tick()
    hands.teleop.set_focus(Focus.DRIVE)
    hands.tick()
    hands.teleop.drag(1.0, 0.0)
    assert wish(hands.ticks(200)) == (0.0, 0.0)
    hands.teleop.drop()
    hands.tick()
    hands.teleop.drag(1.0, 0.0)
    assert hands.tick().throttle == 0.5


def test_keys_do_not_drive_from_another_control_but_a_gamepad_does(hands: Hands) -> None:
    hands.teleop.set_focus(Focus.ELSEWHERE)
    hands.press(UP)
    assert wish(hands.tick()) == (0.0, 0.0)
    assert hands.tick().hint == "Click the picture to drive"
    hands.teleop.set_gamepad(NEUTRAL)
    hands.tick()
    hands.teleop.set_gamepad(Stick(1.0, 0.0))
    assert hands.tick().throttle == 0.5


# --- one source at a time ---


def test_the_first_source_keeps_control_until_neutral_for_half_a_second(hands: Hands) -> None:
    hands.press(LEFT)
    hands.tick()
    hands.teleop.drag(1.0, 0.0)
    assert hands.tick().throttle == 0.0
    hands.teleop.release(LEFT)
    assert wish(hands.ticks(OWNED_NS / NS_PER_MS - 20)) == (0.0, 0.0)
    decision = hands.ticks(1000)  # the pad has waited, pushed
    assert wish(decision) == (0.0, 0.0)
    assert decision.hint == "Let go first"
    hands.teleop.drop()
    hands.tick()
    hands.teleop.drag(1.0, 0.0)
    assert hands.tick().source is Source.PAD


# --- gamepad gone, window away ---


def test_a_gamepad_that_goes_away_disarms_and_says_so(hands: Hands) -> None:
    hands.teleop.set_gamepad(NEUTRAL)
    hands.tick()
    hands.teleop.set_gamepad(Stick(1.0, 0.0))
    hands.tick()
    hands.teleop.set_gamepad(None)
    for _ in range(3):
        decision = hands.tick()
        assert wish(decision) == (0.0, 0.0)
        assert decision.disarm == "Gamepad gone. Plug it in or use the keys, then arm."
    hands.gate = Gate()
    hands.tick()
    assert hands.tick().disarm == ""


def test_five_seconds_away_disarm_and_less_do_not(hands: Hands) -> None:
    hands.teleop.set_focus(Focus.AWAY)
    hands.tick()
    assert hands.ticks(AWAY_DISARM_NS / NS_PER_MS - 40).disarm == ""
    assert hands.ticks(60).disarm == "Window not in front for 5 s."


def test_a_car_that_gets_armed_while_the_window_is_away_is_disarmed(hands: Hands) -> None:
    hands.gate = Gate()
    hands.teleop.set_focus(Focus.AWAY)
    assert hands.ticks(10_000).disarm == ""
    hands.gate = ARMED
    assert hands.tick().disarm != ""


def test_a_look_elsewhere_and_back_starts_the_five_seconds_anew(hands: Hands) -> None:
    for _ in range(3):
        hands.teleop.set_focus(Focus.AWAY)
        assert hands.ticks(4000).disarm == ""
        hands.teleop.set_focus(Focus.DRIVE)
        hands.tick()


# --- the window was stuck ---


def test_after_a_stuck_window_nothing_goes_out_before_the_queue_was_seen(hands: Hands) -> None:
    hands.press(UP)
    hands.ticks(500)
    stuck = hands.tick(240)
    assert not stuck.goes_out
    assert stuck.event == "Window stuck 240 ms; no command went out."
    assert not hands.tick(5).goes_out
    hands.teleop.release(UP)  # was in Qt's queue all the time
    decision = hands.tick(16)
    assert decision.goes_out
    assert wish(decision) == (0.0, 0.0)


def test_a_tick_that_is_late_but_not_too_late_goes_out(hands: Hands) -> None:
    assert hands.tick(STUCK_NS / NS_PER_MS).goes_out


def test_the_ramp_begins_again_after_a_stuck_window(hands: Hands) -> None:
    hands.press(UP)
    hands.ticks(500)
    hands.tick(150)
    assert 0.0 < hands.tick(20).throttle < 0.1


# --- limits ---


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True))
def test_no_drag_asks_beyond_the_limit(throttle: float, steering: float) -> None:
    hands = Hands()
    hands.teleop.set_focus(Focus.DRIVE)
    hands.tick()
    hands.teleop.drag(throttle, steering)
    decision = hands.tick()
    assert abs(decision.throttle) <= hands.teleop.limit
    assert abs(decision.steering) <= 1.0


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_the_limit_stays_between_a_tenth_and_one(limit: float) -> None:
    teleop = Teleop(limit)
    assert 0.1 <= teleop.limit <= 1.0


def test_a_stale_picture_creeps(hands: Hands) -> None:
    hands.gate = replace(ARMED, creeps=True)
    hands.press(UP)
    assert hands.ticks(1000).throttle == 0.15
    hands.gate = replace(ARMED, creeps=True, velocity_mps=0.5)
    assert hands.tick().throttle == 0.0


# --- anything in any order ---

KEYS = st.sampled_from([UP, W, LEFT, DOWN])
UNIT = st.floats(-1.0, 1.0)


class AnyHands(RuleBasedStateMachine):
    """Presses, breaks and stalls in any order, against a second bookkeeper who only knows the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.hands = Hands()
        self.teleop = self.hands.teleop
        self.focus = Focus.AWAY
        self.really_down: set[int] = set()
        self.held_over: set[int] = set()
        self.known_down: set[int] = set()  # as far as a window with the focus can know
        self.drag_is_void = False
        self.dragged = NEUTRAL
        self.gamepad: Stick | None = None
        self.owes_neutral = True

    @rule(key=KEYS)
    def press_or_repeat(self, key: int) -> None:
        if key in self.really_down:
            if self.focus is Focus.DRIVE and key not in self.known_down:
                self.teleop.hold_over(key)  # the repeat of a key that was down before
                self.held_over.add(key)
                self.owes_neutral = True
            return  # any other repeat the window keeps to itself
        self.hands.press(key)
        self.really_down.add(key)
        if self.focus is Focus.DRIVE:
            self.known_down.add(key)

    @rule(key=KEYS)
    def release(self, key: int) -> None:
        self.really_down.discard(key)
        self.known_down.discard(key)
        self.held_over.discard(key)
        self.teleop.release(key)

    @rule(throttle=UNIT, steering=UNIT)
    def drag(self, throttle: float, steering: float) -> None:
        if self.focus is not Focus.AWAY and not self.drag_is_void:
            self.dragged = Stick(throttle, steering)
        self.teleop.drag(throttle, steering)

    @rule()
    def drop(self) -> None:
        self.dragged, self.drag_is_void = NEUTRAL, False
        self.teleop.drop()

    @rule(throttle=UNIT, steering=UNIT)
    def push_stick(self, throttle: float, steering: float) -> None:
        self.owes_neutral = self.owes_neutral or self.gamepad is None
        self.gamepad = Stick(throttle, steering)
        self.teleop.set_gamepad(self.gamepad)

    @rule()
    def let_go_of_stick(self) -> None:
        if self.gamepad is not None:
            self.gamepad = NEUTRAL
            self.teleop.set_gamepad(NEUTRAL)

    @precondition(lambda self: self.gamepad is not None)
    @rule()
    def unplug(self) -> None:
        self.gamepad, self.owes_neutral = None, True
        self.teleop.set_gamepad(None)

    @rule(focus=st.sampled_from(Focus))
    def move_focus(self, focus: Focus) -> None:
        if focus is not self.focus and focus is not Focus.DRIVE:
            self.known_down.clear()
            self.held_over.clear()
            self.drag_is_void = self.drag_is_void or not self.dragged.is_neutral
            self.dragged = NEUTRAL
        self.owes_neutral = self.owes_neutral or focus is Focus.AWAY
        self.focus = focus
        self.teleop.set_focus(focus)

    @rule(limit=st.floats(0.1, 1.0))
    def set_limit(self, limit: float) -> None:
        self.teleop.set_limit(limit)

    @rule(may_drive=st.sampled_from([True, True, True, False]), epoch=st.integers(1, 2), creeps=st.booleans())
    def car_says(self, may_drive: bool, epoch: int, creeps: bool) -> None:
        self.hands.gate = Gate(may_drive=may_drive, may_be_armed=may_drive, epoch=(epoch,), creeps=creeps)

    @rule(after_ms=st.sampled_from([0.0, 1.0, 20.0, 20.0, 20.0, 99.0, 101.0, 600.0, 6000.0]))
    def tick(self, after_ms: float) -> None:
        gate = self.hands.gate
        if not gate.may_drive or gate.epoch != self.teleop._epoch:
            self.owes_neutral = True
        decision = self.hands.tick(after_ms)
        stick = self.gamepad or NEUTRAL
        assert abs(decision.throttle) <= self.teleop.limit
        assert abs(decision.steering) <= 1.0
        if self.owes_neutral or not decision.goes_out:
            hands_off = (
                not (self.known_down or self.held_over) and self.dragged.is_neutral and stick.is_neutral
            )
            if not (hands_off and decision.goes_out and gate.may_drive and self.focus is not Focus.AWAY):
                assert wish(decision) == (0.0, 0.0)
            elif decision.goes_out:
                self.owes_neutral = False
        if not self.known_down and self.dragged.is_neutral and stick.is_neutral:
            assert wish(decision) == (0.0, 0.0)  # letting go is at once


TestAnyHands = AnyHands.TestCase
TestAnyHands.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(
    st.lists(st.tuples(st.floats(1, 99), st.sampled_from([None, UP, DOWN, LEFT])), max_size=60),
    st.floats(0.1, 1.0),
)
def test_keys_never_rise_faster_than_the_ramp_nor_above_the_limit(
    steps: list[tuple[float, int | None]], limit: float
) -> None:
    hands = Hands(Teleop(limit))
    hands.teleop.set_focus(Focus.DRIVE)
    hands.tick()
    before = 0.0
    for after_ms, key in steps:
        for other in (UP, DOWN, LEFT):
            hands.teleop.release(other)
        if key is not None:
            hands.press(key)
        throttle = hands.tick(after_ms).throttle
        assert abs(throttle) <= hands.teleop.limit
        risen = abs(throttle) - (abs(before) if throttle * before > 0 else 0.0)
        assert risen <= hands.teleop.limit * max(after_ms, PERIOD_NS / NS_PER_MS) / 400 + 1e-9
        if key not in (UP, DOWN):
            assert throttle == 0.0
        before = throttle
