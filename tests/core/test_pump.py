"""pynet_core.pump: what a generator may yield, and how one generator feeds many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynet_core.feed import Keep, Subscriber
from pynet_core.payload import as_bytes
from pynet_core.pump import (
    MAX_UNHEARD,
    Pump,
    Pumps,
    TooManyUnheard,
    UserCodeFailed,
    as_item,
    items,
)
from pynet_core.subroutines import Role, Subroutine
from tests.core.loopback import PATIENCE_S, eventually


def subroutine(fn: Any, *, shared: bool = True, keep: Keep = "every") -> Subroutine:
    return Subroutine("feed", fn, shared, keep, Role.VIEWER, is_generator=True)


def drawn(produce: Callable[[], Iterator[Any]]) -> list[tuple[int, bytes]]:
    return [(item.ident, item.body) for item in items(produce)]


def subscribe(
    pumps: Pumps, subroutine: Subroutine, start: Callable[[], Iterator[Any]]
) -> tuple[Pump, Subscriber]:
    pump, box = pumps.subscribe(subroutine, start)
    assert isinstance(pump, Pump)
    return pump, box


def next_of(box: Subscriber) -> bytes:
    item = box.take(PATIENCE_S)
    assert item is not None
    return item.body


class Tap:
    """A generator that yields when it is told to, and knows how many of it run at once."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.running = self.started = self.most_at_once = 0

    def __call__(self) -> Iterator[bytes]:
        self.started += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            while True:
                self.go.acquire()
                yield b"%d" % self.started
        finally:
            self.running -= 1


@pytest.fixture
def tap() -> Iterator[Tap]:
    tap = Tap()
    yield tap
    tap.go.release(100)  # enough for all to see that nobody hears
    assert eventually(lambda: tap.running == 0)


# What a yield means


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([b"a", b"", bytearray(b"b"), memoryview(b"c")], [(0, b"a"), (1, b""), (2, b"b"), (3, b"c")]),
        ([(7, b"a"), b"b", (7, b"c")], [(7, b"a"), (1, b"b"), (7, b"c")]),
        ([(True, b"a"), (2**63 - 1, b"b")], [(1, b"a"), (2**63 - 1, b"b")]),
        ([b"a", None, b"b"], [(0, b"a")]),
        ([b"a", (-1, b"b"), b"c"], [(0, b"a")]),
        ([b"a", (5, None), b"c"], [(0, b"a")]),
        ([], []),
    ],
)
def test_items_are_bytes_or_ident_and_bytes_up_to_one_of_the_endings(
    given: list[Any], meant: list[tuple[int, bytes]]
) -> None:
    assert drawn(lambda: iter(given)) == meant


@pytest.mark.parametrize(
    "nonsense", ["text", 5, (1,), (1, b"", 2), ("1", b""), (1, "text"), [1, b""], {}, 1.5]
)
def test_what_cannot_be_sent_is_a_type_error_that_says_what_can(nonsense: Any) -> None:
    with pytest.raises(TypeError, match="give bytes or"):
        as_item(nonsense, 0)
    with pytest.raises(UserCodeFailed) as caught:
        drawn(lambda: iter([nonsense]))
    assert isinstance(caught.value.cause, TypeError)


@pytest.mark.parametrize("value", [bytearray(b"abc"), memoryview(b"abc"), memoryview(b"axbxcx")[::2]])
def test_bytes_like_values_become_bytes(value: Any) -> None:
    assert as_bytes(value) == b"abc"
    assert type(as_bytes(value)) is bytes


def test_an_item_is_stamped_with_this_machines_clock_when_it_is_yielded() -> None:
    before = time.monotonic_ns()
    (item,) = items(lambda: iter([b""]))
    assert before <= item.stamp_ns <= time.monotonic_ns()


class Broken(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), KeyboardInterrupt(), Broken()])
def test_whatever_a_generator_raises_is_kept_apart_from_our_own_errors(error: BaseException) -> None:
    def raising() -> Iterator[bytes]:
        yield b"a"
        raise error

    drawing = items(raising)
    assert next(drawing).body == b"a"
    with pytest.raises(UserCodeFailed) as caught:
        next(drawing)
    assert caught.value.cause is error


def test_a_generator_is_closed_however_its_stream_ends() -> None:
    closed: list[str] = []

    def watched(name: str) -> Iterator[Any]:
        try:
            yield b"1"
            yield None
        finally:
            closed.append(name)

    list(items(lambda: watched("ended")))
    drawing = items(lambda: watched("left"))
    next(drawing)
    drawing.close()
    assert closed == ["ended", "left"]


# One generator, many subscribers


def test_a_shared_generator_starts_once_and_feeds_all(tap: Tap) -> None:
    pumps, shared = Pumps(), subroutine(tap)
    (pump, first), (same, second) = subscribe(pumps, shared, tap), subscribe(pumps, shared, tap)
    tap.go.release()
    assert next_of(first) == next_of(second) == b"1"
    assert pump is same
    pump.unsubscribe(first)
    pump.unsubscribe(second)


def test_a_generator_of_ones_own_is_started_for_each(tap: Tap) -> None:
    pumps, own = Pumps(), subroutine(tap, shared=False, keep="latest")
    pairs = [subscribe(pumps, own, tap) for _ in range(3)]
    assert eventually(lambda: tap.running == 3)
    for pump, box in pairs:
        pump.unsubscribe(box)


def test_a_generator_is_closed_at_the_first_item_that_nobody_hears(tap: Tap) -> None:
    pumps, shared = Pumps(), subroutine(tap)
    pump, box = subscribe(pumps, shared, tap)
    tap.go.release()
    next_of(box)
    pump.unsubscribe(box)
    assert tap.running == 1
    tap.go.release()
    assert pump.join(PATIENCE_S)
    assert tap.running == 0


