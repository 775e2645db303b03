"""Hand-overs between threads: the newest item, or that of each channel, or all up to a limit; one to many."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Final, Generic, Protocol, TypeVar

from pynet_core.errors import PynetError

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

QUEUE_ITEMS: Final = 256  # of a subscriber that must see every item: 5 s of a 50 Hz stream
MAX_CHANNELS: Final = 4096  # with an unread item each; a stream that counts up is no set of channels


class TooSlow(PynetError):
    """A subscriber that must see every item fell QUEUE_ITEMS behind."""


class TooManyChannels(PynetError):
    """More than MAX_CHANNELS idents had an unread item at once."""


class Box(Protocol[T_contra]):
    """What a Broadcast can put into."""

    def put(self, item: T_contra) -> object:
        """Leave an item, without waiting; True when there is no room for another."""

    def close(self, error: BaseException | None = None) -> None: ...


class _Waiting(Generic[T]):
    """Items that wait for one reader, and the end behind them; `put` differs, and which is next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: Collection[object] = ()
        self._closed = False
        self._error: BaseException | None = None
        self.skipped = 0  # items that were replaced by those of the last take, and take_more

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an unread item; None when `timeout_s` passes first or it was closed.

        Raises:
            BaseException: What `close` was given, once the last item has been read.
        """
        with self._changed:
            if not (self._items or self._closed):
                self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if self._items:
                return self._next()
            if self._error is not None:
                raise self._error
            return None

    def _next(self) -> T:
        """The item to be read now; called with the lock held."""
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        """No item waits and none will come."""
        with self._changed:
            return self._closed and not self._items

    def close(self, error: BaseException | None = None) -> None:
        """No more items; readers get those that wait, then `error` if there is one."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()


class Mailbox(_Waiting[T]):
    """A place for one item: a new item replaces an unread one.

    Camera frames and drive commands go through here.  A queue would turn a
    slow reader into growing latency; this turns it into a lower rate.
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: list[T] = []
        self._skipping = 0
        self.replaced = 0  # items replaced before anyone read them

    def put(self, item: T) -> None:
        """Leave the newest item; after `close` it is dropped."""
        with self._changed:
            if self._closed:
                return
            if self._items:
                self.replaced += 1
                self._skipping += 1
            self._items = [item]
            self._changed.notify()

    def take_more(self, fits: Callable[[T], bool]) -> list[T]:
        """What may go along with the item just taken: nothing."""
        return []

    def _next(self) -> T:
        self.skipped, self._skipping = self._skipping, 0
        return self._items.pop()


class Channelled(Protocol):
    """An item of the channel `ident`."""

    @property
    def ident(self) -> int: ...


C = TypeVar("C", bound=Channelled)


class KeyedMailbox(_Waiting[C]):
    """A place for one item of each channel: a new item replaces an unread one of the same ident.

    They are taken in the order in which their channels had something unread:
    a busy one makes none wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int, tuple[C, int]] = {}  # ident: the item, and how many it has replaced

    def put(self, item: C) -> None:
        """Leave the newest item of its channel; one channel too many closes the box with TooManyChannels."""
        with self._changed:
            if self._closed:
                return
            before = self._items.get(item.ident)
            if before is None and len(self._items) >= MAX_CHANNELS:
                self._items.clear()
                self._closed = True
                self._error = TooManyChannels(f"gave over {MAX_CHANNELS} different idents; each is a channel")
            else:
                self._items[item.ident] = item, 0 if before is None else before[1] + 1
            self._changed.notify()

    def take_more(self, fits: Callable[[C], bool]) -> list[C]:
        """Those of other channels, up to the first that does not fit."""
        with self._changed:
            more: list[C] = []
            for item, replaced in self._items.values():
                if not fits(item):
                    break
                more.append(item)
                self.skipped += replaced
            for item in more:
                del self._items[item.ident]
            return more

    def _next(self) -> C:
        item, self.skipped = self._items.pop(next(iter(self._items)))
        return item


class Queue(_Waiting[T]):
    """Every item in order, up to QUEUE_ITEMS; whoever falls further behind gets TooSlow."""

    def __init__(self) -> None:
        super().__init__()
        self._items: deque[T] = deque()

    def put(self, item: T) -> bool:
        """Add an item; one too many closes the queue with TooSlow.  True when it fills it."""
        with self._changed:
            if self._closed:
                return False
            if len(self._items) >= QUEUE_ITEMS:
                self._items.clear()
                self._closed = True
                self._error = TooSlow(f"too slow: fell {QUEUE_ITEMS} items behind")
            else:
                self._items.append(item)
            self._changed.notify()
            return len(self._items) == QUEUE_ITEMS

    def is_full_of(self, young: Callable[[T], bool]) -> bool:
        """There is no room, and the item that has waited longest is `young`."""
        with self._changed:
            return len(self._items) == QUEUE_ITEMS and young(self._items[0])

    def take_more(self, fits: Callable[[T], bool]) -> list[T]:
        """The next ones that are there, up to the first that does not fit."""
        with self._changed:
            more: list[T] = []
            while self._items and fits(self._items[0]):
                more.append(self._items.popleft())
            return more

    def _next(self) -> T:
        return self._items.popleft()


class Broadcast(Generic[T]):
    """One producer, any number of boxes; a slow one harms nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: tuple[Box[T], ...] = ()
        self._closed = False

    def put(self, item: T) -> bool:
        """Give the item to every box there is now; True when one of them has no room for another."""
        full = False
        for box in self._boxes:
            if box.put(item):
                full = True
        return full

    def is_full_of(self, young: Callable[[T], bool]) -> bool:
        """A queue has no room, and what has waited longest in it is `young`."""
        return any(isinstance(box, Queue) and box.is_full_of(young) for box in self._boxes)

    def subscribe(self) -> Mailbox[T]:
        """A new Mailbox that gets every item from now on."""
        box: Mailbox[T] = Mailbox()
        self.add(box)
        return box

    def add(self, box: Box[T]) -> bool:
        """Give this box every item from now on; False, and it is closed, if the producer has ended."""
        with self._lock:
            if not self._closed:
                self._boxes = (*self._boxes, box)
                return True
        box.close()
        return False

    def remove(self, box: Box[T]) -> int:
        """Forget the box; returns how many are left."""
        with self._lock:
            self._boxes = tuple(other for other in self._boxes if other is not box)
            return len(self._boxes)

    @property
    def is_heard(self) -> bool:
        """There is a box to put into."""
        return bool(self._boxes)

    def close_if_unheard(self) -> bool:
        """End if there is no box; in one step, so that nobody can join what has just ended."""
        with self._lock:
            self._closed = self._closed or not self._boxes
            return self._closed

    def close(self, error: BaseException | None = None) -> None:
        """The producer has ended: close every box."""
        with self._lock:
            self._closed = True
            boxes, self._boxes = self._boxes, ()
        for box in boxes:
            box.close(error)
