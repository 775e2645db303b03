"""The items of one stream that came by several ways, put together again: pure."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_core.errors import OutOfOrder
from pynet_core.shares import Shares


def taken(shares: Shares) -> list[int]:
    return [item[0] for item in iter(shares.take, None) if isinstance(item, tuple)]


def put(shares: Shares, number: int, *idents: int) -> None:
    for ident in idents:
        shares.shares[number].put(ident, b"")


def test_an_ordered_item_waits_until_no_share_can_bring_an_earlier_one() -> None:
    shares = Shares(3, ordered=True)
    put(shares, 0, 0, 3)
    put(shares, 2, 2)
    assert taken(shares) == []
    assert not shares.are_over
    put(shares, 1, 1, 4)
    assert taken(shares) == [0, 1, 2]
    shares.shares[2].is_over = True
    assert taken(shares) == [3]
    shares.shares[0].is_over = True
    assert taken(shares) == [4]
    shares.shares[1].is_over = True
    assert shares.are_over


def test_unordered_items_come_at_once_and_no_share_starves_another() -> None:
    shares = Shares(3, ordered=False)
    put(shares, 1, 1, 4, 7)
    put(shares, 2, 2, 5)
    assert taken(shares) == [1, 2, 4, 5, 7]


def test_equal_idents_come_in_the_order_of_their_shares() -> None:
    shares = Shares(3, ordered=True)
    for number in (2, 0, 1):
        put(shares, number, 0, 1)
        shares.shares[number].is_over = True
    assert taken(shares) == [0, 0, 0, 1, 1, 1]


@given(st.integers(1, 8), st.integers(0, 60), st.integers(0, 2**32))
def test_whatever_comes_first_the_items_are_in_order_and_whole(count: int, end: int, seed: int) -> None:
    shares, chance = Shares(count, ordered=True), random.Random(seed)
    left = {number: list(range(number, end, count)) for number in range(count)}
    got: list[int] = []
    while left:
        number = chance.choice(sorted(left))
        if left[number]:
            put(shares, number, left[number].pop(0))
        else:
            shares.shares[number].is_over = True
            del left[number]
        got += taken(shares)
    assert got == list(range(end))
    assert shares.are_over


@pytest.mark.parametrize("ordered", [True, False])
def test_what_ended_a_share_is_given_behind_its_items_once(ordered: bool) -> None:
    shares = Shares(2, ordered=ordered)
    put(shares, 0, 0, 2)
    put(shares, 1, 1)
    error = KeyError("lens")
    shares.shares[1].is_over, shares.shares[1].error = True, error
    got = list(iter(shares.take, None))
    first, second, third = (0, b""), (1, b""), (2, b"")
    assert got == ([first, second, error, third] if ordered else [first, second, third, error])


def test_a_share_that_is_begun_again_leaves_out_what_has_come_of_it() -> None:
    share = Shares(1, ordered=True).shares[0]
    share.put(5, b"")
    share.put(9, b"")
    share.taken_over_at = share.newest
    assert [share.is_new("s", ident) for ident in (5, 9, 13)] == [False, False, True]


@pytest.mark.parametrize("ident", [9, 8])
def test_idents_that_do_not_rise_are_an_error_that_names_both(ident: int) -> None:
    share = Shares(1, ordered=True).shares[0]
    share.put(9, b"")
    with pytest.raises(OutOfOrder, match=f"share 0 of 'frames' gave ident {ident} after 9"):
        share.is_new("frames", ident)
