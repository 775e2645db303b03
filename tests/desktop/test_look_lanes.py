"""The charts' memory: nothing across a gap, nothing lost that is seen, no more than a pixel needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_app.lanes import LONGEST_S, Lane, LaneInfo, lanes_of
from desktop_app.view import Sample
from pynet_car.messages import Description, ReadingState, StreamInfo
from tests.desktop.look_views import BEARINGS, DESCRIPTION

NOW_S = 1000.0


def info(period_s: float = 0.05, low: float = 0.0, high: float = 3.0) -> LaneInfo:
    return LaneInfo("proximity", "front", "Front", "m", "m · proximity", period_s, low, high)


def lane(points: list[tuple[float, float | ReadingState]], **kind: float) -> Lane:
    """A lane of (seconds ago, value or state)."""
    made = Lane(info(**kind))
    for ago_s, value in points:
        state = value if isinstance(value, ReadingState) else ReadingState.OK
        number = 3.0 if isinstance(value, ReadingState) else value
        made.add(Sample(stream="proximity", channel="front", at_s=NOW_S - ago_s, value=number, state=state))
    return made


def steady(
    from_ago: float, to_ago: float, value: float | ReadingState = 1.0
) -> list[tuple[float, float | ReadingState]]:
    return [(float(ago), value) for ago in np.arange(from_ago, to_ago, -0.05)]


def test_every_number_of_the_robot_gets_a_lane_motion_first() -> None:
    lanes = lanes_of(DESCRIPTION)
    assert [lane.title for lane in lanes[:2]] == ["Wheel speed", "Yaw rate"]
    assert len(lanes) == 2 + len(BEARINGS) + 1
    assert lanes[2].title == "Front left" and lanes[2].under == "m · proximity"


def test_a_broken_plugin_and_a_camera_get_no_lane() -> None:
    streams = (
        StreamInfo(name="camera", title="Camera", unit="jpeg", period_s=0.03),
        StreamInfo(name="imu", title="imu", unit="", period_s=0.0, state="OSError: no such device"),
    )
    description = Description(
        name="r",
        board="b",
        simulated=True,
        has_camera=True,
        streams=streams,
        max_throttle=1.0,
        lifespan_ms=200,
        version="",
    )
    assert lanes_of(description) == ()
    assert lanes_of(None) == ()


def test_no_line_crosses_a_silence() -> None:
    trace = lane([*steady(20, 12), *steady(5, 0)]).trace(NOW_S, 30, 400)
    breaks = np.flatnonzero(np.isnan(trace.x))
    assert len(breaks) == 1
    assert trace.x[breaks[0] - 1] == pytest.approx(-12, abs=0.2)
    assert trace.x[breaks[0] + 1] == pytest.approx(-5, abs=0.2)


@pytest.mark.parametrize("state", [ReadingState.FAULT, ReadingState.STALE])
def test_a_fault_is_a_hatched_stretch_and_no_line(state: ReadingState) -> None:
    trace = lane([*steady(20, 12), *steady(12, 8, state), *steady(8, 0)]).trace(NOW_S, 30, 400)
    ((start, end),) = trace.bad
    assert (start, end) == pytest.approx((-12, -8), abs=0.1)
    assert not trace.clear
    shown = trace.x[~np.isnan(trace.x)]
    assert not ((shown > -11.9) & (shown < -8.1)).any()


def test_out_of_range_is_at_the_rim_not_a_value() -> None:
    trace = lane([*steady(20, 12), *steady(12, 0, ReadingState.OUT_OF_RANGE)]).trace(NOW_S, 30, 400)
    ((start, end),) = trace.clear
    assert (start, end) == pytest.approx((-12, 0), abs=0.3)
    assert trace.newest_is_clear
    assert np.nanmax(trace.x) < -11.9


def test_silence_until_now_is_hatched_and_has_no_newest_value() -> None:
    trace = lane(steady(20, 3)).trace(NOW_S, 30, 400)
    assert trace.newest is None
    start, end = trace.bad[-1]
    assert (start, end) == pytest.approx((-3, 0), abs=0.1)


def test_what_was_not_finite_is_a_fault() -> None:
    made = lane(steady(5, 0.1))
    for wrong in (math.nan, math.inf, -math.inf):
        made.add(Sample(stream="proximity", channel="front", at_s=NOW_S, value=wrong))
    trace = made.trace(NOW_S, 30, 400)
    assert trace.newest is None
    assert np.isfinite(trace.y[~np.isnan(trace.x)]).all()


@given(
    st.lists(
        st.tuples(st.floats(0, 40), st.floats(-1e6, 1e6), st.sampled_from(list(ReadingState))), max_size=200
    ),
    st.integers(10, 900),
)
def test_any_samples_can_be_drawn(points: list[tuple[float, float, ReadingState]], columns: int) -> None:
    made = Lane(info(low=0.0, high=0.0))
    for ago_s, value, state in points:
        made.add(Sample(stream="s", channel="c", at_s=NOW_S - ago_s, value=value, state=state))
    trace = made.trace(NOW_S, 30, columns)
    assert len(trace.x) == len(trace.y)
    assert trace.high > trace.low
    x = trace.x[~np.isnan(trace.x)]
    assert (np.diff(x) >= -30 / columns).all()
    for stretch in (*trace.clear, *trace.bad):
        assert stretch[0] <= stretch[1] and stretch[0] >= -30.001


@given(st.integers(20, 800), st.integers(0, 2**32 - 1))
def test_thinning_keeps_each_columns_lowest_and_highest(columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=3000)
    made = Lane(info(period_s=0.01, low=0.0, high=0.0))
    for i, value in enumerate(values):
        made.add(Sample(stream="s", channel="c", at_s=NOW_S - 30 + i * 0.01, value=float(value)))
    trace = made.trace(NOW_S, 30, columns)
    assert np.nanmax(trace.y) == np.max(values)
    assert np.nanmin(trace.y) == np.min(values)
    assert len(trace.x) <= max(3000 if columns * 2 >= 3000 else 0, 2 * (columns + 2))


def test_the_thinned_line_does_not_shimmer_when_time_moves_on() -> None:
    made = Lane(info(period_s=0.01, low=0.0, high=0.0))
    for i in range(6000):
        made.add(Sample(stream="s", channel="c", at_s=NOW_S - 60 + i * 0.01, value=math.sin(i)))
    one, other = made.trace(NOW_S, 30, 100), made.trace(NOW_S + 0.05, 30, 100)
    same = np.intersect1d(np.round(one.x, 6), np.round(other.x + 0.05, 6))
    assert len(same) >= 0.95 * len(one.x)


def test_memory_is_flat_and_the_newest_ten_minutes_stay() -> None:
    made = Lane(info(period_s=0.1))
    for i in range(3 * int(LONGEST_S / 0.1)):
        made.add(Sample(stream="s", channel="c", at_s=i * 0.1, value=1.0))
    end = 3 * LONGEST_S
    trace = made.trace(end, LONGEST_S, 100)
    assert len(made._times) == math.ceil(LONGEST_S / 0.1) + 64
    assert np.nanmin(trace.x) == pytest.approx(-LONGEST_S, abs=10)


def test_a_stamp_that_jumps_back_does_not_fold_the_line() -> None:
    trace = lane([(10.0, 1.0), (9.95, 1.0), (12.0, 2.0), (9.9, 1.0)]).trace(NOW_S, 30, 400)
    assert (np.diff(trace.x[~np.isnan(trace.x)]) >= 0).all()


def test_the_scale_is_the_manifests_else_whole_steps_around_what_is_seen() -> None:
    assert lane(steady(5, 0)).trace(NOW_S, 30, 100).high == 3.0
    seen = lane([(1.0, 0.3), (0.9, 1.34)], low=0.0, high=0.0).trace(NOW_S, 30, 100)
    assert (seen.low, seen.high) == (0.0, 2.0)
