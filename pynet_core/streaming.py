"""The controller's end of a stream: drawn by who asks for it, or by a subscription, until it ends."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import DeadlineExceeded, LinkError, ProtocolError, PynetError
from pynet_core.exchange import check
from pynet_core.pair import STOP_TIMEOUT_S, Pair
from pynet_core.redial import Redial, pauses
from pynet_core.session import State
from pynet_core.subscription import Subscription
from pynet_core.traffic import IMPATIENT
from pynet_core.window import URGENT_WINDOW, Window
from pynet_core.wire import Flag, Frame, Kind

_log = logging.getLogger(__name__)

CANCEL_TIMEOUT_S: Final = 10.0  # an ended stream ends at its next item: a slow sensor may take that long
STOP_POLL_S: Final = 0.05
NO_ARGUMENTS: Final[list[Any]] = []

StreamCallback = Callable[[str, int, bytes], object]
_ITEM: Final = Kind.ITEM  # on 3.11 a member of an enum class is found by a Python function
_ITEMS: Final = Kind.ITEMS
_CREDITED: Final = Flag.CREDITED


class Reconnection(NamedTuple):
    """A pair that was lost and is open again."""

    error: LinkError  # how it was lost
    away_s: float  # from when that was noticed


class Streaming(Pair):
    """A pair over which streams come, one at a time."""

    def __init__(
        self,
        channel: PlainChannel,
        purpose: str,
        redial: Redial | None,
        *,
        reconnect: bool = False,
        verbose: bool = False,
    ) -> None:
        super().__init__(channel, redial, reconnect=reconnect, verbose=verbose)
        self._purpose = purpose
        self.cancel_timeout_s = CANCEL_TIMEOUT_S
        self.stamp_ns = 0  # gateway's clock when the newest stream item was yielded
        self.replaced = 0  # items skipped on newest-only streams since this pair was opened

    def get_subroutine_stream(
        self,
        name: str,
        callback: StreamCallback,
        eos_callback: Callable[[str], object] | None = None,
        arguments: list[Any] = NO_ARGUMENTS,
        **kwargs: Any,
    ) -> None:
        """Receive a generator's items: `callback(name, ident, buffer)`, in this thread, until it ends.

        The callback ends it by returning False; one that raises ends it and
        the exception comes out here.  `eos_callback(name)` is called when the
        generator ends by itself, and only then.

        Raises:
            SubroutineError: The generator failed, does not exist, or is none.
            DeadlineExceeded: It was ended but hangs; the pair has been closed.
            LinkError: The connection is gone.
        """
        if self._stream(name, callback, arguments, kwargs) and eos_callback is not None:
            eos_callback(name)

    def subscribe(
        self,
        name: str,
        callback: StreamCallback | None = None,
        arguments: list[Any] = NO_ARGUMENTS,
        on_end: Callable[[BaseException | None], object] | None = None,
        on_reconnect: Callable[[Reconnection], object] | None = None,
        **kwargs: Any,
    ) -> Subscription:
        """Receive a stream in a thread of its own; this pair is its until `stop`.

        With a callback it is called in that thread.  Without, iterate:
        `for ident, buffer in subscription`.  `on_end(error)` is called once,
        in that thread, when the stream has ended for any reason.

        A client that reconnects asks for the stream again when the pair was
        lost, and calls `on_reconnect(reconnection)` before its first item: a
        generator of its own begins anew, and what a shared one has given in
        between is lost.

        Raises:
            PynetError: The machine has no thread left for it.
        """

        def draw(on_item: StreamCallback, stopping: threading.Event) -> None:
            waits, newest_ns = pauses(), self.stamp_ns
            while True:
                try:
                    self._stream(name, on_item, arguments, kwargs, stopping)
                    return
                except LinkError as exc:
                    if self.connected or not self._resumes(stopping):  # the first: the callback's own
                        raise
                    if self.stamp_ns != newest_ns:  # it had come back
                        waits, newest_ns = pauses(), self.stamp_ns
                    elif stopping.wait(next(waits)):
                        raise
                    self._resume(name, exc, stopping, on_reconnect)

        self._subscriptions = [earlier for earlier in self._subscriptions if not earlier.has_ended]
        self._subscriptions.append(Subscription(name, self, draw, callback, on_end))
        return self._subscriptions[-1]

    def draw(
        self,
        name: str,
        callback: StreamCallback,
        arguments: list[Any],
        kwargs: dict[str, Any],
        stopping: threading.Event,
    ) -> bool:
        """`get_subroutine_stream` until `stopping` is set; True when the generator ended by itself."""
        return self._stream(name, callback, arguments, kwargs, stopping)

    def _stream(
        self,
        name: str,
        callback: StreamCallback,
        arguments: list[Any],
        kwargs: dict[str, Any],
        stopping: threading.Event | None = None,
    ) -> bool:
        """True when the generator ended by itself, False when we ended it."""
        self._is_cancelled = False
        least = URGENT_WINDOW if self._purpose in IMPATIENT else 1
        window = Window(self._recent_pong().rtt_ns, least=least)
        self._exchange.request(Kind.STREAM, name, arguments, kwargs)
        self._user = self._streamer = threading.get_ident()
        self._stream_over.clear()
        try:
            return self._draw(name, callback, stopping, window)
        finally:
            if self._channel.session.state is not State.IDLE:  # interrupted between two items
                self._exchange.cut()
            self._channel.keep_every()
            self._streamer = 0
            self._stream_over.set()

    def _draw(
        self, name: str, callback: StreamCallback, stopping: threading.Event | None, window: Window
    ) -> bool:
        # Of a subscription only `stop` decides when it ends.
        deadline = self._exchange.deadline if stopping is None else None
        is_patient, channel = stopping is None and deadline is None, self._channel
        while True:
            try:
                if is_patient and not (self._is_cancelled or channel.is_closed):
                    frame: Frame | None = channel.receive()
                else:
                    frame = self._next(stopping, deadline)
            except DeadlineExceeded:
                self._cancel(name, self.cancel_timeout_s)
                raise
            except BaseException:  # as in Exchange.receive
                self._exchange.cut()
                raise
            if frame is None:
                self._cancel(name, STOP_TIMEOUT_S)
                return False
            many, credited = None, frame.flags
            if frame.kind != _ITEM or credited:
                if frame.kind != _ITEM and frame.kind != _ITEMS:
                    check(frame, name)
                    return True
                self.replaced += frame.replaced
                credited &= _CREDITED
                if credited:
                    window.came(time.monotonic_ns(), frame.stamp_ns, frame.replaced)
                if frame.kind == _ITEMS:
                    many = self._exchange.items(frame)
            self.stamp_ns = frame.stamp_ns
            try:
                wanted: object = None
                if many is None:
                    wanted = callback(name, frame.ident, frame.body)
                else:
                    for ident, body in many:
                        wanted = callback(name, ident, body)
                        if wanted is False:
                            break
            except BaseException:
                with contextlib.suppress(LinkError, ProtocolError):  # what the callback raised says more
                    self._cancel(name, self.cancel_timeout_s)
                raise
            if wanted is False:
                self._cancel(name, self.cancel_timeout_s)
                return False
            if credited:
                self._channel.keep_latest()
                if credit := window.consumed(time.monotonic_ns()):
                    self._exchange.send(Frame(Kind.CREDIT, credit))

    def _resumes(self, stopping: threading.Event) -> bool:
        return self._exchange.reconnects and not (stopping.is_set() or self._is_cancelled)

    def _resume(
        self,
        name: str,
        lost: LinkError,
        stopping: threading.Event,
        on_reconnect: Callable[[Reconnection], object] | None,
    ) -> None:
        since = time.monotonic()
        try:
            self._exchange.reopen(self.reconnect_timeout_s, stopping)
        except PynetError as exc:
            raise exc from lost
        away_s = time.monotonic() - since
        _log.warning("stream %r begins anew, its pair was lost for %.1f s: %s", name, away_s, lost)
        if on_reconnect is not None:
            on_reconnect(Reconnection(lost, away_s))

    def _next(self, stopping: threading.Event | None, deadline: Deadline | None) -> Frame | None:
        """The next frame of a stream; None once `stopping` is set, or it is cancelled."""
        while not (self._is_cancelled or (stopping is not None and stopping.is_set())):
            left_s = None if deadline is None else deadline.remaining_s()
            if stopping is not None:
                left_s = STOP_POLL_S
            try:
                return self._exchange.receive(left_s)
            except DeadlineExceeded:
                continue
        return None

    def _cancel(self, name: str, timeout_s: float) -> None:
        """End the running stream and read what was on its way."""
        self._is_cancelled = True  # if the pair is lost over it, nobody asks for the stream again
        deadline = Deadline(timeout_s, f"the end of stream {name!r}")
        try:
            self._exchange.send(Frame(Kind.CANCEL))
            while self._exchange.receive(deadline.remaining_s()).kind in (_ITEM, _ITEMS):
                pass
        except DeadlineExceeded:
            self._exchange.cut()
            raise DeadlineExceeded(
                f"stream {name!r} has not ended {timeout_s:g} s after it was cancelled: "
                "its generator is stuck; this pair is closed"
            ) from None