def test_who_comes_back_before_that_item_joins_the_generator_that_runs(tap: Tap) -> None:
    pumps, shared = Pumps(), subroutine(tap)
    pump, box = subscribe(pumps, shared, tap)
    pump.unsubscribe(box)
    again, box = subscribe(pumps, shared, tap)
    tap.go.release()
    assert next_of(box) == b"1"
    assert (again, tap.started) == (pump, 1)
    again.unsubscribe(box)


def test_the_next_generator_of_a_name_starts_only_when_the_last_has_closed() -> None:
    order: list[str] = []
    closes, may_close = threading.Event(), threading.Event()

    def camera() -> Iterator[bytes]:
        order.append("open")
        try:
            yield b"1"
            while True:
                time.sleep(0.001)
                yield b"2"
        finally:
            closes.set()
            may_close.wait(PATIENCE_S)
            order.append("close")

    pumps, shared = Pumps(), subroutine(camera)
    pump, box = subscribe(pumps, shared, camera)
    next_of(box)
    pump.unsubscribe(box)
    assert closes.wait(PATIENCE_S)
    again, box = subscribe(pumps, shared, camera)
    may_close.set()
    assert next_of(box) == b"1"
    again.unsubscribe(box)
    assert again.join(PATIENCE_S)
    assert order == ["open", "close", "open", "close"]


def test_never_two_of_a_shared_generator_however_fast_subscribers_come_and_go() -> None:
    running: list[int] = []
    most_at_once = 0

    def feed() -> Iterator[bytes]:
        nonlocal most_at_once
        running.append(1)
        most_at_once = max(most_at_once, len(running))
        try:
            while True:
                time.sleep(0.0005)
                yield b""
        finally:
            running.pop()

    pumps, shared = Pumps(), subroutine(feed)

    def come_and_go() -> None:
        for turn in range(100):
            pump, box = subscribe(pumps, shared, feed)
            if turn % 3 == 0:
                assert box.take(PATIENCE_S) is not None
            pump.unsubscribe(box)

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pumps.join(PATIENCE_S) == []
    assert most_at_once == 1
    assert running == []


def test_who_comes_after_a_replaced_registration_hears_the_new_one(tap: Tap) -> None:
    pumps, later = Pumps(), Tap()
    old, old_box = subscribe(pumps, subroutine(tap), tap)
    new, new_box = subscribe(pumps, subroutine(later), later)
    assert new is not old
    tap.go.release()
    assert next_of(old_box) == b"1"
    old.unsubscribe(old_box)
    new.unsubscribe(new_box)
    later.go.release()
    assert new.join(PATIENCE_S)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3)])
def test_a_raising_shared_generator_tells_all_its_subscribers_and_the_next_one_starts_anew(
    error: BaseException,
) -> None:
    go = threading.Event()

    def raising() -> Iterator[bytes]:
        go.wait(PATIENCE_S)
        yield b"a"
        raise error

    pumps, shared = Pumps(), subroutine(raising)
    boxes = [subscribe(pumps, shared, raising) for _ in range(3)]
    go.set()
    for _, box in boxes:
        assert next_of(box) == b"a"
        with pytest.raises(UserCodeFailed) as caught:
            box.take(PATIENCE_S)
        assert caught.value.cause is error
    _, box = subscribe(pumps, shared, raising)
    assert next_of(box) == b"a"
    assert pumps.join(PATIENCE_S) == []


def test_a_natural_end_closes_every_box() -> None:
    pumps = Pumps()

    def three() -> Iterator[bytes]:
        yield from (b"1", b"2", b"3")

    _, box = subscribe(pumps, subroutine(three), three)
    assert [next_of(box) for _ in range(3)] == [b"1", b"2", b"3"]
    assert box.take(PATIENCE_S) is None
    assert box.is_closed
    assert pumps.join(PATIENCE_S) == []


def test_an_error_that_nobody_is_left_to_hear_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def failing_at_the_end() -> Iterator[bytes]:
        try:
            while True:
                yield b""
                time.sleep(0.001)
        finally:
            raise OSError("camera does not close")

    pumps = Pumps()
    pump, box = subscribe(pumps, subroutine(failing_at_the_end), failing_at_the_end)
    next_of(box)
    pump.unsubscribe(box)
    assert pump.join(PATIENCE_S)
    assert "camera does not close" in caplog.text


def test_stuck_generators_of_ones_own_are_named_and_bounded(tap: Tap) -> None:
    pumps, own = Pumps(), subroutine(tap, shared=False, keep="latest")
    for _ in range(MAX_UNHEARD):
        pump, box = subscribe(pumps, own, tap)
        pump.unsubscribe(box)
    with pytest.raises(TooManyUnheard, match=r"16 generators .* do not come back \(feed\)"):
        subscribe(pumps, own, tap)
    assert pumps.join(0.01) == ["feed"] * MAX_UNHEARD
    tap.go.release()  # one of them comes back
    assert eventually(lambda: tap.running == MAX_UNHEARD - 1)

    def works_again() -> bool:
        try:
            pump, box = subscribe(pumps, own, tap)
        except TooManyUnheard:
            return False
        pump.unsubscribe(box)
        return True

    assert eventually(works_again)


def test_a_pump_that_has_ended_takes_no_subscriber() -> None:
    pump = Pump(subroutine(lambda: iter(())), lambda: iter(()), None)
    pump.start()
    assert pump.join(PATIENCE_S)
    assert pump.subscribe() is None
