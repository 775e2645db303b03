"""Generators that feed subscribers: what they may yield, and the thread that runs a shared one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from pynet_core.mailbox import Broadcast, Mailbox, Queue
from pynet_core.subroutines import Keep


class UserCodeFailed(Exception):
    """A subroutine raised `cause`; kept apart from whatever our own sockets raise."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Item(NamedTuple):
    """What a generator yielded, and when: monotonic ns of this machine."""

    ident: int
    body: bytes
    stamp_ns: int


Subscriber = Mailbox[Item] | Queue[Item]


def as_bytes(value: Any) -> bytes:
    """The value as bytes.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"gave {type(value).__name__}; give bytes or (ident, bytes)")


def as_item(value: Any, count: int) -> Item | None:
    """What one yield means; None ends the stream.  `count` is the ident of plain bytes.

    Raises:
        TypeError: It is neither bytes, (ident, bytes), nor one of the endings.
    """
    if value is None:
        return None
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[0], int):
            raise TypeError(f"gave a tuple of {len(value)}; give bytes or (ident, bytes), ident an int")
        ident, body = value
        if ident < 0 or body is None:
            return None
        return Item(ident, as_bytes(body), time.monotonic_ns())
    return Item(count, as_bytes(value), time.monotonic_ns())


def items(start: Callable[[], Iterator[Any]]) -> Generator[Item, None, None]:
    """The items of the generator that `start` makes, up to its end; closes it however this ends.

    Raises:
        UserCodeFailed: It raised, or gave what cannot be sent.
    """
    try:
        generator = start()
        try:
            for count, value in enumerate(generator):
                item = as_item(value, count)
                if item is None:
                    return
                yield item
        finally:
            close = getattr(generator, "close", None)
            if close is not None:
                close()
    except Exception as exc:  # not our code: told to whoever draws from it
        raise UserCodeFailed(exc) from exc


class Pump:
    """One thread that runs one generator for all its subscribers.

    The generator starts with the pump and is closed at its next item after
    `stop`.  The thread cannot be taken out of a generator stuck in next().
    """

    def __init__(self, name: str, start: Callable[[], Iterator[Any]]) -> None:
        self.name = name
        self._start = start
        self._broadcast: Broadcast[Item] = Broadcast()
        self._stopping = False
        self.has_ended = False
        self._thread = threading.Thread(target=self._run, name=f"pynet pump {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def subscribe(self, keep: Keep) -> Subscriber:
        """A box that gets the newest item, or every item, from now on."""
        box: Subscriber = Mailbox() if keep == "latest" else Queue()
        self._broadcast.add(box)
        return box

    def unsubscribe(self, box: Subscriber) -> int:
        """Forget the box; returns how many subscribers are left."""
        return self._broadcast.remove(box)

    def stop(self) -> None:
        """End at the next item."""
        self._stopping = True

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is still stuck in the generator."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        error: UserCodeFailed | None = None
        try:
            with contextlib.closing(items(self._start)) as produced:
                for item in produced:
                    if self._stopping:
                        break
                    self._broadcast.put(item)
        except UserCodeFailed as exc:
            error = exc
        self.has_ended = True
        self._broadcast.close(error)


class Pumps:
    """The shared generators of a gateway: each starts with its first subscriber and stops with its last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[str, Pump] = {}
        self._leaving: list[Pump] = []  # told to stop, thread perhaps still in next()

    def subscribe(
        self, name: str, keep: Keep, start: Callable[[], Iterator[Any]], *, shared: bool
    ) -> tuple[Pump, Subscriber]:
        """Join the shared pump of that name, starting it if need be; or start a pump of one's own."""
        with self._lock:
            pump = self._shared.get(name) if shared else None
            if pump is not None and not pump.has_ended:
                return pump, pump.subscribe(keep)
            pump = Pump(name, start)
            if shared:
                self._shared[name] = pump
            box = pump.subscribe(keep)  # before it starts: the first item is not missed
        pump.start()
        return pump, box

    def unsubscribe(self, pump: Pump, box: Subscriber) -> None:
        """Leave; the last one stops the generator."""
        with self._lock:
            if pump.unsubscribe(box) == 0:
                self._drop(pump)

    def stop(self) -> None:
        """Tell every pump to end."""
        with self._lock:
            for pump in list(self._shared.values()):
                self._drop(pump)

    def join(self, timeout_s: float) -> list[str]:
        """Wait for all that were told to end; the names of those stuck in their generator."""
        with self._lock:
            leaving, self._leaving = self._leaving, []
        end = time.monotonic() + timeout_s
        stuck = [pump for pump in leaving if not pump.join(max(0.0, end - time.monotonic()))]
        with self._lock:
            self._leaving += stuck
        return [pump.name for pump in stuck]

    def _drop(self, pump: Pump) -> None:
        pump.stop()
        if self._shared.get(pump.name) is pump:
            del self._shared[pump.name]
        self._leaving = [old for old in self._leaving if not old.has_ended]
        self._leaving.append(pump)
