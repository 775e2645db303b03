"""The controller's end of one pair: ask for streams, batches and buffers, one at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import DeadlineExceeded, LinkError, ProtocolError, PynetError
from pynet_core.exchange import check
from pynet_core.offering import LISTING, Offering, unpack_offerings
from pynet_core.pair import STOP_TIMEOUT_S, Pair
from pynet_core.pair import Pong as Pong  # what ping returns
from pynet_core.redial import Redial, pauses
from pynet_core.session import State
from pynet_core.sink import CONTROL_UNSENT_BYTES, SINK_UNSENT_BYTES
from pynet_core.sink import Sink as Sink  # what open_buffer returns
from pynet_core.subscription import Subscription
from pynet_core.traffic import IMPATIENT
from pynet_core.transfer.asking import Files, StrPath, download, query_for, upload
from pynet_core.transfer.meter import OnProgress, Stopped
from pynet_core.window import URGENT_WINDOW, Window
from pynet_core.wire import Flag, Frame, Kind

_log = logging.getLogger(__name__)

CANCEL_TIMEOUT_S: Final = 10.0  # an ended stream ends at its next item: a slow sensor may take that long
STOP_POLL_S: Final = 0.05

StreamCallback = Callable[[str, int, bytes], object]
_BATCH: Final = Kind.BATCH  # on 3.11 a member of an enum class is found by a Python function
_BUFFER: Final = Kind.BUFFER
_ITEM: Final = Kind.ITEM
_ITEMS: Final = Kind.ITEMS
_CREDITED: Final = Flag.CREDITED
_NO_ARGUMENTS: Final[list[Any]] = []


class Batch(bytes):
    """What a batch function returned; `ident` is what it gave along, 0 when nothing."""

    ident: int = 0
    number: int = 0  # from a swarm: which of what that was given this is the result of


class Reconnection(NamedTuple):
    """A pair that was lost and is open again."""

    error: LinkError  # how it was lost
    away_s: float  # from when that was noticed


class Client(Pair):
    """One pair with a gateway; made by `Controller.get_client`.

    One operation at a time, from one thread at a time: open another client
    for what is to run beside it.  A failing subroutine costs the call, not the pair.

    `timeout_s` is how long a call or ping may take; None, the default, is for
    ever: a dead peer is told by TCP within 4 s.  An answer that comes too late
    would be taken for the next one's, so the pair is closed.
    `cancel_timeout_s` is how long a stream that the callback has ended may take
    to its next item, and so to its end; past it the generator counts as stuck.
    """

    def __init__(
        self,
        channel: PlainChannel,
        purpose: str,
        *,
        redial: Redial | None = None,
        reconnect: bool = False,
        verbose: bool = False,
        download_dir: str = "",
    ) -> None:
        super().__init__(channel, redial, reconnect=reconnect, verbose=verbose)
        self._download_dir = download_dir
        self._purpose = purpose
        self.cancel_timeout_s = CANCEL_TIMEOUT_S
        self.stamp_ns = 0  # gateway's clock when the newest stream item was yielded
        self.replaced = 0  # items skipped on newest-only streams since this pair was opened

    def list_subroutines(self) -> list[Offering]:
        """What the gateway offers, by name; `.allowed` says whether our role may use it.

        Raises:
            SubroutineError: 404, this gateway is of a version that cannot tell.
            LinkError, RemoteProtocolError: The connection is gone.
        """
        return unpack_offerings(self.get_subroutine_batch(LISTING))

    def get_subroutine_batch(self, name: str, arguments: list[Any] = _NO_ARGUMENTS, **kwargs: Any) -> Batch:
        """Call a function on the gateway; returns the bytes it returns, with their ident.

        Raises:
            SubroutineError: It failed, does not exist, or is a generator.
            LinkError: The connection is gone.
        """
        frame = self._exchange.call(_BATCH, name, arguments, kwargs, b"")
        batch = Batch(frame.body)
        batch.ident = frame.ident
        return batch

    def send_subroutine_batch(
        self, name: str = "", buffer: Any = None, arguments: list[Any] = _NO_ARGUMENTS, **kwargs: Any
    ) -> int:
        """Call a function with bytes, which it finds in `kwargs['buffer']`; returns the int it returns.

        No bytes, no such key.  What is not an int comes back as 0.

        Raises:
            SubroutineError: It failed, does not exist, or is a generator.
            LinkError: The connection is gone.
        """
        return self._exchange.call(_BUFFER, name, arguments, kwargs, buffer).ident

    def open_buffer(self, name: str, arguments: list[Any] = _NO_ARGUMENTS, **kwargs: Any) -> Sink:
        """Call the same function again and again, one way: `sink.put(buffer)` awaits no reply.

        Raises:
            SubroutineError: No such function, not allowed, or a generator.
            LinkError: The connection is gone.
        """
        self._exchange.call(Kind.SINK, name, arguments, kwargs)
        self._user = threading.get_ident()
        unsent = CONTROL_UNSENT_BYTES if self._purpose in IMPATIENT else SINK_UNSENT_BYTES
        return Sink(self._channel, name, unsent, self._exchange.remaining_s)

    def get_subroutine_stream(
        self,
        name: str,
        callback: StreamCallback,
        eos_callback: Callable[[str], object] | None = None,
        arguments: list[Any] = _NO_ARGUMENTS,
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
        arguments: list[Any] = _NO_ARGUMENTS,
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

    def get_files_from_gateway(
        self,
        regex: str = "",
        files: Sequence[StrPath] = (),
        folder: StrPath = "",
        *,
        recursive: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Files:
        """Copy files of the gateway's machine into the download folder; returns their paths here.

        `files` are full paths; without any, those in `folder` (or in all the
        gateway's roots) whose full path `regex` matches from its beginning, as
        `re.match` does.  Every path returned is whole, verified, and safe from
        a power cut.  What is no regular file is in `.skipped` of the result.
        `on_progress(progress)` is called in this thread; what it raises comes
        out here.  The same call again goes on where one was broken off.

        Raises:
            FilesError: Some did not arrive: `.failed` says why, `.arrived` lists the others.  Or two
                are of one name: nothing has moved.
            SubroutineError: The gateway refuses, or cannot list the folder.
            LinkError: The connection is gone; in the middle, it is a FilesInterrupted.
            ValueError, TypeError: What is wrong with the arguments.
        """
        query = query_for(regex, files, folder, recursive)
        with self._files_moving():
            arrived = download(self._channel, query, self._download_dir, on_progress)
        if self._verbose:
            print(f"{len(arrived)} files are downloaded")
        return arrived

    def send_files_to_gateway(
        self, dirname: StrPath = "", files: Sequence[StrPath] = (), *, on_progress: OnProgress | None = None
    ) -> None:
        """Copy files of this machine into the gateway's download folder, or into folder `dirname` in it.

        When this returns they are there: whole, verified, and safe from a power cut.

        Raises:
            As `get_files_from_gateway`; `.arrived` lists paths here.
        """
        with self._files_moving():
            upload(self._channel, files, dirname, on_progress)
        if self._verbose:
            print("Files are sent to the gateway")

    @contextlib.contextmanager
    def files_link(self) -> Iterator[PlainChannel]:
        """The pair's channel, for one thing with files; however it ends, the pair is then idle or closed."""
        with self._files_moving():
            yield self._channel

    @contextlib.contextmanager
    def _files_moving(self) -> Iterator[None]:
        """However it ends, the pair is then free for other things, or closed."""
        self._exchange.begin()
        self._user = threading.get_ident()
        try:
            left_s = self._exchange.deadline_left_s()
            with self._exchange.cut_after(left_s, "the files"), self._channel.carrying_bulk():
                yield
        except Stopped as exc:
            raise exc.cause from None
        finally:
            if self._channel.session.state is not State.IDLE:
                self._exchange.cut()

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
