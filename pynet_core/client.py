"""The controller's end of one pair: ask for streams, batches and buffers, one at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import DeadlineExceeded, LinkError, ProtocolError
from pynet_core.exchange import Exchange, check
from pynet_core.session import State
from pynet_core.sink import CONTROL_UNSENT_BYTES, SINK_UNSENT_BYTES
from pynet_core.sink import Sink as Sink  # what open_buffer returns
from pynet_core.subscription import Subscription
from pynet_core.transfer.asking import Files, OnProgress, Stopped, StrPath, download, query_for, upload
from pynet_core.window import Window
from pynet_core.wire import Flag, Frame, Kind

CANCEL_TIMEOUT_S: Final = 10.0  # an ended stream ends at its next item: a slow sensor may take that long
STOP_TIMEOUT_S: Final = 0.5  # the same, for a Subscription that is stopped
STOP_POLL_S: Final = 0.05
PONG_NS: Final = 60_000_000_000  # a stream begins with a ping if the last is older: clocks drift apart

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


class Pong(NamedTuple):
    """The answer to a ping."""

    message: str
    rtt_ns: int
    offset_ns: int  # gateway's monotonic clock minus ours, +- rtt_ns / 2


class Client:
    """One pair with a gateway; made by `Controller.get_client`.

    One operation at a time, from one thread at a time: open another client
    for what is to run beside it.  A failing subroutine costs the call, not the pair.

    `timeout_s` is how long a call or ping may wait for its answer; None, the
    default, is for ever: a dead peer is told by TCP within 4 s.  An answer
    that comes too late would be taken for the next one's, so the pair is closed.
    `cancel_timeout_s` is how long a stream that the callback has ended may take
    to its next item, and so to its end; past it the generator counts as stuck.
    """

    def __init__(
        self, channel: PlainChannel, purpose: str, *, verbose: bool = False, download_dir: str = ""
    ) -> None:
        self._channel = channel
        self._exchange = Exchange(channel)
        self._download_dir = download_dir
        self._purpose = purpose
        self._verbose = verbose
        self._subscriptions: list[Subscription] = []
        self.cancel_timeout_s = CANCEL_TIMEOUT_S
        self._pong: Pong | None = None  # the newest,
        self._pong_ns = 0  # and when it came
        self.stamp_ns = 0  # gateway's clock when the newest stream item was yielded
        self.replaced = 0  # items skipped on newest-only streams since this pair was opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """False once the pair is closed or has been lost; a lost one is noticed when it is used."""
        return self._exchange.is_open

    @property
    def timeout_s(self) -> float | None:
        return self._exchange.timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float | None) -> None:
        self._exchange.timeout_s = timeout_s

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
        sent_ns = time.monotonic_ns()
        self._exchange.send(Frame(Kind.PING, 0, str(message).encode()))
        frame = self._exchange.answer()
        back_ns = time.monotonic_ns()
        self._pong_ns = back_ns
        self._pong = Pong(
            frame.body.decode(errors="replace"),
            back_ns - sent_ns,
            frame.stamp_ns - (sent_ns + back_ns) // 2,
        )
        return self._pong

    def _recent_pong(self) -> Pong:
        if self._pong is None or time.monotonic_ns() - self._pong_ns > PONG_NS:
            return self._ping("")
        return self._pong

    def get_subroutine_batch(self, name: str, arguments: list[Any] = _NO_ARGUMENTS, **kwargs: Any) -> Batch:
        """Call a function on the gateway; returns the bytes it returns, with their ident.

        Raises:
            SubroutineError: It failed, does not exist, or is a generator.
            LinkError: The connection is gone.
        """
        frame = self._exchange.call(_BATCH, name, arguments, kwargs)
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
        unsent = CONTROL_UNSENT_BYTES if self._purpose in ("safety", "control") else SINK_UNSENT_BYTES
        return Sink(self._channel, name, unsent)

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
        **kwargs: Any,
    ) -> Subscription:
        """Receive a stream in a thread of its own; this pair is its until `stop`.

        With a callback it is called in that thread.  Without, iterate:
        `for ident, buffer in subscription`.  `on_end(error)` is called once,
        in that thread, when the stream has ended for any reason.
        """

        def draw(on_item: StreamCallback, stopping: threading.Event) -> None:
            self._stream(name, on_item, arguments, kwargs, stopping)

        self._subscriptions = [earlier for earlier in self._subscriptions if not earlier.has_ended]
        self._subscriptions.append(Subscription(name, self, draw, callback, on_end))
        return self._subscriptions[-1]

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
    def _files_moving(self) -> Iterator[None]:
        """However it ends, the pair is then free for other things, or closed."""
        self._exchange.check_open()
        try:
            yield
        except Stopped as exc:
            raise exc.cause from None
        finally:
            if self._channel.session.state is not State.IDLE:
                self._exchange.cut()

    def close_handler(self) -> None:
        """Close this pair and give its place in the gateway's pool back; idempotent."""
        self.close()

    def close(self) -> None:
        """Stop its subscriptions, close the pair, wait up to 1 s for its place to be free.  Idempotent."""
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
            self._exchange.cut()

    def abort(self) -> None:
        """Cut the connection now, from any thread; whoever waits in it gets LinkClosed."""
        self._channel.abort()

    def close_gateway(self) -> None:
        """Stop the whole gateway; needs role admin.  It has stopped listening when this returns.

        Raises:
            SubroutineError: Not allowed.
            LinkError: The connection is gone.
        """
        self._exchange.send(Frame(Kind.CLOSE_GATEWAY))
        check(self._exchange.answer(), "close_gateway")
        try:
            self._exchange.await_close()
        finally:
            self._exchange.cut()

    def _stream(
        self,
        name: str,
        callback: StreamCallback,
        arguments: list[Any],
        kwargs: dict[str, Any],
        stopping: threading.Event | None = None,
    ) -> bool:
        """True when the generator ended by itself, False when the callback or `stopping` ended it."""
        window = Window(self._recent_pong().rtt_ns)
        self._exchange.request(Kind.STREAM, name, arguments, kwargs)
        while True:
            frame = self._next(stopping)
            if frame is None:
                self._cancel(name, STOP_TIMEOUT_S)
                return False
            if frame.kind != _ITEM and frame.kind != _ITEMS:
                check(frame, name)
                return True
            self.stamp_ns = frame.stamp_ns
            self.replaced += frame.replaced
            credited = frame.flags & _CREDITED
            if credited:
                window.came(time.monotonic_ns(), frame.stamp_ns, frame.replaced)
            many = self._exchange.items(frame) if frame.kind == _ITEMS else None
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
            if credited and (credit := window.consumed(time.monotonic_ns())):
                self._exchange.send(Frame(Kind.CREDIT, credit))

    def _next(self, stopping: threading.Event | None) -> Frame | None:
        """The next frame of a stream; None once `stopping` is set."""
        if stopping is None:
            return self._exchange.receive()
        while not stopping.is_set():
            try:
                return self._exchange.receive(STOP_POLL_S)
            except DeadlineExceeded:
                continue
        return None

    def _cancel(self, name: str, timeout_s: float) -> None:
        """End the running stream and read what was on its way."""
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
