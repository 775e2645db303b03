"""stock: every file of a tree goes out once, whoever dies, while it is still being listed; pure."""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_core.transfer.messages import FILE, MAX_PACK_BYTES, MAX_PACK_FILES, Node
from pynet_core.transfer.stock import LAST_PACK_BYTES, MIN_RANGE_BYTES, SMALL_BYTES, Stock
from pynet_core.transfer.tree_part import gaps_between
from pynet_core.transfer.units import Large, Pack, Range, Unit

BASE = b"/base"
MB = 1 << 20


def node(name: int | str, size: int = 10) -> Node:
    return Node(str(name).encode(), FILE, size, 0, 0, 0, 0o644)


def large(name: int | str, size: int, *claims: tuple[int, int]) -> Large:
    claimed = deque(claims)
    return Large(BASE, node(name, size), claimed, gaps_between(claimed, size))


def stock_of(*files: Node | Large, listed: bool = True) -> Stock:
    stock = Stock()
    for one in files:
        if isinstance(one, Large):
            stock.add_large(one)
        else:
            stock.add_small(BASE, [one])
    if listed:
        stock.end_of_list()
    return stock


def add_many(stock: Stock, count: int) -> None:
    for number in range(count):
        stock.add_small(BASE, [node(number)])


def drain(stock: Stock, pair: object, range_bytes: int = MIN_RANGE_BYTES) -> list[Unit]:
    return list(iter(lambda: stock.take(pair, wait=False, range_bytes=range_bytes), None))


def in_a_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(function()), daemon=True)
    thread.start()
    return thread, got


# Units


def test_small_files_travel_in_packs_of_so_many_files_and_bytes() -> None:
    stock = stock_of(*(node(n) for n in range(300)), *(node(f"b{n}", SMALL_BYTES) for n in range(5)))
    stock.enter("pair")
    packs = [unit for unit in drain(stock, "pair") if isinstance(unit, Pack)]
    assert sum(len(pack.nodes) for pack in packs) == 305
    for pack in packs:
        assert len(pack.nodes) <= MAX_PACK_FILES
        assert sum(one.size for one in pack.nodes) <= MAX_PACK_BYTES


def test_the_last_packs_get_smaller_so_that_no_pair_is_left_with_a_large_one() -> None:
    stock = stock_of(*(node(n, 4096) for n in range(4 * MAX_PACK_FILES)))
    for pair in ("a", "b"):
        stock.enter(pair)
    packs: list[Pack] = []
    while (unit := stock.take("ab"[len(packs) % 2], wait=False)) is not None:
        assert isinstance(unit, Pack)
        packs.append(unit)
    sizes = [sum(one.size for one in pack.nodes) for pack in packs]
    assert sizes[0] == MAX_PACK_BYTES
    assert max(sizes[-3:]) <= 1.5 * LAST_PACK_BYTES
    assert min(sizes) >= LAST_PACK_BYTES // 2, "and no crumbs"
    assert sorted(one.path for pack in packs for one in pack.nodes) == sorted(
        str(n).encode() for n in range(4 * MAX_PACK_FILES)
    )


def test_long_paths_make_small_packs_for_requests_must_fit_the_kernels_buffers() -> None:
    stock = stock_of(*(node("x" * 4000 + str(n)) for n in range(5)))
    stock.enter("pair")
    assert max(len(unit.nodes) for unit in drain(stock, "pair") if isinstance(unit, Pack)) <= 2


def test_a_pack_is_of_one_base() -> None:
    stock = Stock()
    for base in (b"/a", b"/a", b"/b"):
        stock.add_small(base, [node(1)])
    stock.end_of_list()
    stock.enter("pair")
    units = [(unit.base, len(unit.nodes)) for unit in drain(stock, "pair") if isinstance(unit, Pack)]
    assert units == [(b"/a", 2), (b"/b", 1)]


def test_large_ones_go_out_biggest_first_without_crumbs() -> None:
    stock = stock_of(large("small", 2 * MB), large("big", 5 * MB + 10))
    stock.enter("pair")
    ranges = [unit for unit in drain(stock, "pair", 2 * MB) if isinstance(unit, Range)]
    assert [(one.large.node.path, one.offset, one.length) for one in ranges] == [
        (b"big", 0, 2 * MB),
        (b"big", 2 * MB, 2 * MB),
        (b"big", 4 * MB, MB + 10),
        (b"small", 0, 2 * MB),
    ]


def test_when_one_large_file_is_left_every_pair_has_some_of_it() -> None:
    """Five pairs, three units each: pieces of 1 MiB would leave nothing for the fifth."""
    stock = stock_of(large("big", 12 * MB))
    for pair in range(5):
        stock.enter(pair)
    held = [0] * 5
    for pair in range(5):
        for _ in range(3):
            unit = stock.take(pair, wait=False)
            assert isinstance(unit, Range)
            held[pair] += unit.length
    assert min(held) >= 12 * MB // 16
    assert max(held) <= 3 * MB


