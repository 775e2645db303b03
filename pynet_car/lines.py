"""The pairs between one driver and one car: each line is one pair with one job."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from pynet_car.race import RETRY_S
from pynet_core.client import Client, Pong, Sink
from pynet_core.controller import PairId
from pynet_core.errors import LinkClosed, LinkError, ProtocolError, PynetError, SubroutineError
from pynet_core.subscription import Subscription

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

NOT_ALLOWED_RETRY_S: Final = 5.0  # what the car does not offer will not come by asking twice a second
PING_PERIOD_S: Final = 0.5
ASK_TIMEOUT_S: Final = 1.0
STUCK_SINK_S: Final = 0.5  # every put dropped for this long: its pair waits for a retransmission timer


class Line(Protocol):
    """One pair with one job.  `open` and `check` are called by the keeper only."""

    purpose: str
    pair: PairId
    retry_at_s: float  # monotonic; not to be opened before

    @property
    def is_up(self) -> bool: ...

    def open(self, client: Client) -> None:
        """Start the job on this fresh client, in place of the one before, which is cut."""

    def check(self, now_s: float) -> None:
        """Anything to do while it is up."""

    def cut(self) -> None:
        """End the pair now, from any thread; the keeper will open it again."""


class _OnePair:
    """What all lines have: the client of the moment, which may be cut."""

    def __init__(self, purpose: str, changed: threading.Event) -> None:
        self.purpose = purpose
        self.pair = PairId()
        self.retry_at_s = 0.0
        self._changed = changed
        self._client: Client | None = None
        self._is_cut = False

    def check(self, now_s: float) -> None:
        """Nothing, unless a line has something to look after."""

    def cut(self) -> None:
        self._is_cut = True
        client = self._client  # it may be exchanged meanwhile
        if client is not None:
            client.abort()


class StreamLine(_OnePair):
    """A stream that is subscribed to again whenever its pair is lost."""

    def __init__(
        self,
        name: str,
        on_bytes: Callable[[bytes], None],
        changed: threading.Event,
        *,
        purpose: str = "stream",
    ) -> None:
        super().__init__(purpose, changed)
        self.name = name
        self.error: BaseException | None = None
        self.undecodable = 0  # items that were not what this stream carries
        self.item_at_s = 0.0  # monotonic, of the newest item
        self._on_bytes = on_bytes
        self._subscription: Subscription | None = None

    @property
    def is_up(self) -> bool:
        return self._subscription is not None and not self._subscription.has_ended and not self._is_cut

    @property
    def replaced(self) -> int:
        """Items the car skipped for newer ones, on the pair there is now."""
        return 0 if self._subscription is None else self._subscription.stats.replaced

    def open(self, client: Client) -> None:
        self.cut()
        self.item_at_s = time.monotonic()  # silence counts from here
        self._client = client

        def on_end(error: BaseException | None) -> None:
            self._on_end(client, error)

        self._subscription = client.subscribe(self.name, self._on_item, on_end=on_end)
        self._is_cut = False

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.stop()

    def _on_item(self, name: str, ident: int, buffer: bytes) -> None:
        self.item_at_s = time.monotonic()
        self._on_bytes(buffer)

    def _on_end(self, client: Client, error: BaseException | None) -> None:
        if client is not self._client:  # another has taken its place
            client.close()
            return
        self.error = error
        wait_s = 0.0 if self._is_cut else RETRY_S
        if isinstance(error, SubroutineError) and error.code in (403, 404):
            wait_s = NOT_ALLOWED_RETRY_S
        elif error is not None and not isinstance(error, PynetError):
            wait_s = math.inf  # the callback raised, has been logged, and would only raise again
        self.retry_at_s = time.monotonic() + wait_s
        client.close()
        self._changed.set()


class DriveLine(_OnePair):
    """Commands to the car, one way.  `put` belongs to the sender's thread."""

    def __init__(self, name: str, changed: threading.Event) -> None:
        super().__init__("control", changed)
        self.name = name
        self.dropped = 0
        self._sink: Sink | None = None
        self._put_at_s = 0.0  # of the newest put that was not dropped

    @property
    def is_up(self) -> bool:
        return self._sink is not None and not self._is_cut

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
        before, self._client = self._client, client
        self._put_at_s = time.monotonic()
        self._is_cut = False
        self._sink = sink  # last: from here on it is the sender's
        if before is not None:
            before.abort()  # the sender may be in it
            before.close()

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
        client.close()
        if sink is self._sink:
            self._sink = None
            self.retry_at_s = now_s
            self._changed.set()

    def close(self) -> None:
        """Only once the sender has ended."""
        if self._client is not None:
            self._client.abort()
            self._client.close()
        self._sink = None


class AskLine(_OnePair):
    """Requests that are answered at once, from any thread, one at a time; pings in between.

    Nobody would notice otherwise that the pair for the e-stop is no longer one.
    """

    def __init__(
        self, purpose: str, changed: threading.Event, on_pong: Callable[[Pong], object] = lambda pong: None
    ) -> None:
        super().__init__(purpose, changed)
        self._on_pong = on_pong
        self._ping_at_s = 0.0
        self._opened = threading.Condition()  # also the lock: one request at a time

    @property
    def is_up(self) -> bool:
        client = self._client
        return client is not None and client.connected and not self._is_cut

    def open(self, client: Client) -> None:
        client.timeout_s = ASK_TIMEOUT_S
        self.cut()  # who waits in it would hold the lock
        with self._opened:
            before, self._client = self._client, client
            self._is_cut = False
            self._opened.notify_all()
        if before is not None:
            before.close()

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
        if now_s - self._ping_at_s >= PING_PERIOD_S:
            self._ping_at_s = now_s
            try:
                pong = self._use(lambda client: client.ping(""))
            except PynetError as exc:  # the peer's breaking the wire format too, which costs the pair
                _log.debug("ping failed: %s", exc)
            else:
                self._on_pong(pong)

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
            except (LinkError, ProtocolError):
                self._changed.set()
                raise
