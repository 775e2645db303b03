"""How the pairs of one transfer are opened: a few at a time, again if the gateway closes one too many."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from pynet_core.errors import LinkClosed
from pynet_core.transfer.carriers import AT_ONCE, Carriers
from tests.core.loopback import PATIENCE_S

PAIRS = 9


class Door:
    """A gateway's: it turns the first away, and keeps all waiting until so many are there, or it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.all_in = threading.Event()
        self.go = self.all_in
        self.opening = self.most = self.tries = 0

    def open_pair(self, number: int) -> Any:
        with self._lock:
            self.tries += 1
            self.opening += 1
            self.most = max(self.most, self.opening)
            is_first = self.tries == 1
            if self.opening == AT_ONCE:
                self.all_in.set()
        self.go.wait(PATIENCE_S)
        with self._lock:
            self.opening -= 1
        if is_first:
            raise LinkClosed("too many at once")
        return Open()


class Open:
    """A pair."""

    @contextlib.contextmanager
    def files_link(self) -> Iterator[None]:
        yield None

    def abort(self) -> None: ...
    def close(self) -> None: ...


class Work:
    def __init__(self) -> None:
        self.done: set[int] = set()
        self.is_over = False

    def work(self, link: object, number: int) -> None:
        self.done.add(number)

    def has_more(self, number: int) -> bool:
        return not self.is_over

    def stop(self) -> None: ...


def test_pairs_are_opened_a_few_at_a_time_and_one_that_was_turned_away_comes_again() -> None:
    door, work = Door(), Work()
    carriers = Carriers(door.open_pair)
    for _ in range(PAIRS - 1):
        carriers.add()
    carriers.begin(work, Open())  # type: ignore[arg-type]
    assert carriers.wait(PATIENCE_S)
    assert work.done == set(range(PAIRS))
    assert not carriers.problems
    assert (door.most, door.tries) == (AT_ONCE, PAIRS)
    carriers.join()


def test_those_that_wait_for_the_door_are_let_go() -> None:
    door = Door()
    door.go = threading.Event()
    carriers = Carriers(door.open_pair)
    for _ in range(PAIRS - 1):
        carriers.add()
    assert door.all_in.wait(PATIENCE_S)
    carriers.abort()
    door.go.set()
    assert carriers.wait(PATIENCE_S)
    assert door.tries == AT_ONCE
    carriers.join()


def test_nobody_waits_for_pairs_that_would_find_nothing_to_do() -> None:
    door, work = Door(), Work()
    door.go = threading.Event()
    carriers = Carriers(door.open_pair)
    for _ in range(PAIRS - 1):
        carriers.add()
    assert door.all_in.wait(PATIENCE_S)
    carriers.begin(work, Open())  # type: ignore[arg-type]
    work.is_over = True
    door.go.set()
    assert carriers.wait(PATIENCE_S)
    assert door.tries <= AT_ONCE + 1
    carriers.join()
