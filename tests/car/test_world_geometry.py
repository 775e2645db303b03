"""Tracks and rays: every seed gives a track that can be driven, and sonars measure it truly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_car.world import DEFAULT_SEED
from pynet_car.world.ranges import cast, echo_ns, sonar_ranges
from pynet_car.world.track import BARRIER_M, CONE_M, MIN_RADIUS_M, Box, Track
from pynet_car.world.wiring import NO_ECHO_NS, SOUND_MPS, WIRING

TRACK = Track(DEFAULT_SEED)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_every_seed_grows_a_closed_track_that_a_car_can_drive(seed: int) -> None:
    track = Track(seed)
    gaps = np.hypot(*(np.roll(track.centre, -1, axis=0) - track.centre).T)
    assert gaps == pytest.approx(np.full(track.count, track.spacing_m), rel=1e-3)  # the last gap closes it
    assert np.hypot(*track.tangent.T) == pytest.approx(np.ones(track.count))
    assert np.abs(track.curvature).max() <= 1 / MIN_RADIUS_M
    assert 10 < track.length_m < 30
    # The heading turns by one whole turn, as its curvature says.
    turned = np.sum(track.curvature) * track.spacing_m
    assert abs(turned) == pytest.approx(2 * math.pi, rel=1e-3)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_barriers_and_cones_stand_clear_of_the_lane_everywhere(seed: int) -> None:
    track = Track(seed)
    middles = (track.barriers[:, :2] + track.barriers[:, 2:]) / 2
    for x, y in middles.tolist():
        assert abs(track.locate(x, y).cross_track_m) == pytest.approx(BARRIER_M, abs=0.03)
    for x, y in track.cones.tolist():
        assert abs(track.locate(x, y).cross_track_m) == pytest.approx(CONE_M, abs=0.001)


def test_the_same_seed_grows_the_same_track_and_another_another() -> None:
    again, other = Track(DEFAULT_SEED), Track(DEFAULT_SEED + 1)
    assert np.array_equal(again.centre, TRACK.centre)
    assert np.array_equal(again.cones, TRACK.cones)
    assert not np.array_equal(other.centre[:100], TRACK.centre[:100])


@given(share=st.floats(0, 1), cross_track_m=st.floats(-0.6, 0.6), slip=st.integers(-30, 30))
def test_a_place_is_found_where_it_was_put(share: float, cross_track_m: float, slip: int) -> None:
    sample = round(share * TRACK.count) % TRACK.count
    x, y, _ = TRACK.point(sample * TRACK.spacing_m, cross_track_m)
    for hint in (None, sample + slip):
        place = TRACK.locate(x, y, hint)
        assert place.cross_track_m == pytest.approx(cross_track_m, abs=2e-3)
        off_m = (place.arc_m - sample * TRACK.spacing_m + 1) % TRACK.length_m - 1
        assert off_m == pytest.approx(0, abs=0.01)
        assert 0 <= place.arc_m < TRACK.length_m


@given(bearing=st.floats(-1.3, 1.3), wall_m=st.floats(0.05, 3.0))
def test_a_ray_measures_the_distance_to_a_wall_across_its_way(bearing: float, wall_m: float) -> None:
    pieces = np.arange(-20, 20, 0.25)
    walls = np.column_stack(
        (np.full_like(pieces, wall_m), pieces, np.full_like(pieces, wall_m), pieces + 0.25)
    )
    (measured,) = cast(0.0, 0.0, np.array([bearing]), walls, 4.0).tolist()
    assert measured == pytest.approx(min(4.0, wall_m / math.cos(bearing)), abs=1e-9)


def test_a_ray_sees_nothing_behind_it_beside_it_or_parallel_to_it() -> None:
    walls = np.array(
        [(-1.0, -0.1, -1.0, 0.1), (1.0, 0.1, 1.0, 0.3), (0.5, 0.0, 0.9, 0.0), (9.0, -1.0, 9.0, 1.0)]
    )
    assert cast(0.0, 0.0, np.array([0.0]), walls, 4.0).tolist() == [4.0]
    assert cast(0.0, 0.0, np.array([0.0]), np.empty((0, 4)), 4.0).tolist() == [4.0]


def test_sonars_measure_from_the_nose_to_the_nearest_thing_in_their_beam() -> None:
    walls = Box(2.0, 0.0).sides
    front_left = [sonar.bearing_deg for sonar in WIRING.sonars].index(15.0)
    ranges = sonar_ranges(0.0, 0.0, math.radians(-15.0), WIRING, walls)  # it looks straight along x
    nose_x_m = WIRING.sonar_forward_m * math.cos(math.radians(15.0))
    assert ranges[front_left] == pytest.approx(2.0 - 0.13 - nose_x_m)
    assert ranges[0] == math.inf


@pytest.mark.parametrize(("range_m", "width_ns"), [(math.inf, NO_ECHO_NS), (SOUND_MPS / 2, 1_000_000_000)])
def test_an_echo_takes_the_way_out_and_back(range_m: float, width_ns: int) -> None:
    assert echo_ns(range_m) == width_ns


def test_nothing_in_range_echoes_longer_than_anything_in_range() -> None:
    assert echo_ns(WIRING.sonar_range_m) < NO_ECHO_NS
