"""Where the car was: between two odometries, beyond the newest, and when the encoders begin anew."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from pynet_car.messages import Odometry, ReadingState
from pynet_car.trail import BEYOND_NS, MEMORY_NS, Trail

MS = 1_000_000


def odometry(
    ms: int, x_m: float = 0.0, *, mps: float = 0.0, heading: float = 0.0, turn: float = 0.0
) -> Odometry:
    return Odometry(
        seq=ms,
        captured_ns=ms * MS,
        left_ticks=0,
        right_ticks=0,
        distance_m=x_m,
        x_m=x_m,
        y_m=0.0,
        heading_rad=heading,
        velocity_mps=mps,
        yaw_rate_radps=turn,
    )


def driven() -> Trail:
    """At 1 m/s along x since 1 s, told every 20 ms, up to 2 s."""
    trail = Trail()
    for ms in range(1000, 2001, 20):
        trail.add(odometry(ms, (ms - 1000) / 1000, mps=1.0))
    return trail


@pytest.mark.parametrize("ms", [1000, 1001, 1490, 1999, 2000, 2013])
def test_between_two_odometries_and_a_little_after_the_newest_it_is_where_it_was(ms: int) -> None:
    place = driven().at(ms * MS)
    assert place is not None
    assert (place.ns, place.y_m, place.heading_rad) == (ms * MS, 0.0, 0.0)
    assert place.x_m == place.rolled_m == pytest.approx((ms - 1000) / 1000)


def test_beyond_the_newest_it_turns_on_too() -> None:
    trail = Trail()
    trail.add(odometry(1000, mps=2.0, turn=1.0))
    place = trail.at(1100 * MS)
    assert place is not None
    assert place.heading_rad == pytest.approx(0.1)
    assert (place.x_m, place.y_m) == pytest.approx((0.2 * math.cos(0.05), 0.2 * math.sin(0.05)))


def test_nobody_knows_what_was_before_the_first_and_is_long_after_the_last() -> None:
    trail = driven()
    assert Trail().at(5) is None
    assert trail.at(1000 * MS - 1) is None
    assert trail.at(2000 * MS + BEYOND_NS + 1) is None


def test_it_remembers_two_seconds_and_no_more() -> None:
    trail = Trail()
    for ms in range(0, 10_000, 20):
        trail.add(odometry(ms))
    assert trail.at(9980 * MS - MEMORY_NS) is not None
    assert trail.at(9980 * MS - MEMORY_NS - 1) is None
    assert trail.breaks == 0


def test_going_backward_is_rolled_too() -> None:
    trail = Trail()
    for ms, x in ((0, 0.0), (100, 0.3), (200, 0.1)):
        trail.add(odometry(ms, x))
    place = trail.at(200 * MS)
    assert place is not None
    assert place.rolled_m == pytest.approx(0.5)


@pytest.mark.parametrize(
    "strange",
    [
        odometry(2020, 40.0),
        odometry(2000, 1.0),
        odometry(1900, 1.0),
        replace(odometry(2020, 1.0), seq=1),
        replace(odometry(2020, 1.0), state=ReadingState.FAULT),
        odometry(2020, math.nan),
        odometry(2020, 1.0, mps=math.inf),
        odometry(2020, 1.0, turn=-1e300),
    ],
    ids=["jump", "same", "earlier", "new count", "fault", "nan", "inf", "wild"],
)
def test_what_does_not_follow_breaks_the_trail(strange: Odometry) -> None:
    trail = driven()
    trail.add(strange)
    assert trail.breaks == 1
    assert trail.at(1500 * MS) is None
    trail.add(odometry(3000, 50.0))
    trail.add(odometry(3020, 50.0))
    assert trail.at(3010 * MS) is not None


def test_a_first_place_beyond_all_reckoning_is_none() -> None:
    trail = Trail()
    trail.add(odometry(1000, 1e300))
    assert trail.at(1000 * MS) is None
