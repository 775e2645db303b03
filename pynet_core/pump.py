"""Generators that feed subscribers: what they may yield, and the thread that runs a shared one."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Protocol

from pynet_core.errors import PynetError
from pynet_core.feed import Feed, Item, Subscriber, box_for
from pynet_core.mailbox import Broadcast
from pynet_core.payload import as_bytes
from pynet_core.subroutines import Subroutine

_log = logging.getLogger(__name__)

TAKE_OVER_S: Final = 2.0  # for a generator to close before the next of its name starts: one camera, one user
# A rush fills a queue before whoever empties it has had a turn: it waits for what is younger than this.
# One that is full for longer is a subscriber's that cannot follow, and the others do not wait for it.
YOUNG_NS: Final = 500_000_000
BREATH_S: Final = 0.0005
MAX_UNHEARD: Final = 16  # generators of their own that nobody listens to and that have not come back


class UserCodeFailed(Exception):
    """A subroutine raised `cause`; kept apart from whatever our own sockets raise."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause


class TooManyUnheard(PynetError):
    """MAX_UNHEARD generators have lost their subscriber and do not come back; no more are started."""


class NoThread(PynetError):
    """The machine has none left for a generator of its own."""


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
    except GeneratorExit:  # whoever draws has enough
        raise
    except BaseException as exc:  # not our code, sys.exit() included: told to whoever draws from it
        raise UserCodeFailed(exc) from exc


class Source(Protocol):
    """Where a subscriber's items come from."""

    def unsubscribe(self, box: Subscriber) -> None:
        """Forget the box."""


class Pump:
    """One thread that runs one generator for all its subscribers.

    The generator is closed at the first item that nobody listens to.  The
    thread cannot be taken out of a generator stuck in next().
    """

    def __init__(
        self, subroutine: Subroutine, start: Callable[[], Iterator[Any]], after: Pump | None
    ) -> None:
        self.subroutine = subroutine
        self._start = start
        self._after = after
        self._broadcast: Broadcast[Item] = Broadcast()
        self._thread = threading.Thread(target=self._run, name=f"pynet pump {subroutine.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def subscribe(self) -> Subscriber | None:
        """A box that gets the newest item, or every item, from now on; None when the pump has ended."""
        box = box_for(self.subroutine.keep, self.subroutine.keyed)
        return box if self._broadcast.add(box) else None

    def unsubscribe(self, box: Subscriber) -> None:
        """Forget the box."""
        self._broadcast.remove(box)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_heard(self) -> bool:
        return self._broadcast.is_heard

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is still stuck in the generator."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        if self._after is not None:
            self._after.join(TAKE_OVER_S)
            self._after = None
        error: UserCodeFailed | None = None
        try:
            with contextlib.closing(items(self._start)) as produced:
                for item in produced:
                    if self._broadcast.put(item):
                        self._wait_for_room()
                    if self._broadcast.close_if_unheard():
                        break
        except UserCodeFailed as exc:
            error = exc
            if not self.is_heard:  # nobody is there to be told
                _log.warning("subroutine %r failed", self.subroutine.name, exc_info=exc.cause)
        self._broadcast.close(error)

    def _wait_for_room(self) -> None:
        while self._broadcast.is_full_of(lambda oldest: time.monotonic_ns() - oldest.stamp_ns < YOUNG_NS):
            time.sleep(BREATH_S)


class Pumps:
    """The generators of a gateway that run in pumps: shared ones start with their first subscriber."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[str, Pump] = {}
        self._running: list[Pump] = []

    def subscribe(
        self, subroutine: Subroutine, start: Callable[[], Iterator[Any]]
    ) -> tuple[Source, Subscriber]:
        """Join a feed, or the pump of a shared subroutine, starting it if need be; or start one's own.

        Raises:
            TooManyUnheard: For one's own; its thread might never come back either.
            NoThread: It cannot be started.
        """
        feed = subroutine.function
        if isinstance(feed, Feed):
            return feed, feed.subscribe(subroutine.keep, subroutine.keyed)
        with self._lock:
            before = self._shared.get(subroutine.name) if subroutine.shared else None
            if before is not None and before.subroutine is not subroutine:
                before = None  # another one was registered under that name; those who hear the old one stay
            if before is not None and (box := before.subscribe()) is not None:
                return before, box
            self._running = [pump for pump in self._running if pump.is_alive]
            if not subroutine.shared:
                self._check_unheard()
            pump = Pump(subroutine, start, before)
            box = pump.subscribe()  # before it starts: the first item is not missed
            assert box is not None
            try:
                pump.start()
            except RuntimeError as exc:
                raise NoThread(f"{subroutine.name!r} cannot run now: {exc}") from exc
            self._running.append(pump)
            if subroutine.shared:
                self._shared[subroutine.name] = pump
        return pump, box

    def join(self, timeout_s: float) -> list[str]:
        """Wait for all to end; the names of those stuck in their generator."""
        with self._lock:
            pumps = self._running
        end = time.monotonic() + timeout_s
        return [pump.subroutine.name for pump in pumps if not pump.join(max(0.0, end - time.monotonic()))]

    def _check_unheard(self) -> None:
        unheard = [pump.subroutine.name for pump in self._running if not pump.is_heard]
        if len(unheard) >= MAX_UNHEARD:
            names = ", ".join(sorted(set(unheard)))
            raise TooManyUnheard(
                f"{len(unheard)} generators have lost their subscriber and do not come back ({names}); "
                "mend them, or restart the gateway"
            )
