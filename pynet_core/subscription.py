"""A stream that runs in a thread of its own until it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from pynet_core.errors import DeadlineExceeded, PynetError
from pynet_core.stats import Meter
from pynet_core.stats import StreamStats as StreamStats  # what `stats` gives

_log = logging.getLogger(__name__)

STOP_WAIT_S: Final = 1.0  # END comes within 0.5 s or the pair is cut, then the thread ends

OnItem = Callable[[str, int, bytes], object]


class Pair(Protocol):
    """What a Subscription needs of its client."""

    stamp_ns: int
    replaced: int

    @property
    def offset_ns(self) -> int: ...

    def abort(self) -> None: ...


class Subscription:
    """Calls back, or is iterated over, until the stream ends or `stop`."""

    def __init__(
        self,
        name: str,
        pair: Pair,
        draw: Callable[[OnItem, threading.Event], None],
        callback: OnItem | None,
        on_end: Callable[[BaseException | None], object] | None,
    ) -> None:
        """Begin; raises PynetError where the machine has no thread left for it."""
        self.name = name
        self.error: BaseException | None = None  # what ended it, when not `stop` or its natural end
        self._pair = pair
        self._draw = draw
        self._callback = callback or self._hand_over
        self._on_end = on_end
        self._iterable = callback is None
        self._handed: tuple[int, bytes] | None = None  # the item for the reader
        self._asked = False  # the reader has done with the item before
        self._changed = threading.Condition()
        self._items = 0
        self._payload_bytes = 0
        self._stamp_ns = -1
        self._meter = Meter()
        self._replaced_before = pair.replaced
        self._stopping = threading.Event()
        self._is_stopping = False  # the same, without a call for each item
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pynet stream {name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as exc:
            raise PynetError(f"stream {name!r} cannot run now: {exc}") from exc

    @property
    def stats(self) -> StreamStats:
        """How much has come, how often it comes, how old it is.  Any thread."""
        items = self._items
        return StreamStats(
            items,
            self._payload_bytes,
            self._pair.replaced - self._replaced_before,
            self._pair.stamp_ns,
            *self._meter.read(time.monotonic_ns(), items),
        )

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def stop(self) -> None:
        """End the stream and its thread; the pair is free again, or cut if the generator is stuck.

        Any thread; waits 1 s at most, in the stream's own callback not at all.
        """
        with self._changed:
            self._is_stopping = True
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is threading.current_thread():
            return  # from the callback: ends when it returns
        self._thread.join(STOP_WAIT_S)
        if self._thread.is_alive():
            _log.warning("callback of stream %r does not return: pair cut, thread kept", self.name)
            self._pair.abort()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended and `on_end` has returned; False when `timeout_s` passes first."""
        return self._ended.wait(timeout_s)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(ident, buffer) of each item, until the stream ends.

        Raises:
            TypeError: It calls back instead.
            PynetError: What ended the stream.
        """
        if not self._iterable:
            raise TypeError(f"the subscription to {self.name!r} has a callback; leave that out to iterate")
        while (item := self._take()) is not None:
            yield item
        if self.error is not None:
            raise self.error

    def _take(self) -> tuple[int, bytes] | None:
        with self._changed:
            if self._handed is None:
                self._asked = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._handed is not None or self._ended.is_set())
            item, self._handed = self._handed, None
            return item

    def _hand_over(self, name: str, ident: int, buffer: bytes) -> None:
        """Wait until the reader has done with it: only then is a newer one asked for."""
        with self._changed:
            self._handed, self._asked = (ident, buffer), False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._asked or self._stopping.is_set())

    def _run(self) -> None:
        try:
            self._draw(self._on_item, self._stopping)
        except PynetError as exc:
            if not self._stopping.is_set():
                self.error = exc
            elif isinstance(exc, DeadlineExceeded):
                _log.warning("%s", exc)  # which generator is stuck
        except BaseException as exc:  # not our code, the callback: reported, and ends its stream only
            _log.exception("callback of stream %r failed", self.name)
            self.error = exc
        if self._on_end is not None:
            try:
                self._on_end(self.error)
            except BaseException:  # not our code, sys.exit() included: who waits for the end hears of it
                _log.exception("on_end of stream %r failed", self.name)
        with self._changed:
            self._ended.set()
            self._changed.notify_all()

    def _on_item(self, name: str, ident: int, buffer: bytes) -> object:
        self._items += 1
        self._payload_bytes += len(buffer)
        if self._pair.stamp_ns != self._stamp_ns:  # else it came in the same frame
            self._stamp_ns = self._pair.stamp_ns
            self._meter.came(time.monotonic_ns(), self._stamp_ns - self._pair.offset_ns, self._items)
        wanted = self._callback(name, ident, buffer)
        return False if self._is_stopping else wanted
