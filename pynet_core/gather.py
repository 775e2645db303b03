"""Every item of one generator to its peer: at once while they come singly, many in a frame when they rush.

Nobody can know whether the next item will be there in a microsecond or in a
minute.  So the first few go out at once; those that rush on behind them are
gathered, and leave when they fill a frame or the oldest has waited long enough.
The last of a rush would wait for an item that does not come: a second thread
sends them.  It waits for the GIL, and gets it at the very moment when the
generator blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pynet_core.channel import PlainChannel
from pynet_core.errors import PynetError
from pynet_core.items import (
    GATHER_BELOW_BYTES,
    GATHER_BYTES,
    ITEM_EXTRA_BYTES,
    MAX_IDENT,
    pack_items,
)
from pynet_core.pump import UserCodeFailed, as_item

# Of so many in BURST_NS each goes out at once: a robot's bursts are smaller, and what is gathered waits for
# another thread to get a core.  8 a millisecond: a slow machine can send more than that, and comes to gather.
BURST_ITEMS: Final = 64
BURST_NS: Final = 8_000_000
MORE_ITEMS: Final = 8  # of the next burst where there has been a rush: that it has paused is a guess
GATHER_NS: Final = 200_000  # how long the first of a rush waits for others
LOOK_ITEMS: Final = 64  # look at the clock when as many have come again, and no more than this
BATCH_BYTES: Final = 4 * GATHER_BYTES  # that are gathered at most: some frames
CANCEL_POLL_NS: Final = 1_000_000  # look at the socket at most this often


class Gatherer:
    """Draws a generator in the thread that calls `run`, and sends what it gives.

    The channel is used under a lock meanwhile, by that thread and the one that
    sends the last items of a rush; it exists from the first rush to the end.
    """

    def __init__(
        self,
        channel: PlainChannel,
        name: str,
        *,
        gathers: bool,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._channel = channel
        self._name = name
        self._gathers = gathers  # the peer knows frames of many items
        self._clock_ns = clock_ns
        self._sending = threading.Lock()
        # Only appended to by the one, only emptied under the lock: bytes, or (ident, bytes).
        self._items: list[Any] = []
        self._first = 0  # count of the first of them, the ident if it is bytes
        self._since_ns = 0  # when it came
        self._most = 0  # bytes; none of them is larger
        self._has_pairs = False  # not all of them are bytes
        self._polled_ns = clock_ns()
        self._cancelled = False
        self._error: PynetError | None = None  # met by the other thread
        self._wake = threading.Lock()
        self._wake.acquire()
        self._awake = False  # `_wake` was released, and that was not taken yet
        self._has_paused = False  # the other thread got to send: the generator blocked
        self._drawing = True  # it is the generator's fault if something is raised now
        self._burst = 0  # how many went alone since
        self._burst_ns = 0
        self._ending = False
        self._flusher: threading.Thread | None = None

    def run(self, start: Callable[[], Iterator[Any]]) -> None:
        """Until the generator that `start` makes has ended, or the peer has cancelled; closes it.

        Raises:
            UserCodeFailed: It raised, or gave what cannot be sent; all before that has been sent.
            LinkError, ProtocolError: Of the channel.
        """
        generator = _of_user(start)
        try:
            self._draw(generator)
        finally:
            self._end_flusher()
            close = getattr(generator, "close", None)
            if close is not None:
                _of_user(close)

    def _draw(self, generator: Iterator[Any]) -> None:
        try:
            values = enumerate(generator)
            while self._draw_alone(values) and self._draw_rush(values):
                pass
        except BaseException as exc:
            if not self._drawing:
                raise
            self._flush(self._clock_ns())
            raise UserCodeFailed(exc) from exc
        if not self._cancelled:
            self._flush(self._clock_ns())

    def _draw_alone(self, values: Iterator[tuple[int, Any]]) -> bool:
        """Send one by one, until small ones rush; False when that was all.  Nothing is gathered meanwhile."""
        clock_ns, send_item = self._clock_ns, self._channel.send_item
        burst, burst_ns = self._burst, self._burst_ns
        for count, value in values:
            # As little as can be before it leaves: after a pause the caches are cold.
            if type(value) is bytes:
                ident, body = count, value
            elif _is_plain_pair(value):
                ident, body = value
            else:
                item = as_item(value, count)
                if item is None:
                    return False
                ident, body, _ = item
            self._drawing = False
            now_ns = clock_ns()
            send_item(ident, body, now_ns)
            if now_ns - self._polled_ns > CANCEL_POLL_NS:
                self._poll(now_ns)
                if self._cancelled:
                    return False
            if now_ns - burst_ns > BURST_NS:
                burst, burst_ns = 0, now_ns
            burst += 1
            self._drawing = True
            if burst >= BURST_ITEMS and self._gathers and len(body) < GATHER_BELOW_BYTES:
                self._burst, self._burst_ns = burst, burst_ns
                return True
        return False

    def _draw_rush(self, values: Iterator[tuple[int, Any]]) -> bool:
        """Send many at a time, until the generator pauses or gives a large one; False when that was all."""
        clock_ns, items = self._clock_ns, self._items
        append = items.append
        most = -1  # bytes; up to this size an item joins those that are gathered, and none is larger
        look = full = 0  # the counts at which to look at the clock, and at which they are enough
        self._has_paused = False
        for count, value in values:
            if type(value) is bytes:
                size = len(value)
            elif _is_plain_pair(value):
                size = len(value[1])
                self._has_pairs = True
            else:
                item = as_item(value, count)
                if item is None:
                    return False
                value = item.ident, item.body
                self._has_pairs = True
                # An ident that does not fit is to be refused alone.
                size = len(item.body) if item.ident <= MAX_IDENT else GATHER_BELOW_BYTES
            if size <= most:
                append(value)
                if count < look and not self._has_paused:
                    continue  # nearly all
            self._drawing = False
            now_ns = clock_ns()
            if size >= GATHER_BELOW_BYTES:
                self._flush(now_ns)
                if not self._cancelled:
                    ident, body = (count, value) if type(value) is bytes else value
                    self._channel.send_item(ident, body, now_ns)
                break
            if size > most:
                if most < 0:
                    self._first, self._since_ns = count, now_ns
                    self._has_pairs = type(value) is tuple
                most = self._most = size
                append(value)
                full = count + BATCH_BYTES // (most + ITEM_EXTRA_BYTES) - len(items)
                self._wake_flusher()
            if self._has_paused:
                self._burst, self._burst_ns = BURST_ITEMS - MORE_ITEMS, now_ns
                self._since_ns = now_ns
                self._flush(now_ns)
                break
            if count >= full or now_ns - self._since_ns >= GATHER_NS:
                self._flush(now_ns)
                most = -1
                if self._cancelled:
                    return False
            else:
                look = min(full, count + min(len(items), LOOK_ITEMS))
            self._drawing = True
        else:
            return False
        self._drawing = True
        return not self._cancelled

    def _flush(self, now_ns: int) -> None:
        """Send what has been gathered; look for a CANCEL now and then."""
        with self._sending:
            if self._error is not None:
                raise self._error
            self._send_gathered(self._since_ns)
            if now_ns - self._polled_ns > CANCEL_POLL_NS:
                self._poll(now_ns)

    def _poll(self, now_ns: int) -> None:
        self._polled_ns = now_ns
        self._cancelled = self._channel.poll() is not None  # only CANCEL is legal here

    def _send_gathered(self, stamp_ns: int) -> None:
        """All that there is now."""
        count = len(self._items)
        values: Sequence[Any] = self._items[:count]
        del self._items[:count]
        if not values:
            return
        idents: Sequence[int] = range(self._first, self._first + count)
        if self._has_pairs:
            numbered = enumerate(values, self._first)
            pairs = (each if type(each) is tuple else (ident, each) for ident, each in numbered)
            idents, values = zip(*pairs, strict=True)
        self._first += count
        at_a_time = GATHER_BYTES // (self._most + ITEM_EXTRA_BYTES)
        for at in range(0, count, at_a_time):
            until = at + at_a_time
            self._channel.send(pack_items(idents[at:until], values[at:until], self._most, stamp_ns))

    def _wake_flusher(self) -> None:
        if self._flusher is None:
            flusher = threading.Thread(
                target=self._flush_at_pauses, name=f"pynet flusher {self._name}", daemon=True
            )
            try:
                flusher.start()
            except RuntimeError:  # the machine has no thread left: nothing may wait for one
                self._has_paused = True
                return
            self._flusher = flusher
        if not self._awake:
            self._awake = True
            self._wake.release()

    def _end_flusher(self) -> None:
        if self._flusher is not None:
            self._ending = True
            if not self._awake:
                self._wake.release()
            self._flusher.join()

    def _flush_at_pauses(self) -> None:
        while True:
            self._wake.acquire()
            self._awake = False  # before it looks: what is added from now on wakes it again
            if self._ending:
                return
            # When the owner has the lock it is sending all there is.
            if self._sending.acquire(blocking=False):
                try:
                    if self._items and not self._cancelled and self._error is None:
                        stamp_ns = self._since_ns  # before the owner hears of it, who begins anew
                        self._has_paused = True
                        self._send_gathered(stamp_ns)
                except PynetError as exc:
                    self._error = exc
                finally:
                    self._sending.release()


def _is_plain_pair(value: Any) -> bool:
    """As `as_item` would take it, only sooner."""
    return (
        type(value) is tuple
        and len(value) == 2
        and type(value[1]) is bytes
        and type(value[0]) is int
        and 0 <= value[0] <= MAX_IDENT
    )


def _of_user(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as exc:  # not our code, sys.exit() included
        raise UserCodeFailed(exc) from exc
