"""Where things stand: nothing overlaps, nothing leaves the window, the numbers of the layout hold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from desktop_app.arrangement import Arrangement, Box, arrange, granted_scale, sheet_box

WIDTHS = st.integers(640, 3840)
HEIGHTS = st.integers(400, 2160)
ZOOMS = st.sampled_from([1.0, 1.25, 1.5])


def bar_slots(plan: Arrangement) -> list[Box]:
    slots = [plan.chip, plan.link_badge, plan.lease, plan.banner, plan.e_stop]
    return [*slots, plan.menu] if plan.menu else slots


def regions(plan: Arrangement) -> list[Box]:
    return [box for box in (plan.bar, plan.picture, plan.panel, *plan.left, *plan.right) if box]


@given(WIDTHS, HEIGHTS, ZOOMS, st.booleans(), st.booleans(), st.floats(0, 2000))
def test_nothing_overlaps_or_leaves_the_window(
    width: int, height: int, zoom: float, left: bool, panel: bool, panel_height: float
) -> None:
    plan = arrange(width, height, zoom=zoom, shows_left=left, shows_panel=panel, panel_height=panel_height)
    room = Box(0, 0, width / plan.scale + 0.01, height / plan.scale + 0.01)
    for box in (*regions(plan), *bar_slots(plan)):
        assert box.width > 0 and box.height > 0
        assert box.x >= 0 and box.y >= 0 and box.right <= room.right and box.bottom <= room.bottom
    for one, other in itertools.combinations(regions(plan), 2):
        assert not one.meets(other)
    for one, other in itertools.combinations(bar_slots(plan), 2):
        assert not one.meets(other)


@given(WIDTHS, HEIGHTS, ZOOMS)
def test_nothing_ever_covers_the_top_bar_or_the_right_column(width: int, height: int, zoom: float) -> None:
    plan = arrange(width, height, zoom=zoom)
    for cover in filter(None, (plan.sheet, plan.drawer)):
        assert not cover.meets(plan.bar)
        assert not any(cover.meets(box) for box in plan.right)


@given(WIDTHS, HEIGHTS, ZOOMS, st.floats(0, 2000))
@example(1911, 1140, 1.5, 0.0)
def test_the_picture_is_never_smaller_than_the_look_says(
    width: int, height: int, zoom: float, panel_height: float
) -> None:
    plan = arrange(width, height, zoom=zoom, panel_height=panel_height)
    assert plan.picture.width >= 640 - 0.01
    assert plan.picture.height >= 475 - 0.01


def test_the_usual_window_is_the_looks() -> None:
    plan = arrange(1440, 900)
    assert not plan.is_compact
    assert plan.picture == Box(280, 76, 800, 600)
    assert plan.panel == Box(280, 688, 800, 200)
    assert [box.width for box in plan.left] == [256, 256]
    assert [box.width for box in plan.right] == [336, 336, 336]
    assert plan.e_stop == Box(1252, 8, 176, 48)
    assert plan.banner.x == 464


def test_the_smallest_window_is_the_looks() -> None:
    plan = arrange(1024, 600)
    assert plan.is_compact and plan.panel is None and not plan.left
    assert plan.picture == Box(8, 60, 708, 532)
    assert [box.height for box in plan.right] == [240, 220, 56]
    assert plan.e_stop == Box(880, 8, 136, 36)
    assert plan.drawer is not None and plan.drawer.height == 240


@pytest.mark.parametrize("size, is_compact", [((1240, 760), False), ((1239, 760), True), ((1240, 759), True)])
def test_the_full_layout_starts_at_1240_by_760(size: tuple[int, int], is_compact: bool) -> None:
    assert arrange(*size).is_compact is is_compact


def test_at_1920_the_columns_take_what_a_4_to_3_picture_cannot_use() -> None:
    plan = arrange(1920, 1080)
    assert 256 < plan.left[0].width <= 400
    assert plan.right[0].width == 440
    assert plan.picture.width >= plan.picture.height * 4 / 3


def test_zoom_is_granted_as_far_as_the_window_has_room() -> None:
    assert granted_scale(1024, 600, 1.5) == 1.0
    assert granted_scale(800, 480, 1.5) == 800 / 1024
    assert granted_scale(1920, 1080, 1.5) == 1.5
    assert 1.0 < granted_scale(1440, 900, 1.5) < 1.5
    assert arrange(1440, 900, zoom=1.5).is_compact  # 150 % uses the compact layout sooner


@given(WIDTHS, HEIGHTS, st.booleans(), st.booleans())
def test_banner_and_e_stop_never_move_with_what_is_shown(
    width: int, height: int, left: bool, panel: bool
) -> None:
    one = arrange(width, height)
    other = arrange(width, height, shows_left=left, shows_panel=panel)
    full = arrange(width, height, is_full_picture=True)
    assert one.banner == other.banner == full.banner
    assert one.e_stop == other.e_stop == full.e_stop


@given(WIDTHS, HEIGHTS, st.floats(100, 3000))
def test_a_sheet_stays_in_its_area_and_under_its_largest_size(width: int, height: int, wanted: float) -> None:
    area = arrange(width, height).sheet
    box = sheet_box(area, wanted)
    assert box.width <= 900 and box.height <= 634
    assert box.x >= area.x and box.right <= area.right + 0.5
    assert box.y >= area.y and box.bottom <= area.bottom + 0.5
