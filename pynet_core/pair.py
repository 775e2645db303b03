"""The controller's end of one pair, whatever it is used for: its life, its deadlines, ways out of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import LinkError, ProtocolError
from pynet_core.exchange import Exchange, check
from pynet_core.redial import Redial
from pynet_core.session import State
from pynet_core.subscription import Subscription
from pynet_core.wire import Frame, Kind

PONG_NS: Final = 60_000_000_000  # a stream begins with a ping if the last is older: clocks drift apart
STOP_TIMEOUT_S: Final = 0.5  # for a stream to end that another thread has ended


class Pong(NamedTuple):
    """The answer to a ping."""

    message: str
    rtt_ns: int
    offset_ns: int  # gateway's monotonic clock minus ours, +- rtt_ns / 2


class Pair:
    """One connection with a gateway, and what can be done with any.

    One operation at a time, from one thread at a time; `cancel`, `abort` and
    `connected` are for every thread.
    """

    def __init__(
        self, channel: PlainChannel, redial: Redial | None, *, reconnect: bool = False, verbose: bool = False
    ) -> None:
        self._exchange = Exchange(channel, redial)
        self._exchange.reconnects = reconnect
        self._verbose = verbose
        self._pong: Pong | None = None  # the newest,
        self._pong_ns = 0  # when it came,
        self._pong_channel: PlainChannel | None = None  # and by which connection
        self._subscriptions: list[Subscription] = []
        self._is_cancelled = False  # what runs now
        self._user = threading.get_ident()  # that began the newest stream or sink, or to move files
        self._streamer = 0  # the thread that runs a stream; 0 when none does
        self._stream_over = threading.Event()
        self._stream_over.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _channel(self) -> PlainChannel:
        return self._exchange.channel

    @property
    def connected(self) -> bool:
        """False once the pair is closed or has been lost; a lost one is noticed when it is used."""
        return self._exchange.is_open

    def peer_has_gone(self) -> bool:
        """The gateway has closed, or the network has, even if that was not noticed yet.  Any thread."""
        return not self.connected or self._channel.peer_has_gone()

    @property
    def reconnections(self) -> int:
        """How often the pair has been opened anew."""
        return self._exchange.reconnections

    @property
    def timeout_s(self) -> float | None:
        """How long each call may take, and each ping; None, the default, is for ever."""
        return self._exchange.timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float | None) -> None:
        self._exchange.timeout_s = timeout_s

    @property
    def reconnect_timeout_s(self) -> float | None:
        """How long a call, or a subscription, may try to open the pair anew; None is for ever."""
        return self._exchange.reconnect_timeout_s

    @reconnect_timeout_s.setter
    def reconnect_timeout_s(self, timeout_s: float | None) -> None:
        self._exchange.reconnect_timeout_s = timeout_s

    @contextlib.contextmanager
    def deadline(self, timeout_s: float) -> Iterator[None]:
        """All that is asked in this block must be done `timeout_s` from now: `with client.deadline(2.0):`.

        What is late raises DeadlineExceeded (of files, FilesInterrupted).  That closes the pair, for its
        answer would be taken for the next one's; a stream ends at its next item, or `cancel_timeout_s`
        later, and leaves it usable.  Of two such blocks the earlier end counts.
        """
        before = self._exchange.deadline
        deadline = Deadline(timeout_s, "the deadline")
        if before is None or before.ends_after(deadline):
            self._exchange.deadline = deadline
        try:
            yield
        finally:
            self._exchange.deadline = before

    @property
    def offset_ns(self) -> int:
        """Gateway's monotonic clock minus ours, as the newest ping found it; 0 before the first."""
        return 0 if self._pong is None else self._pong.offset_ns

    def ping(self, message: str = "ping") -> Pong:
        """Ask for an echo: is it alive, how far, and how far apart are the clocks.

        Raises:
            LinkError: The connection is gone.
        """
        pong = self._ping(message)
        if self._verbose:
            print(f"Response from Handler: {pong.message} ({pong.rtt_ns / 1e6:.2f} ms)")
        return pong

    def _ping(self, message: str) -> Pong:
        channel = self._exchange.begin()
        sent_ns = time.monotonic_ns()
        self._exchange.send(Frame(Kind.PING, 0, str(message).encode()))
        frame = self._exchange.answer()
        back_ns = time.monotonic_ns()
        self._pong_ns, self._pong_channel = back_ns, channel
        self._pong = Pong(
            frame.body.decode(errors="replace"),
            back_ns - sent_ns,
            frame.stamp_ns - (sent_ns + back_ns) // 2,
        )
        return self._pong

    def _recent_pong(self) -> Pong:
        channel = self._exchange.begin()  # opened anew, it may lead elsewhere
        is_old = channel is not self._pong_channel or time.monotonic_ns() - self._pong_ns > PONG_NS
        return self._ping("") if self._pong is None or is_old else self._pong

    def reopen(self, within_s: float | None = 0.0, stopping: threading.Event | None = None) -> None:
        """Open a pair that was lost anew, under the same id: one try, or more for `within_s`, None for ever.

        The pauses between tries grow from 0.1 to 5 s; `stopping` ends them.

        Raises:
            LinkError: It cannot be, or was closed.
            PynetError: As `Controller.get_client`.
        """
        self._exchange.notice_loss()
        if not self.connected:
            self._exchange.reopen(within_s, stopping)

    def cancel(self) -> bool:
        """End what this pair does now, from any thread; False when it does nothing.

        A stream ends as if its callback had returned False, and the pair is
        free, if an item comes or `subscribe` draws it; it has 0.5 s.  All else
        cannot be interrupted where it runs, a call above all: that costs the
        pair, and who waits in it gets LinkClosed.  At the gateway the function
        goes on to its end, and what it returns is lost.
        """
        self._exchange.give_up()
        state = self._channel.session.state
        if state in (State.IDLE, State.CLOSED) or not self.connected:
            return False
        self._is_cancelled = True
        if self._streamer == threading.get_ident():  # in its callback, after which it looks
            return True
        if not self._streamer or not self._stream_over.wait(STOP_TIMEOUT_S):
            self.abort()
        return True

    def close_handler(self) -> None:
        """Close this pair and give its place in the gateway's pool back; idempotent."""
        self.close()

    def close(self) -> None:
        """Stop its subscriptions, close the pair, wait up to 1 s for its place to be free.  Idempotent."""
        self._exchange.give_up(for_good=True)
        for subscription in self._subscriptions:
            subscription.stop()
        if not self.connected:
            return
        try:
            self._channel.send(Frame(Kind.CLOSE_HANDLER))
            self._exchange.await_close()
        except (LinkError, ProtocolError):
            pass  # in the middle of something: it is simply cut
        finally:
            if self._is_used_elsewhere():
                self._channel.abort()
            else:
                self._exchange.cut()

    def _is_used_elsewhere(self) -> bool:
        """Another thread is in the middle of something: it closes the socket itself when it finds it cut.

        Else the number of the socket might be the next connection's when that thread comes to write into it.
        """
        state = self._channel.session.state
        if state in (State.IDLE, State.CLOSED):
            return False
        return self._user != threading.get_ident() or state in (State.CALLING, State.PINGING)

    def abort(self) -> None:
        """Cut the connection now, from any thread; whoever waits in it gets LinkClosed."""
        self._exchange.give_up()
        self._channel.abort()

    def close_gateway(self) -> None:
        """Stop the whole gateway; needs role admin.  It has stopped listening when this returns.

        Raises:
            SubroutineError: Not allowed.
            LinkError: The connection is gone.
        """
        self._exchange.begin()
        self._exchange.send(Frame(Kind.CLOSE_GATEWAY))
        check(self._exchange.answer(), "close_gateway")
        self._exchange.is_done = True
        try:
            self._exchange.await_close()
        finally:
            self._exchange.cut()
