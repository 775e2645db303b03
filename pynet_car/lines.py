"""The pairs between one driver and one car, and the thread that keeps them open.

Each line is one pair with one job.  The keeper opens what is down every 0.5 s
and, when the car's echo has been silent for 1 s, cuts everything: after a
stall TCP would wait seconds for its own timer, a new pair does not.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from pynet_core.client import Client, Pong, Sink
from pynet_core.controller import Controller, PairId
from pynet_core.errors import LinkClosed, LinkError, PynetError, SubroutineError
from pynet_core.subscription import Subscription

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

RETRY_S: Final = 0.5
NOT_ALLOWED_RETRY_S: Final = 5.0  # what the car does not offer will not come by asking twice a second
RETRY_TIMEOUT_S: Final = 0.5  # a new SYN beats waiting for the kernel to repeat an old one after 1 s
SILENCE_S: Final = 1.0  # 50 Status messages late
PING_PERIOD_S: Final = 0.5
ASK_TIMEOUT_S: Final = 1.0
STUCK_SINK_S: Final = 0.5  # every put dropped for this long: its pair waits for a retransmission timer
CHECK_PERIOD_S: Final = 0.1


class Line(Protocol):
    """One pair with one job.  `open` and `check` are called by the keeper only."""

    purpose: str
    pair: PairId
    retry_at_s: float  # monotonic; not to be opened before

    @property
    def is_up(self) -> bool: ...

    def open(self, client: Client) -> None:
        """Start the job on this fresh client."""

    def check(self, now_s: float) -> None:
        """Anything to do while it is up."""

    def cut(self) -> None:
        """End the pair now, from any thread; the keeper will open it again."""


class StreamLine:
    """A stream that is subscribed to again whenever its pair is lost."""

    purpose = "stream"

    def __init__(self, name: str, on_bytes: Callable[[bytes], None], changed: threading.Event) -> None:
        self.name = name
        self.pair = PairId()
        self.retry_at_s = 0.0
        self.error: BaseException | None = None
        self.undecodable = 0  # items that were not what this stream carries
        self.item_at_s = 0.0  # monotonic, of the newest item
        self._on_bytes = on_bytes
        self._changed = changed
        self._subscription: Subscription | None = None
        self._client: Client | None = None

    @property
    def is_up(self) -> bool:
        return self._subscription is not None and not self._subscription.has_ended

    @property
    def replaced(self) -> int:
        """Items the car skipped for newer ones, on the pair there is now."""
        return 0 if self._subscription is None else self._subscription.stats.replaced

    def open(self, client: Client) -> None:
        self.item_at_s = time.monotonic()  # silence counts from here
        self._client = client
        self._subscription = client.subscribe(self.name, self._on_item, on_end=self._on_end)

    def check(self, now_s: float) -> None:
        pass

    def cut(self) -> None:
        if self._client is not None:
            self._client.abort()

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.stop()

    def _on_item(self, name: str, ident: int, buffer: bytes) -> None:
        self.item_at_s = time.monotonic()
        self._on_bytes(buffer)

    def _on_end(self, error: BaseException | None) -> None:
        self.error = error
        wait_s = RETRY_S
        if isinstance(error, SubroutineError) and error.code in (403, 404):
            wait_s = NOT_ALLOWED_RETRY_S
        elif error is not None and not isinstance(error, PynetError):
            wait_s = math.inf  # the callback raised, has been logged, and would only raise again
        self.retry_at_s = time.monotonic() + wait_s
        if self._client is not None:
            self._client.close()
        self._changed.set()


class DriveLine:
    """Commands to the car, one way.  `put` belongs to the sender's thread."""

    purpose = "control"

    def __init__(self, name: str, changed: threading.Event) -> None:
        self.name = name
        self.pair = PairId()
        self.retry_at_s = 0.0
        self.dropped = 0
        self._changed = changed
        self._client: Client | None = None
        self._sink: Sink | None = None
        self._put_at_s = 0.0  # of the newest put that was not dropped

    @property
    def is_up(self) -> bool:
        return self._sink is not None

    def open(self, client: Client) -> None:
        """Who may watch only gets no sink, and that is no error: his role may change."""
        try:
            sink = client.open_buffer(self.name)
        except SubroutineError as exc:
            if exc.code != 403:
                raise
            client.close()
            self.retry_at_s = time.monotonic() + NOT_ALLOWED_RETRY_S
            return
        self._client = client
        self._put_at_s = time.monotonic()
        self._sink = sink  # last: from here on it is the sender's

    def check(self, now_s: float) -> None:
        pass

    def cut(self) -> None:
        if self._client is not None:
            self._client.abort()

    def put(self, command: bytes) -> None:
        """Send, or drop when the link does not take it.  Never blocks, never raises."""
        sink, client = self._sink, self._client
        if sink is None or client is None:
            return
        now_s = time.monotonic()
        try:
            if sink.put(command):
                self._put_at_s = now_s
                return
            self.dropped += 1
            if now_s - self._put_at_s < STUCK_SINK_S:
                return
            client.abort()
        except PynetError as exc:
            _log.info("drive line lost: %s", exc)
        self._sink = None
        self.retry_at_s = now_s
        client.close()
        self._changed.set()

    def close(self) -> None:
        """Only once the sender has ended."""
        if self._client is not None:
            self._client.abort()
            self._client.close()
        self._sink = None


