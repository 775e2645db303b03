"""pynet_core.mailbox: the newest item or every item, never something in between."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_core.feed import Item
from pynet_core.mailbox import (
    MAX_CHANNELS,
    QUEUE_ITEMS,
    Broadcast,
    KeyedMailbox,
    Mailbox,
    Queue,
    TooManyChannels,
    TooSlow,
)
from tests.core.loopback import PATIENCE_S

BOXES: list[type[Mailbox[Any]] | type[Queue[Any]]] = [Mailbox, Queue]


def in_thread(target: Any) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


# Mailbox


@given(st.lists(st.none() | st.integers(), max_size=60))  # None: take one
def test_a_mailbox_gives_the_newest_item_and_counts_exactly_what_it_replaced(steps: list[int | None]) -> None:
    box: Mailbox[int] = Mailbox()
    waiting: list[int] = []  # put since the last take
    replaced = 0
    for step in steps:
        if step is not None:
            replaced += bool(waiting)
            waiting.append(step)
            box.put(step)
        elif waiting:
            assert box.take(0) == waiting[-1]
            assert box.skipped == len(waiting) - 1
            waiting.clear()
        else:
            assert box.take(0) is None
        assert box.replaced == replaced


def test_none_is_an_item_like_any_other_to_a_mailbox_that_counts() -> None:
    box: Mailbox[int | None] = Mailbox()
    box.put(None)
    box.put(3)
    assert box.take(0) == 3
    assert box.skipped == 1


# Queue


@given(st.lists(st.none() | st.integers(), max_size=60))
def test_a_queue_gives_every_item_in_order(steps: list[int | None]) -> None:
    box: Queue[int] = Queue()
    waiting: list[int] = []
    for step in steps:
        if step is not None:
            waiting.append(step)
            box.put(step)
        else:
            assert box.take(0) == (waiting.pop(0) if waiting else None)
    assert box.skipped == 0


def test_a_queue_holds_256_items_and_the_next_one_costs_the_reader_its_place() -> None:
    box: Queue[int] = Queue()
    for item in range(QUEUE_ITEMS):
        box.put(item)
    assert box.take(0) == 0
    box.put(QUEUE_ITEMS)  # one was taken: still room
    box.put(QUEUE_ITEMS + 1)
    with pytest.raises(TooSlow, match="too slow: fell 256 items behind"):
        box.take(0)
    box.put(7)
    with pytest.raises(TooSlow):
        box.take(0)


def test_a_queue_that_was_too_slow_says_so_even_when_its_producer_has_ended() -> None:
    box: Queue[int] = Queue()
    for item in range(QUEUE_ITEMS + 1):
        box.put(item)
    box.close()
    with pytest.raises(TooSlow):
        box.take(0)


# Both


@pytest.mark.parametrize("kind", BOXES)
def test_a_closed_box_gives_what_waits_then_none(kind: Any) -> None:
    box = kind()
    box.put(1)
    box.close()
    box.put(2)
    assert not box.is_closed
    assert box.take() == 1
    assert box.is_closed
    assert box.take() is None


@pytest.mark.parametrize("kind", BOXES)
def test_a_box_closed_with_an_error_gives_what_waits_then_raises_it(kind: Any) -> None:
    box = kind()
    box.put(1)
    box.close(KeyError("gone"))
    assert box.take() == 1
    for _ in range(2):
        with pytest.raises(KeyError, match="gone"):
            box.take()


@pytest.mark.parametrize("kind", BOXES)
@pytest.mark.parametrize("ending", ["put", "close"])
def test_who_waits_is_woken(kind: Any, ending: str) -> None:
    box = kind()
    got: list[Any] = []
    waiter = in_thread(lambda: got.append(box.take()))
    if ending == "put":
        box.put(5)
    else:
        box.close()
    waiter.join(PATIENCE_S)
    assert got == [5 if ending == "put" else None]


@pytest.mark.parametrize("kind", BOXES)
def test_waiting_ends_with_its_time(kind: Any) -> None:
    assert kind().take(0.01) is None


def test_items_of_many_producers_are_each_taken_or_counted_as_replaced() -> None:
    box: Mailbox[int] = Mailbox()

    def produce() -> None:
        for item in range(2000):
            box.put(item)

    producers = [in_thread(produce) for _ in range(4)]
    taken = skipped = 0
    while any(producer.is_alive() for producer in producers) or not box.is_closed:
        if not any(producer.is_alive() for producer in producers):
            box.close()
        if box.take(0.001) is not None:
            taken += 1
            skipped += box.skipped
    assert taken + skipped == 8000
    assert skipped == box.replaced


# Broadcast


def test_a_broadcast_gives_each_item_to_every_box_there_is() -> None:
    broadcast: Broadcast[int] = Broadcast()
    every: Queue[int] = Queue()
    broadcast.add(every)
    broadcast.put(1)
    newest = broadcast.subscribe()
    broadcast.put(2)
    broadcast.put(3)
    assert [every.take(0) for _ in range(4)] == [1, 2, 3, None]
    assert newest.take(0) == 3


def test_a_full_queue_does_not_hold_up_the_others() -> None:
    broadcast: Broadcast[int] = Broadcast()
    slow: Queue[int] = Queue()
    broadcast.add(slow)
    newest = broadcast.subscribe()
    for item in range(QUEUE_ITEMS + 10):
        broadcast.put(item)
    assert newest.take(0) == QUEUE_ITEMS + 9


def test_remove_tells_how_many_are_left_and_forgets_only_that_box() -> None:
    broadcast: Broadcast[int] = Broadcast()
    first, second = broadcast.subscribe(), broadcast.subscribe()
    assert broadcast.remove(first) == 1
    assert broadcast.remove(first) == 1
    broadcast.put(1)
    assert first.take(0) is None
    assert second.take(0) == 1
    assert broadcast.remove(second) == 0
    assert not broadcast.is_heard


def test_closing_a_broadcast_closes_every_box_with_the_error() -> None:
    broadcast: Broadcast[int] = Broadcast()
    box = broadcast.subscribe()
    broadcast.close(KeyError("gone"))
    with pytest.raises(KeyError):
        box.take(0)


def test_a_box_that_comes_after_the_end_is_closed_and_told_so() -> None:
    broadcast: Broadcast[int] = Broadcast()
    broadcast.close()
    late: Mailbox[int] = Mailbox()
    assert not broadcast.add(late)
    assert late.is_closed


def test_a_broadcast_that_nobody_hears_ends_and_one_that_is_heard_does_not() -> None:
    broadcast: Broadcast[int] = Broadcast()
    box = broadcast.subscribe()
    assert not broadcast.close_if_unheard()
    broadcast.remove(box)
    assert broadcast.close_if_unheard()
    assert not broadcast.add(Mailbox())


# KeyedMailbox


def of_channel(ident: int, number: int) -> Item:
    return Item(ident, b"", number)


@given(st.lists(st.none() | st.integers(0, 3), max_size=60))  # None: take one, else: put into that channel
def test_a_keyed_mailbox_gives_the_newest_of_each_channel_and_lets_none_wait_twice(
    steps: list[int | None],
) -> None:
    box: KeyedMailbox[Item] = KeyedMailbox()
    unread: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        if step is not None:
            box.put(of_channel(step, number))
            unread.setdefault(step, []).append(number)
        elif unread:
            channel = next(iter(unread))  # the one that has had something unread for longest
            numbers = unread.pop(channel)
            assert box.take(0) == of_channel(channel, numbers[-1])
            assert box.skipped == len(numbers) - 1
        else:
            assert box.take(0) is None


def test_what_fits_is_taken_along_and_what_it_replaced_is_counted() -> None:
    box: KeyedMailbox[Item] = KeyedMailbox()
    for channel, number in ((1, 0), (2, 1), (1, 2), (3, 3), (2, 4), (2, 5), (3, 6)):
        box.put(of_channel(channel, number))
    assert box.take(0) == of_channel(1, 2)
    assert box.take_more(lambda item: item.ident < 3) == [of_channel(2, 5)]
    assert box.skipped == 1 + 2
    assert box.take(0) == of_channel(3, 6)
    assert box.skipped == 1


def test_idents_that_count_up_are_no_channels() -> None:
    box: KeyedMailbox[Item] = KeyedMailbox()
    for number in range(MAX_CHANNELS + 1):
        box.put(of_channel(number, number))
    with pytest.raises(TooManyChannels, match="4096 different idents"):
        box.take(0)


def test_a_queue_gives_along_what_fits_in_order() -> None:
    box: Queue[int] = Queue()
    for number in range(5):
        box.put(number)
    assert box.take(0) == 0
    assert box.take_more(lambda number: number < 3) == [1, 2]
    assert box.take(0) == 3


def test_a_queue_tells_of_its_last_place_and_of_what_has_waited_longest_in_it() -> None:
    box: Queue[int] = Queue()
    assert [number for number in range(QUEUE_ITEMS) if box.put(number)] == [QUEUE_ITEMS - 1]
    assert box.is_full_of(lambda oldest: oldest == 0)
    assert not box.is_full_of(lambda oldest: oldest != 0)
    box.take(0)
    assert not box.is_full_of(lambda _: True)


def test_a_broadcast_is_full_when_one_of_its_queues_is() -> None:
    broadcast: Broadcast[int] = Broadcast()
    broadcast.subscribe()
    slow: Queue[int] = Queue()
    broadcast.add(slow)
    assert [number for number in range(QUEUE_ITEMS) if broadcast.put(number)] == [QUEUE_ITEMS - 1]
    assert broadcast.is_full_of(lambda oldest: oldest == 0)
    broadcast.remove(slow)
    assert not broadcast.is_full_of(lambda _: True)
