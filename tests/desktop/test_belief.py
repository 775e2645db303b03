"""What the window may believe of the car."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.belief import DropGauge, LinkGauge, assumed_state
from desktop_app.view import Quality
from pynet_car.messages import State, Status


def status(state: State) -> Status:
    return Status(boot=1, stamp_ns=1, state=state, reason="because")


@pytest.mark.parametrize("state", State)
def test_a_fresh_status_is_believed(state: State) -> None:
    assert assumed_state(status(state), 0.3) is state


@pytest.mark.parametrize(
    ("told", "age_s", "believed"),
    [
        (State.ARMED, 0.31, State.FAILSAFE),
        (State.ARMED, 2.1, State.FAILSAFE),
        (State.ARMED, 2.3, State.DISARMED),
        (State.FAILSAFE, 1.0, State.FAILSAFE),
        (State.FAILSAFE, 2.3, State.DISARMED),
        (State.ARMING, 2.3, State.DISARMED),
        (State.DISARMED, 3600.0, State.DISARMED),
        (State.E_STOP, 3600.0, State.E_STOP),
    ],
)
def test_an_old_status_is_led_on_by_the_guardians_rules(told: State, age_s: float, believed: State) -> None:
    assert assumed_state(status(told), age_s) is believed


@given(st.sampled_from(State), st.floats(0.3001, 1e6))
def test_an_old_status_never_says_armed(told: State, age_s: float) -> None:
    assert assumed_state(status(told), age_s) is not State.ARMED


@pytest.mark.parametrize(
    ("age_s", "believed"),
    [
        (0.31, State.ARMED),
        (1.5, State.ARMED),
        (1.51, State.FAILSAFE),
        (3.4, State.FAILSAFE),
        (3.6, State.DISARMED),
    ],
)
def test_a_car_on_a_path_is_taken_to_drive_as_long_as_the_path_may(age_s: float, believed: State) -> None:
    following = Status(boot=1, stamp_ns=1, state=State.ARMED, reason="because", path_left_m=2.0)
    assert assumed_state(following, age_s) is believed


def gauge_with_gap(gap_s: float) -> tuple[LinkGauge, float]:
    gauge = LinkGauge()
    now_s = 100.0
    for _ in range(20):
        gauge.arrived(now_s)
        now_s += 0.02
    now_s += gap_s - 0.02
    gauge.arrived(now_s)
    return gauge, now_s


@pytest.mark.parametrize(
    ("gap_s", "quality"),
    [(0.09, Quality.GOOD), (0.12, Quality.FAIR), (0.2, Quality.WEAK), (0.4, Quality.BAD)],
)
def test_quality_is_the_worst_gap_in_ten_seconds(gap_s: float, quality: Quality) -> None:
    gauge, now_s = gauge_with_gap(gap_s)
    assert gauge.quality(now_s) is quality
    while now_s < 115.0:
        now_s += 0.02
        gauge.arrived(now_s)
    assert gauge.quality(now_s) is Quality.GOOD


def test_300_ms_of_silence_are_lost() -> None:
    gauge, now_s = gauge_with_gap(0.02)
    assert gauge.quality(now_s + 0.29) is Quality.BAD
    assert gauge.quality(now_s + 0.31) is Quality.LOST
    assert LinkGauge().quality(5.0) is Quality.LOST


@given(st.lists(st.floats(0.001, 3.0), min_size=1, max_size=200))
def test_the_worst_gap_is_the_worst_of_the_window(gaps_s: list[float]) -> None:
    gauge, now_s, arrivals = LinkGauge(), 0.0, [0.0]
    gauge.arrived(0.0)
    for gap_s in gaps_s:
        now_s += gap_s
        gauge.arrived(now_s)
        arrivals.append(now_s)
    ended = [b - a for a, b in itertools.pairwise(arrivals) if now_s - b <= 10.0]
    assert gauge.worst_gap_s(now_s) == max(ended)


def test_the_history_begins_with_the_first_ping_not_with_silence() -> None:
    gauge = LinkGauge()
    gauge.arrived(1.0)
    gauge.look(1.1, None)
    assert gauge.history(1.1) == ()
    gauge.look(1.2, 24.0)
    assert [rtt_ms for _, rtt_ms in gauge.history(1.2)] == [24.0]


def test_the_history_keeps_30_s_and_shows_silence_as_none() -> None:
    gauge = LinkGauge()
    for i in range(1000):
        now_s = i * 0.1
        if i < 950:
            gauge.arrived(now_s)
        gauge.look(now_s, 24.0)
    history = gauge.history(now_s)
    assert 58 <= len(history) <= 61
    assert history[0][0] <= 30.0
    assert history[0][1] == 24.0
    assert history[-1][1] is None


def test_the_dropped_share_counts_the_numbers_that_are_missing() -> None:
    gauge = DropGauge()
    assert gauge.share() is None
    for i in range(0, 100, 2):
        gauge.shown(i * 0.033, i)
    share = gauge.share()
    assert share is not None
    assert 0.48 < share < 0.52
    gauge.shown(4.0, 3)  # a camera started anew is not a million pictures lost
    assert gauge.share() is None