class AskLine:
    """Requests that are answered at once, from any thread, one at a time; pings in between if asked to."""

    def __init__(
        self, purpose: str, changed: threading.Event, on_pong: Callable[[Pong], None] | None = None
    ) -> None:
        self.purpose = purpose
        self.pair = PairId()
        self.retry_at_s = 0.0
        self._changed = changed
        self._on_pong = on_pong
        self._ping_at_s = 0.0
        self._opened = threading.Condition()  # also the lock: one request at a time
        self._client: Client | None = None

    @property
    def is_up(self) -> bool:
        client = self._client
        return client is not None and client.connected

    def open(self, client: Client) -> None:
        client.timeout_s = ASK_TIMEOUT_S
        with self._opened:
            self._client = client
            self._opened.notify_all()

    def ask(self, name: str, buffer: bytes = b"") -> int:
        """The int that the car's subroutine returns.

        Raises:
            SubroutineError: The car could not.
            LinkError: No link, or no answer within 1 s.
        """
        return self._use(lambda client: client.send_subroutine_batch(name, buffer))

    def fetch(self, name: str) -> bytes:
        """The bytes that the car's subroutine returns; raises as `ask`."""
        return self._use(lambda client: client.get_subroutine_batch(name))

    def check(self, now_s: float) -> None:
        if self._on_pong is not None and now_s - self._ping_at_s >= PING_PERIOD_S:
            self._ping_at_s = now_s
            try:
                self._on_pong(self._use(lambda client: client.ping("")))
            except LinkError as exc:
                _log.debug("ping failed: %s", exc)

    def cut(self) -> None:
        client = self._client
        if client is not None:
            client.abort()

    def close(self) -> None:
        with self._opened:
            if self._client is not None:
                self._client.close()

    def _use(self, request: Callable[[Client], _T]) -> _T:
        with self._opened:
            if not self._opened.wait_for(lambda: self.is_up, ASK_TIMEOUT_S) or self._client is None:
                raise LinkClosed("no link to the car")
            try:
                return request(self._client)
            except LinkError:
                self._changed.set()
                raise


class Keeper:
    """The thread that keeps lines open: every 0.5 s it tries those that are down."""

    def __init__(self, controller: Controller, changed: threading.Event) -> None:
        self._controller = controller
        self._changed = changed  # set by lines that went down
        self._lines: tuple[Line, ...] = ()
        self._echoes: tuple[StreamLine, ...] = ()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pynet keeper", daemon=True)
        self.error: PynetError | None = None  # why the newest attempt failed; None when all is up

    def open(self, lines: tuple[Line, ...], echoes: tuple[StreamLine, ...], timeout_s: float) -> None:
        """Open all lines and keep them so.

        Raises:
            LinkError: One could not be opened; none is left open then.
        """
        self._echoes = echoes
        for line in lines:
            self._open(line, timeout_s)
            self._lines = (*self._lines, line)
        self._thread.start()

    def add(self, line: Line) -> None:
        """Keep one more line open."""
        self._lines = (*self._lines, line)
        self._changed.set()

    def close(self) -> None:
        """End the thread; the lines stay as they are."""
        self._closing = True
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def silent_s(self) -> float:
        """How long ago the newest echo came, over all echo lines."""
        return time.monotonic() - max(line.item_at_s for line in self._echoes)

    def _run(self) -> None:
        while not self._closing:
            self._changed.wait(CHECK_PERIOD_S)
            self._changed.clear()
            lines = self._lines
            if self.silent_s > SILENCE_S:
                for line in lines:
                    if line.is_up:
                        line.cut()
            else:
                for echo in self._echoes:  # one of them may be stuck alone
                    if echo.is_up and time.monotonic() - echo.item_at_s > SILENCE_S:
                        echo.cut()
            self._mend(lines)

    def _mend(self, lines: tuple[Line, ...]) -> None:
        for line in lines:
            now_s = time.monotonic()
            if self._closing:
                return
            if line.is_up:
                line.check(now_s)
            elif now_s >= line.retry_at_s:
                line.retry_at_s = now_s + RETRY_S
                try:
                    self._open(line, RETRY_TIMEOUT_S)
                    self.error = None
                except PynetError as exc:
                    if self.error is None:
                        _log.info("no link to the car: %s", exc)
                    self.error = exc
                    return  # where one cannot, the next would only wait as well

    def _open(self, line: Line, timeout_s: float) -> None:
        client = self._controller.get_client(purpose=line.purpose, pair=line.pair, timeout_s=timeout_s)
        client.timeout_s = timeout_s
        try:
            line.open(client)
        except PynetError:
            client.close()
            raise