def test_what_an_earlier_attempt_has_brought_goes_out_first_to_be_compared() -> None:
    stock = stock_of(large("x", 10, (2, 3), (7, 1)))
    stock.enter("pair")
    ranges = [unit for unit in drain(stock, "pair") if isinstance(unit, Range)]
    assert [(one.offset, one.length, one.claimed) for one in ranges] == [
        (2, 3, True),
        (7, 1, True),
        (0, 2, False),
        (5, 2, False),
        (8, 2, False),
    ]


def test_one_pair_brings_small_files_while_there_are_large_ones_for_the_others() -> None:
    stock = stock_of(*(node(n, SMALL_BYTES) for n in range(8)), *(large(f"l{n}", MB) for n in range(2)))
    for pair in "ab":
        stock.enter(pair)
    assert isinstance(stock.take("a", wait=False), Pack)
    assert isinstance(stock.take("b", wait=False), Range)
    assert isinstance(stock.take("a", wait=False), Pack)
    assert isinstance(stock.take("b", wait=False), Range)
    assert isinstance(stock.take("b", wait=False), Pack)  # nothing large is left


# The list


def test_a_pair_takes_what_there_is_before_the_list_ends() -> None:
    stock = stock_of(node(1), listed=False)
    stock.enter("pair")
    assert stock.take("pair", wait=False) is None  # more may come to fill the pack
    assert isinstance(stock.take("pair", wait=True), Pack)  # but who has nothing to do need not wait


def test_the_list_waits_while_too_much_waits_and_a_pair_is_there() -> None:
    stock = Stock(high_water=5)
    stock.enter("pair")
    thread, _ = in_a_thread(lambda: add_many(stock, 20))
    taken = 0
    while taken < 20:
        unit = stock.take("pair", wait=True)
        assert isinstance(unit, Pack)
        assert len(unit.nodes) <= 5
        taken += len(unit.nodes)
        stock.done("pair", unit)
    thread.join(5)
    assert not thread.is_alive()


def test_who_lists_brings_when_much_waits_and_nobody_else_does_and_then_lists_on() -> None:
    stock = Stock(high_water=100)
    add_many(stock, 49)
    assert not stock.needs_lister()
    add_many(stock, 1)
    assert stock.needs_lister()
    stock.enter("lister")
    assert not stock.needs_lister()
    taken = list(iter(lambda: stock.take("lister", wait=True, rests=True), None))
    assert sum(len(pack.nodes) for pack in taken if isinstance(pack, Pack)) == 50
    assert not stock.is_done()  # the list goes on


def test_the_list_waits_for_nobody_when_all_pairs_are_gone() -> None:
    stock = Stock(high_water=5)
    stock.enter("pair")
    thread, _ = in_a_thread(lambda: add_many(stock, 20))
    thread.join(0.05)
    assert thread.is_alive()
    stock.give_back("pair")
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("how", ["done", "stop"])
def test_an_idle_pair_is_let_go_when_all_is_over(how: str) -> None:
    stock = stock_of(node(1))
    for pair in "ab":
        stock.enter(pair)
    held = stock.take("a", wait=True)
    assert held is not None
    thread, got = in_a_thread(lambda: stock.take("b", wait=True))
    thread.join(0.05)
    assert thread.is_alive()
    if how == "done":
        stock.done("a", held)
    else:
        stock.stop()
    thread.join(5)
    assert got == [None]
    assert stock.is_done() == (how == "done")


# Several sources


def two_sources(*files: Node | Large) -> Stock:
    stock = stock_of(*files)
    stock.enter("first", 0)
    stock.enter("other", 1)
    return stock


def test_all_of_a_large_file_comes_from_the_source_that_has_begun_it() -> None:
    stock = two_sources(large("x", 5 * MB), large("y", 4 * MB))
    assert ranges(stock.take("other", wait=False)) == ("x", 0, MB)
    assert ranges(stock.take("first", wait=False)) == ("y", 0, MB)
    assert [ranges(unit)[0] for unit in drain(stock, "other")] == ["x"] * 4
    assert [ranges(unit)[0] for unit in drain(stock, "first")] == ["y"] * 3


def ranges(unit: Unit | None) -> tuple[str, int, int]:
    assert isinstance(unit, Range)
    return unit.large.node.path.decode(), unit.offset, unit.length


def test_what_another_source_cannot_give_the_first_is_asked_for_once() -> None:
    stock = two_sources(node(1), node(2), large("x", 2 * MB))
    pack = stock.take("other", wait=False)
    assert isinstance(pack, Pack)
    unit = stock.take("other", wait=False)
    assert isinstance(unit, Range)
    assert stock.again("other", pack, pack.nodes[:1])
    stock.done("other", pack)
    assert stock.again("other", unit, [])
    assert not stock.done("other", unit)
    assert stock.take("other", wait=False) is None
    again = drain(stock, "first")
    assert [one.nodes for one in again if isinstance(one, Pack)] == [pack.nodes[:1]]
    assert [ranges(one) for one in again if isinstance(one, Range)] == [("x", 0, MB), ("x", MB, MB)]
    assert not any(stock.again("first", one, []) for one in again)
    assert [stock.done("first", one) for one in again] == [False, False, True]
    assert stock.is_done()


