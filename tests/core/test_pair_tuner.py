"""How many pairs a transfer takes: as many as have made it faster."""

from __future__ import annotations

from pynet_core.transfer.carriers import FIRST_PAIRS, MOST_PAIRS, PairTuner


def pairs_after(rates: list[float], opening_s: float = 0.05) -> list[int]:
    """Of each half second, in which so many bytes a second come; looked at five times."""
    tuner, now_s, done, pairs = PairTuner(), 1000.0, 1.0, []
    for rate in rates:
        for _ in range(5):
            tuner.more(now_s, int(done), opening_s)
            now_s += 0.1
            done += rate / 10
        pairs.append(tuner.pairs)
    return pairs


def test_pairs_are_added_while_the_last_have_made_it_faster() -> None:
    assert pairs_after([1e6, 4e6, 16e6, 64e6])[-1] == MOST_PAIRS


def test_pairs_that_make_it_no_faster_are_the_last() -> None:
    assert pairs_after([1e6] * 10)[1:] == [2 * FIRST_PAIRS] * 9


def test_over_a_long_way_a_pair_gets_the_time_to_start_before_others_come() -> None:
    """One that comes while the others still grow brings the last pieces alone."""
    assert pairs_after([1e6, 2e6, 4e6], opening_s=0.41) == [FIRST_PAIRS] * 3
    assert pairs_after([1e6, 2e6, 4e6] + [5e6] * 5, opening_s=0.41)[-1] > FIRST_PAIRS


def test_a_pair_that_would_begin_when_all_is_nearly_done_is_not_opened() -> None:
    tuner = PairTuner()
    tuner.more(1000.0, 1)
    assert tuner.more(1000.5, 2_000_000, 0.05, left_bytes=1_000_000) == 0
    other = PairTuner()
    other.more(1000.0, 1)
    assert other.more(1000.5, 2_000_000, 0.05, left_bytes=100_000_000) > 0
