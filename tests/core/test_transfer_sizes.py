"""How much a pair asks for at a time: what takes a quarter of a second, little at first."""

from __future__ import annotations

from pynet_core.transfer.messages import MAX_PACK_BYTES
from pynet_core.transfer.sizes import MAX_RANGE_BYTES, UNIT_S, Sizes
from pynet_core.transfer.stock import LAST_PACK_BYTES, MIN_RANGE_BYTES


def sizes_after(rate: float, units: int) -> Sizes:
    """So many units of a pack have come, at so many bytes a second."""
    sizes, now_s = Sizes(), 1000.0
    for _ in range(units):
        sizes.done(sizes.pack_bytes, now_s, packed=True)
        now_s += sizes.pack_bytes / rate
    return sizes


def test_a_pair_begins_with_little_and_a_fast_one_doubles_that_each_time() -> None:
    assert Sizes().pack_bytes == LAST_PACK_BYTES
    assert [sizes_after(1e9, units).pack_bytes for units in (1, 2, 3, 4, 9)] == [
        LAST_PACK_BYTES,
        2 * LAST_PACK_BYTES,
        4 * LAST_PACK_BYTES,
        MAX_PACK_BYTES,
        MAX_PACK_BYTES,
    ]


def test_a_slow_pair_gets_what_takes_it_a_quarter_of_a_second() -> None:
    assert abs(sizes_after(1e6, 20).pack_bytes - 1e6 * UNIT_S) < 10
    assert sizes_after(1e5, 20).pack_bytes == LAST_PACK_BYTES  # at least


def test_ranges_are_whole_megabytes_and_no_more_than_the_most() -> None:
    sizes, now_s = Sizes(), 1000.0
    seen = []
    for _ in range(8):
        sizes.done(sizes.range_bytes, now_s, packed=False)
        seen.append(sizes.range_bytes)
        now_s += sizes.range_bytes / 1e9
    assert seen[0] == MIN_RANGE_BYTES
    assert seen[-1] == MAX_RANGE_BYTES
    assert all(each % (1 << 20) == 0 for each in seen)


def test_a_pause_is_not_taken_for_a_slow_link() -> None:
    sizes = sizes_after(1e9, 9)
    sizes.pause()
    sizes.done(1000, 9e9, packed=True)
    assert sizes.pack_bytes == MAX_PACK_BYTES


def test_packs_that_come_fast_make_no_range_larger() -> None:
    """A range that is cut off is lost: the first of a large file is small, whatever came before it."""
    assert sizes_after(1e9, 9).range_bytes == MIN_RANGE_BYTES