@pytest.mark.parametrize("comes", [True, False])
def test_what_another_cannot_give_waits_for_the_pair_that_still_lists(comes: bool) -> None:
    stock = stock_of(node(1), listed=False)
    stock.expect_lister(comes=True)
    stock.enter("other", 1)
    pack = stock.take("other", wait=True)
    assert isinstance(pack, Pack)
    assert stock.again("other", pack, pack.nodes)
    stock.done("other", pack)
    assert stock.take("other", wait=False) is None
    if comes:
        stock.enter("lister", 0)
    stock.expect_lister(comes=False)
    assert isinstance(stock.take("lister" if comes else "other", wait=False), Pack)


def test_what_a_source_had_begun_begins_again_when_its_last_pair_has_gone() -> None:
    stock = two_sources(large("x", 3 * MB))
    first = stock.take("other", wait=False)
    assert first is not None
    stock.done("other", first)
    stock.take("other", wait=False)
    assert stock.take("first", wait=False) is None
    assert stock.give_back("other") == []
    assert [ranges(unit)[1] for unit in drain(stock, "first")] == [0, MB, 2 * MB]


# Failures


def test_of_a_dropped_file_nothing_more_goes_out_and_its_last_unit_ends_it() -> None:
    one = large("x", 5 * MB)
    stock = stock_of(one)
    stock.enter("pair")
    units = [stock.take("pair", wait=False), stock.take("pair", wait=False)]
    assert stock.drop(one, keep=True)
    assert not stock.drop(one, keep=True)
    assert stock.take("pair", wait=False) is None
    assert [stock.done("pair", unit) for unit in units if unit] == [False, True]
    assert not one.is_whole
    assert stock.is_done()


def test_what_a_dead_pair_held_of_a_dropped_file_ends_it_too() -> None:
    one = large("x", 5 * MB)
    stock = stock_of(one)
    stock.enter("pair")
    stock.take("pair", wait=False)
    stock.drop(one, keep=False)
    assert stock.give_back("pair") == [one]


def test_what_found_no_room_is_tried_once_more_when_nobody_takes_any() -> None:
    big = large("big", MB)
    stock = stock_of(node("small"), big)
    stock.enter("pair")
    stock.enter("other")
    pack, piece = stock.take("pair", wait=False), stock.take("other", wait=False)
    assert isinstance(pack, Pack)
    assert piece is not None
    assert stock.try_late(pack, pack.nodes)
    stock.done("pair", pack)
    assert stock.take("pair", wait=False) is None, "the other one is still writing"
    stock.drop(big, keep=False)
    assert stock.done("other", piece)
    assert stock.take("pair", wait=False) is None, "what it has written is still there"
    stock.ended()
    again = stock.take("pair", wait=False)
    assert isinstance(again, Pack)
    assert not stock.try_late(again, again.nodes)
    stock.done("pair", again)
    assert stock.is_done()


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 3 * SMALL_BYTES), max_size=30),
    st.integers(1, 5),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_every_byte_arrives_once_though_pairs_die_and_the_list_is_slow(
    sizes: list[int], pairs: int, deaths: int, rng: random.Random
) -> None:
    """Each pair holds up to three units; at least one pair lives."""
    stock = Stock(high_water=4)
    come: dict[bytes, list[tuple[int, int]]] = {}
    whole: list[bytes] = []
    lock = threading.Lock()

    def note(unit: Unit) -> None:
        with lock:
            if isinstance(unit, Pack):
                for one in unit.nodes:
                    come.setdefault(one.path, []).append((0, one.size))
                    whole.append(one.path)
            else:
                come.setdefault(unit.large.node.path, []).append((unit.offset, unit.length))

    def work(pair: int, dies_after: int | None) -> None:
        held: list[Unit] = []
        for step in itertools.count():
            if step == dies_after:
                stock.give_back(pair)
                return
            while len(held) < 3 and (unit := stock.take(pair, wait=not held, range_bytes=100_000)):
                held.append(unit)
            if not held:
                return
            unit = held.pop(0)
            note(unit)
            if stock.done(pair, unit):
                assert isinstance(unit, Range)
                assert unit.large.is_whole
                with lock:
                    whole.append(unit.large.node.path)

    for pair in range(pairs):
        stock.enter(pair)
    doomed = [rng.randint(0, 5) if pair < min(deaths, pairs - 1) else None for pair in range(pairs)]
    threads = [threading.Thread(target=work, args=one, daemon=True) for one in enumerate(doomed)]
    for thread in threads:
        thread.start()
    for number, size in enumerate(sizes):
        if size <= SMALL_BYTES:
            stock.add_small(BASE, [node(number, size)])
        else:
            stock.add_large(large(number, size))
    stock.end_of_list()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert stock.is_done()
    assert sorted(whole) == sorted(b"%d" % number for number in range(len(sizes)))
    for number, size in enumerate(sizes):
        at = 0
        for offset, length in sorted(come[b"%d" % number]):
            assert offset == at
            at += length
        assert at == size
