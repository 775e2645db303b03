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
from collections.abc import Callable, Iterator
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
from pynet_core.wire import Frame, Kind

BURST_ITEMS: Final = 8  # of these in BURST_NS each goes out at once
BURST_NS: Final = 1_000_000
GATHER_NS: Final = 200_000  # how long the first of a frame waits for others, looked at every 8 items
CANCEL_POLL_NS: Final = 1_000_000  # look at the socket at most this often

_ITEM: Final = Kind.ITEM


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
        # Only appended to by the one, only emptied under the lock.
        self._items: list[tuple[int, bytes]] = []
        self._since_ns = 0  # when the first of them came
        self._polled_ns = clock_ns()
        self._cancelled = False
        self._error: PynetError | None = None  # met by the other thread
        self._wake = threading.Lock()
        self._wake.acquire()
        self._awake = False  # `_wake` was released, and that was not taken yet
        self._has_paused = False  # the other thread got to send: the generator blocked
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
        clock_ns, items, send = self._clock_ns, self._items, self._channel.send
        gathering = False
        burst = size = burst_ns = 0
        drawing = True  # whose fault an exception is
        try:
            for count, value in enumerate(generator):
                if type(value) is bytes:
                    ident, body = count, value
                elif (
                    type(value) is tuple
                    and len(value) == 2
                    and type(value[1]) is bytes
                    and type(value[0]) is int
                    and 0 <= value[0] <= MAX_IDENT
                ):
                    ident, body = value
                else:
                    item = as_item(value, count)
                    if item is None:
                        break
                    ident, body, _ = item
                drawing = False
                if gathering and len(body) < GATHER_BELOW_BYTES and ident <= MAX_IDENT:
                    items.append((ident, body))
                    if self._flusher is None:
                        self._start_flusher()
                    if len(items) == 1:  # asked afterwards: the other thread may have emptied it just before
                        self._since_ns, size = clock_ns(), 0
                        if self._has_paused:
                            self._has_paused = gathering = False
                            burst = 0
                            self._flush(self._since_ns)
                        elif not self._awake:
                            self._awake = True
                            self._wake.release()
                    size += len(body) + ITEM_EXTRA_BYTES
                    if size >= GATHER_BYTES:
                        self._flush(clock_ns())
                    elif not count & 7 and (now_ns := clock_ns()) - self._since_ns >= GATHER_NS:
                        self._flush(now_ns)
                else:
                    now_ns = clock_ns()
                    if now_ns - burst_ns > BURST_NS:
                        burst, burst_ns = 0, now_ns
                    burst += 1
                    frame = Frame(_ITEM, ident, body, now_ns)
                    if self._flusher is None and now_ns - self._polled_ns <= CANCEL_POLL_NS:
                        send(frame)
                    else:
                        self._flush(now_ns, frame)
                    gathering = gathering or (burst >= BURST_ITEMS and self._gathers)
                if self._cancelled:
                    return
                drawing = True
        except BaseException as exc:
            if not drawing:
                raise
            self._flush(clock_ns())
            raise UserCodeFailed(exc) from exc
        self._flush(clock_ns())

    def _flush(self, now_ns: int, frame: Frame | None = None) -> None:
        """Send what has been gathered, then this; look for a CANCEL now and then."""
        with self._sending:
            if self._error is not None:
                raise self._error
            self._send_gathered()
            if frame is not None:
                self._channel.send(frame)
            if now_ns - self._polled_ns > CANCEL_POLL_NS:  # afterwards: a lone item does not wait for it
                self._polled_ns = now_ns
                self._cancelled = self._channel.poll() is not None  # only CANCEL is legal here

    def _send_gathered(self) -> None:
        items = self._items
        while items:  # more than once if one is added meanwhile
            count = len(items)
            gathered = items[:count]
            del items[:count]
            if count == 1:
                ident, body = gathered[0]
                self._channel.send(Frame(_ITEM, ident, body, self._since_ns))
            else:
                self._channel.send(pack_items(gathered, self._since_ns))

    def _start_flusher(self) -> None:
        self._flusher = threading.Thread(
            target=self._flush_at_pauses, name=f"pynet flusher {self._name}", daemon=True
        )
        self._flusher.start()

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
                        self._has_paused = True
                        self._send_gathered()
                except PynetError as exc:
                    self._error = exc
                finally:
                    self._sending.release()


def _of_user(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as exc:  # not our code, sys.exit() included
        raise UserCodeFailed(exc) from exc
