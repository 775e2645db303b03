"""A chart's line as pixels: whole where it was measured, nothing across a gap, as thick as its pen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from desktop_app.strokes import FINER, coverage, extents

COLUMNS, HEIGHT = 40, 30
POINTS = st.lists(
    st.tuples(st.floats(0, COLUMNS - 0.01), st.floats(2, HEIGHT - 2)), min_size=2, max_size=60
).map(sorted)


def drawn(x: list[float], y: list[float], pen: float = 2.0) -> NDArray[np.uint8]:
    """x in pixels."""
    least, most = extents(np.array(x) * FINER, np.array(y, float), COLUMNS * FINER)
    return coverage(least, most, HEIGHT, pen)


def test_a_level_line_is_as_thick_as_its_pen_and_has_no_holes() -> None:
    pixels = drawn([0, 10, COLUMNS], [15.25, 15.25, 15.25])
    assert pixels.shape == (HEIGHT, COLUMNS)
    thickness = pixels.sum(axis=0) / 255
    assert thickness == pytest.approx(np.full(COLUMNS, 2.0), abs=0.02)
    assert (pixels[15] == 255).all()


def test_nothing_is_drawn_across_a_gap() -> None:
    pixels = drawn([0, 10, 11, 30, 39], [15, 15, np.nan, 15, 15])
    assert (pixels[15, :10] == 255).all() and (pixels[15, 31:39] == 255).all()
    assert not pixels[:, 12:28].any()  # but for the pen's own width


def test_a_spike_narrower_than_a_pixel_keeps_its_height() -> None:
    pixels = drawn([0, 20.1, 20.2, 20.3, 39], [25, 25, 5, 25, 25])
    assert (pixels[6:25, 20] > 100).all()


def test_what_lies_left_of_the_plot_is_only_where_its_line_comes_from() -> None:
    pixels = drawn([-20, 20], [0, 20])
    assert pixels[:, 0].any() and pixels[9:12, 0].any()
    assert not pixels[:8, :].any()


@given(POINTS)
def test_every_point_is_seen_and_the_line_is_one_piece(points: list[tuple[float, float]]) -> None:
    x, y = [p[0] for p in points], [p[1] for p in points]
    pixels = drawn(x, y)
    for px, py in points:
        assert pixels[int(py), int(px)] > 0
    rows = [np.flatnonzero(pixels[:, column]) for column in range(int(x[0]), int(x[-1]) + 1)]
    for covered, following in itertools.pairwise(rows):
        assert len(covered) == covered[-1] - covered[0] + 1
        assert covered[0] <= following[-1] + 1 and following[0] <= covered[-1] + 1


def test_no_samples_are_no_line() -> None:
    assert not drawn([], []).any()
    assert not drawn([3.0], [np.nan]).any()
