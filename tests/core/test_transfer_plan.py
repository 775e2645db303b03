"""plan and ledger: every byte of every file goes out once, whoever dies; pure."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_core.errors import FilesError
from pynet_core.transfer.ledger import Ledger
from pynet_core.transfer.messages import Offered, Version
from pynet_core.transfer.plan import PIECE_BYTES, Piece, count, cut, plan


def offered(path: str, size: int = 1) -> Offered:
    name = path.rpartition("/")[2]
    return Offered(path=path.encode(), name=name.encode(), version=Version(size=size, mtime_ns=0))


def ledger_of(*sizes: int, piece_bytes: int = 10) -> Ledger:
    return Ledger((cut(file, size, piece_bytes), count(size, piece_bytes)) for file, size in enumerate(sizes))


# The plan


def test_files_are_planned_in_the_order_offered() -> None:
    planned, refused = plan([offered("/b/z"), offered("/a/y"), offered("/c/x")])
    assert [(one.path, one.name) for one in planned] == [(b"/b/z", "z"), (b"/a/y", "y"), (b"/c/x", "x")]
    assert not refused


def test_two_files_of_one_name_are_an_error_that_names_both() -> None:
    with pytest.raises(FilesError) as caught:
        plan([offered("/a/x"), offered("/b/y"), offered("/b/x")])
    assert list(caught.value.failed) == ["/b/x"]
    assert "/a/x" in str(caught.value)
    assert caught.value.arrived == []


def test_a_name_that_may_not_be_used_costs_its_own_file_only() -> None:
    evil = Offered(path=b"/a/b", name=b"../b", version=Version(size=1, mtime_ns=0))
    planned, refused = plan([offered("/a/x"), evil])
    assert [one.name for one in planned] == ["x"]
    assert [one.path for one in refused] == [b"/a/b"]


@given(st.integers(0, 10_000), st.integers(1, 700))
def test_pieces_cover_the_file_once_in_order(size: int, piece_bytes: int) -> None:
    pieces = list(cut(7, size, piece_bytes))
    at = 0
    for piece in pieces:
        assert piece.file == 7
        assert piece.offset == at
        assert 0 < piece.length <= piece_bytes or size == 0
        at += piece.length
    assert at == size
    assert len(pieces) == count(size, piece_bytes)


def test_a_file_of_any_claimed_size_costs_nothing_until_it_is_asked_for() -> None:
    huge = 2**63 - 1
    ledger = Ledger([(cut(0, huge), count(huge))])
    assert ledger.take("pair", wait=False) == Piece(0, 0, PIECE_BYTES)


# The ledger


def drain(ledger: Ledger, pair: object) -> Iterator[Piece]:
    while (piece := ledger.take(pair, wait=False)) is not None:
        yield piece


def test_a_file_is_whole_with_its_last_piece_and_only_then() -> None:
    ledger = ledger_of(25, 0, 10)
    done = {piece: ledger.done("pair", piece) for piece in drain(ledger, "pair")}
    assert done == {
        Piece(0, 0, 10): False,
        Piece(0, 10, 10): False,
        Piece(0, 20, 5): True,
        Piece(1, 0, 0): True,
        Piece(2, 0, 10): True,
    }


def test_of_a_dropped_file_nothing_more_goes_out_and_nothing_counts() -> None:
    ledger = ledger_of(30, 10)
    out = [ledger.take("pair", wait=False), ledger.take("pair", wait=False)]
    ledger.drop(0)
    assert [ledger.done("pair", piece) for piece in out if piece] == [False, False]
    assert list(drain(ledger, "pair")) == [Piece(1, 0, 10)]


def test_what_a_dead_pair_held_goes_out_first_and_in_order() -> None:
    ledger = ledger_of(60)
    for pair in ("a", "a", "b"):
        ledger.take(pair, wait=False)
    ledger.give_back("a")
    assert [piece.offset for piece in drain(ledger, "b")] == [0, 10, 30, 40, 50]


def test_dropped_pieces_are_not_given_back() -> None:
    ledger = ledger_of(20, 10)
    ledger.take("a", wait=False)
    ledger.drop(0)
    ledger.give_back("a")
    assert list(drain(ledger, "b")) == [Piece(1, 0, 10)]


def in_a_thread(function: object) -> tuple[threading.Thread, list[Piece | None]]:
    got: list[Piece | None] = []
    thread = threading.Thread(target=lambda: got.append(function()), daemon=True)  # type: ignore[operator]
    thread.start()
    return thread, got


def test_an_idle_pair_waits_for_the_piece_a_dying_one_gives_back() -> None:
    ledger = ledger_of(10)
    held = ledger.take("a", wait=True)
    thread, got = in_a_thread(lambda: ledger.take("b", wait=True))
    thread.join(0.05)
    assert thread.is_alive()
    ledger.give_back("a")
    thread.join(5)
    assert got == [held]


@pytest.mark.parametrize("how", ["done", "drop"])
def test_an_idle_pair_is_let_go_when_all_is_over(how: str) -> None:
    ledger = ledger_of(10)
    held = ledger.take("a", wait=True)
    assert held is not None
    thread, got = in_a_thread(lambda: ledger.take("b", wait=True))
    if how == "done":
        ledger.done("a", held)
    else:
        ledger.drop(0)
    thread.join(5)
    assert got == [None]


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 100), max_size=8),
    st.integers(1, 6),
    st.integers(0, 5),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_every_piece_arrives_once_though_pairs_die(
    sizes: list[int], pairs: int, deaths: int, window: int, rng: random.Random
) -> None:
    """Each pair holds up to `window` pieces, as Receivers do; at least one pair lives."""
    ledger = ledger_of(*sizes)
    arrived: list[Piece] = []
    whole: list[int] = []
    lock = threading.Lock()

    def work(pair: int, dies_after: int | None) -> None:
        held: list[Piece] = []
        for step in itertools.count():
            if step == dies_after:
                ledger.give_back(pair)
                return
            while len(held) < window and (piece := ledger.take(pair, wait=not held)):
                held.append(piece)
            if not held:
                return
            piece = held.pop(0)
            with lock:
                arrived.append(piece)
                if ledger.done(pair, piece):
                    whole.append(piece.file)

    doomed = [rng.randint(0, 5) if pair < min(deaths, pairs - 1) else None for pair in range(pairs)]
    threads = [threading.Thread(target=work, args=one, daemon=True) for one in enumerate(doomed)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    expected = [piece for file, size in enumerate(sizes) for piece in cut(file, size, 10)]
    assert sorted(arrived, key=lambda piece: (piece.file, piece.offset)) == expected
    assert sorted(whole) == list(range(len(sizes)))
