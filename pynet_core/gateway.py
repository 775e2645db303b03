"""The listening side of a swarm: accepts pairs, gives each a Handler out of a pool, and can stop them all."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Self, TypeVar, overload

from pynet_core.admission import Admission, choose_host, plain_ip
from pynet_core.channel import PlainChannel
from pynet_core.discovery import Announcement, why_not
from pynet_core.errors import ConfigError, LinkError
from pynet_core.feed import Feed, Keep
from pynet_core.handler import Handler
from pynet_core.keys import Identity
from pynet_core.listening import listen, wake_and_close
from pynet_core.pool import OnPair, Pool
from pynet_core.pump import Pumps
from pynet_core.session import Session
from pynet_core.subroutines import Peer, Registry
from pynet_core.switching import SwitchInterval
from pynet_core.tls import TlsChannel
from pynet_core.transfer.serving import FileAccess
from pynet_core.trust import Trusted, TrustStore
from pynet_core.wire import MAX_CONTROL_BYTES, MAX_ITEM_BYTES, MAX_NAME_CHARS, Hello, Welcome

_log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 1857
DEFAULT_POOLSIZE: Final = 5
WATCH_PERIOD_S: Final = 0.5
STOP_WAIT_S: Final = 2.0

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Gateway:
    """Offers subroutines to any number of controllers.

    `port` 0 takes a free one; `gw.port` then says which.  With an `identity`,
    or PYNET_KEY, it listens everywhere unless `host` says where, and lets in
    whom `trust` lists; without, on this machine only, and everybody is admin.
    `max_per_identity` limits the pairs of one device; `safety_places` of the
    pool are kept for pairs of purpose safety.  `on_pair(peer, 'opened' | 'closed')` is
    called once for each, one call at a time and in the order in which it
    happened, in a thread of the gateway's; others wait for it to return.

    Peers of role admin may read files below `roots`, or with None whatever
    this user may, and write below `download_dir` ('Downloads' when empty).
    What is there they may remove too; what they may read, with `allow_remove`.

    With `announce` it tells the local network of itself (`pynet find`), if
    others can call it at all, and in a word, `kind`, what it is.

    `switch_interval_s`, 0.0005 say, is how long another thread that computes
    in Python may hold up a call, 5 ms by Python's own choice.  It counts for
    the whole process while the gateway runs, of several gateways the shortest;
    None leaves it alone.
    """

    def __init__(
        self,
        port: int = DEFAULT_PORT,
        max_poolsize: int = DEFAULT_POOLSIZE,
        download_dir: str = "",
        *,
        host: str | None = None,
        identity: Identity | None = None,
        trust: TrustStore | None = None,
        max_per_identity: int | None = None,
        safety_places: int = 0,
        name: str = "",
        on_pair: OnPair | None = None,
        roots: Iterable[str | os.PathLike[str]] | None = None,
        announce: bool = False,
        kind: str = "",
        allow_remove: bool = False,
        switch_interval_s: float | None = None,
    ) -> None:
        """Nothing listens before `start`.

        Raises:
            ValueError: An argument is out of its range, or `host` is open to others and there is no identity.
            TypeError: `roots` is one folder, and no list of them.
            ConfigError: An identity or a list is not fit for use, or what announces is not installed.
        """
        if not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(f"port must be 0 to 65535, got {port!r}")
        if isinstance(roots, (str, bytes, os.PathLike)):  # a text would be one root for each letter, '/' too
            raise TypeError(f"roots is a list of folders, got {roots!r}: write [...] around it")
        if announce and (why := why_not()):
            raise ConfigError(why)
        self.host, credentials = choose_host(host, identity, trust)
        self.admission = Admission(
            credentials,
            max_poolsize=max_poolsize,
            max_per_identity=max_per_identity,
            safety_places=safety_places,
        )
        self.port = port
        self.max_poolsize = max_poolsize
        self.download_dir = download_dir
        self.name = (name or socket.gethostname())[:MAX_NAME_CHARS]
        self.registry = Registry()
        self.pumps = Pumps()
        self.files = FileAccess(roots, download_dir, allow_remove=allow_remove)
        self.announces = announce  # where others can call
        self.kind = kind
        self._announcement: Announcement | None = None
        self._switching = SwitchInterval(switch_interval_s)
        self.pool = Pool(self.admission, on_pair)
        self._lock = threading.Lock()  # of the listener, which one of many may stop
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._stopped.set()

    def add_subroutine(
        self,
        name: str,
        subroutine: Callable[..., Any] | Feed,
        *,
        shared: bool = False,
        keep: Keep = "every",
        keyed: bool = False,
        role: str = "viewer",
    ) -> None:
        """Offer a function or generator function under a name; a later one of that name replaces it.

        A `Feed` in its place is a stream for all that other threads put into.
        `shared`: one generator feeds all subscribers.  `keep='latest'`: a slow
        subscriber skips to the newest item; `'every'`: it gets each one, or an
        error when a shared stream leaves it 256 behind for half a second.
        `keyed`, with `'latest'`: idents are channels, it gets the newest of each.
        `role`: viewer, driver or admin, the least a caller must be.

        Raises:
            ValueError, TypeError: What is wrong with the arguments.
        """
        self.registry.add(name, subroutine, shared=shared, keep=keep, role=role, keyed=keyed)

    @overload
    def subroutine(self, function: _Function) -> _Function: ...

    @overload
    def subroutine(
        self,
        *,
        name: str = "",
        shared: bool = False,
        keep: Keep = "every",
        keyed: bool = False,
        role: str = "viewer",
    ) -> Callable[[_Function], _Function]: ...

    def subroutine(self, function: Any = None, *, name: str = "", **options: Any) -> Any:
        """`add_subroutine` as a decorator, by the function's own name unless `name` gives another.

        `@gw.subroutine`, or with options `@gw.subroutine(shared=True, role="driver")`.

        Raises:
            ValueError, TypeError: As `add_subroutine`.
        """
        if isinstance(function, str):
            raise TypeError(f"write @gw.subroutine(name={function!r})")

        def add(function: Any) -> Any:
            self.add_subroutine(name or getattr(function, "__name__", ""), function, **options)
            return function

        return add if function is None else add(function)

    def remove_subroutine(self, name: str) -> None:
        """Offer it no longer; calls and streams that run go on.

        Raises:
            UnknownSubroutine: Nothing of that name.
        """
        self.registry.remove(name)

    @property
    def is_running(self) -> bool:
        return not self._stopped.is_set()

    @property
    def fingerprint(self) -> str:
        """Of the device that callers come to; '' where nobody has to prove anything."""
        credentials = self.admission.credentials
        return "" if credentials is None else credentials.own.fingerprint

    def start(self, blocking: bool = False) -> None:
        """Listen.  With `blocking`, return only when the gateway has been stopped (Ctrl-C stops it).

        Raises:
            LinkError: The address cannot be listened on, the gateway runs already, or no thread is left.
        """
        if self.is_running:
            raise LinkError(f"this gateway already listens on port {self.port}")
        self._listener = listen(self.host, self.port)
        address, self.port = self._listener.getsockname()[:2]
        self._switching.hold()
        self._stopping.clear()
        self._stopped.clear()
        self._threads = [
            threading.Thread(target=self._watch, name="pynet watch", daemon=True),
            # Last: who it lets in may stop us, and only threads that have started can be waited for.
            threading.Thread(target=self._accept, args=(self._listener,), name="pynet accept", daemon=True),
        ]
        try:
            if self.announces:  # before anybody is let in, who may stop us: what ends it must find it
                self._announcement = Announcement(self.name, address, self.port, self.fingerprint, self.kind)
            for thread in self._threads:
                thread.start()
        except RuntimeError as exc:  # the machine has no thread left
            self.stop()
            raise LinkError(f"the gateway on port {self.port} cannot start: {exc}") from exc
        _log.info("gateway listens on %s port %d, %s", self.host, self.port, self.admission)
        _log.info("%s", self.files)
        if blocking:
            try:
                self._stopped.wait()
            except KeyboardInterrupt:
                self.stop()

    def stop(self) -> list[str]:
        """Close every pair and end every thread, within 2 s; idempotent.

        Returns the subroutines whose code has not come back: their threads
        cannot be ended by us, and end when it does.  In `on_pair`, for which
        all that close wait, it only begins, and goes on when that has returned.
        """
        if self.pool.tells_here:
            self.stop_soon()
            return []
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is None:
            self._stopped.wait(STOP_WAIT_S)
            return []
        try:
            return self._stop(listener)
        finally:
            self._switching.release()
            self._stopped.set()

    def _stop(self, listener: socket.socket) -> list[str]:
        end = time.monotonic() + STOP_WAIT_S
        self._stopping.set()
        wake_and_close(listener)
        if self._announcement is not None:
            self._announcement.stop_soon()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_left_s(end))  # no new handlers after this
        handlers = self.pool.all()
        for handler in handlers:
            handler.abort()
        stuck = {handler.running or "?" for handler in handlers if not handler.join(_left_s(end))}
        stuck |= set(self.pumps.join(_left_s(end)))  # last: they end when nobody listens any more
        if self._announcement is not None:
            self._announcement.stop(_left_s(end))  # it has been going since we began
        for name in sorted(stuck):
            _log.warning("gateway stopped, but subroutine %r is stuck and keeps its thread", name)
        return sorted(stuck)

    def stop_soon(self) -> None:
        """Stop, from a thread of its own: a handler cannot wait for itself."""
        threading.Thread(target=self.stop, name="pynet stop", daemon=True).start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Called by handlers, in their threads.

    def admit(self, handler: Handler, hello: Hello, device: Trusted | None) -> tuple[Peer, Welcome]:
        """Give the handler a place in the pool.

        Raises:
            NotAdmitted: 401 not its id, 500 bad purpose or an attempt that is not newer, 503 no place.
        """
        peer = self.pool.admit(handler, hello, device)
        return peer, Welcome(
            gateway=self.name,
            role=peer.role,
            max_item_bytes=MAX_ITEM_BYTES,
            max_control_bytes=MAX_CONTROL_BYTES,
        )

    def retire(self, handler: Handler) -> None:
        """Take the handler's place back; idempotent, any thread."""
        self.pool.retire(handler)

    def _accept(self, listener: socket.socket) -> None:
        trouble = ""
        while not self._stopping.is_set():
            if not self.pool.room.acquire(timeout=WATCH_PERIOD_S):
                continue  # newcomers wait in the kernel's backlog until one has said HELLO or run out of time
            try:
                sock, address = listener.accept()
            except OSError as exc:
                self.pool.room.release()
                if self._stopping.is_set():
                    return
                # Out of descriptors, or the peer gave up in the backlog: no reason to stop listening.
                if str(exc) != trouble:  # told once: it is tried again twice a second
                    _log.warning("accept failed: %s", exc)
                trouble = str(exc)
                self._stopping.wait(WATCH_PERIOD_S)
                continue
            trouble = ""
            ip, port = plain_ip(address[0]), address[1]
            if self.pool.is_crowded(ip):
                sock.close()
                self.pool.room.release()
                continue
            channel = PlainChannel if self.admission.credentials is None else TlsChannel
            handler = Handler(channel(sock, Session("gateway")), self, ip, port)
            self.pool.enter(handler)
            try:
                handler.start()
            except RuntimeError as exc:  # the machine has no thread left for it
                _log.warning("peer %s turned away: %s", handler.address, exc)
                self.retire(handler)
                sock.close()
                self._stopping.wait(WATCH_PERIOD_S)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_PERIOD_S):
            self.pool.look_round()


def _left_s(end_s: float) -> float:
    return max(0.0, end_s - time.monotonic())
