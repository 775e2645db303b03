"""The gateway's end of one pair: a thread that reads requests and runs subroutines for its peer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from pynet_core.admission import Admission, NotAdmitted
from pynet_core.channel import JOIN_BELOW_BYTES, RECEIVE_BYTES, PlainChannel, words
from pynet_core.clock import Deadline
from pynet_core.errors import (
    DeadlineExceeded,
    LinkClosed,
    LinkError,
    LocalProtocolError,
    ProtocolError,
    PynetError,
    RemoteProtocolError,
)
from pynet_core.feed import Feed
from pynet_core.gather import Gatherer
from pynet_core.items import CAPABILITY
from pynet_core.mailbox import TooManyChannels, TooSlow
from pynet_core.pump import NoThread, Pumps, TooManyUnheard, UserCodeFailed
from pynet_core.pumped import send_pumped
from pynet_core.replies import CODES, batch_reply, buffer_reply, failure_of
from pynet_core.subroutines import (
    MAX_SUBROUTINE_CHARS,
    NotAllowed,
    Peer,
    Registry,
    Role,
    Subroutine,
    UnknownSubroutine,
    WrongUse,
    set_caller,
)
from pynet_core.transfer.serving import FileAccess, Resting
from pynet_core.trust import Trusted
from pynet_core.wire import (
    HEADER,
    HEADER_BYTES,
    MAGIC,
    MAX_SEEN_CALLS,
    WIRE_VERSION,
    Call,
    CallReader,
    Failure,
    Frame,
    Hello,
    Kind,
    Welcome,
    pack_body,
    unpack_body,
)

_log = logging.getLogger(__name__)

OPENING_TIMEOUT_S: Final = 1.9  # from accept to HELLO; who is too slow has been told so within 2 s

# On 3.11 a member of an enum class is found by a Python function; these are asked for with every call.
_BATCH: Final = Kind.BATCH
_BUFFER: Final = Kind.BUFFER
_REPLY: Final = Kind.REPLY
_CALLS: Final = frozenset({Kind.BATCH, Kind.BUFFER})
_pack: Final = HEADER.pack
_unpack: Final = HEADER.unpack_from
_IDENTS: Final = range(-(2**63), 2**63)


class Host(Protocol):
    """What a Handler needs of its gateway."""

    registry: Registry
    pumps: Pumps
    files: FileAccess
    admission: Admission

    def admit(self, handler: Handler, hello: Hello, device: Trusted | None) -> tuple[Peer, Welcome]:
        """Give the handler a place; raises NotAdmitted."""

    def retire(self, handler: Handler) -> None:
        """Take the place back; idempotent."""

    def stop_soon(self) -> None:
        """Stop the gateway, from a thread of its own."""


class Handler:
    """Serves one pair until it closes.  Its thread owns the channel."""

    def __init__(self, channel: PlainChannel, host: Host, ip: str, port: int) -> None:
        self._channel = channel
        self._host = host
        self.ip = ip
        self.address = f"{ip}:{port}"
        self.hello: Hello | None = None
        self.peer: Peer | None = None
        self._calls = CallReader()
        self._resting = Resting()
        self._known: dict[bytes, tuple[str, Callable[..., Any]]] = {}  # a call's bytes: what it calls,
        self._known_version = -1  # as the registry was then
        self.running = ""  # the subroutine whose code runs now
        self.turns = 0  # times it has come back from there
        self._thread = threading.Thread(target=self._run, name=f"pynet handler {self.address}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def abort(self) -> None:
        """End the pair from any thread."""
        self._channel.abort()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is still stuck in a subroutine."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def peer_has_gone(self) -> bool:
        return self._channel.peer_has_gone()

    def _run(self) -> None:
        why = "closed by peer"
        try:
            self._open()
            while self._serve(self._next_request()):
                pass
        except NotAdmitted as exc:
            why = f"refused with {exc.code}: {exc}"
        except LinkError as exc:
            why = str(exc)
        except ProtocolError as exc:
            why = f"broke the protocol: {exc}"
            _log.warning("%s %s", self.address, why)
        finally:
            self._resting.close()
            self._host.retire(self)
            self._channel.close()  # last: a controller that has seen this end finds the place free
            _log.debug("pair with %s ended: %s", self.address, why)

    def _open(self) -> None:
        deadline = Deadline(OPENING_TIMEOUT_S, "HELLO")
        try:
            device = self._host.admission.prove(self._channel, deadline)
        except NotAdmitted as exc:
            self._refuse(exc)
            self._channel.say_last(deadline)
            raise
        try:
            self.peer, welcome = self._host.admit(self, self._hello(deadline, device), device)
        except NotAdmitted as exc:
            self._refuse(exc)
            self._channel.say_last(deadline)  # something may have been asked for already
            raise
        set_caller(self.peer)
        self._channel.carry(self.peer.purpose)
        self._channel.opened()
        self._channel.send(Frame(Kind.WELCOME, 200, pack_body(welcome)))

    def _hello(self, deadline: Deadline, device: Trusted | None) -> Hello:
        try:
            frame = self._channel.receive_by(deadline)
        except DeadlineExceeded as exc:
            if device is None:  # who knows what it is
                raise
            raise NotAdmitted(401, f"{device.name} has proved who it is, but said no HELLO") from exc
        if frame.ident != WIRE_VERSION:
            raise NotAdmitted(426, f"peer speaks wire {frame.ident}, this gateway {WIRE_VERSION}")
        hello = unpack_body(frame.body, Hello)
        if hello.magic != MAGIC or len(hello.controller_id) != 16 or len(hello.pair_id) != 8:
            raise RemoteProtocolError("peer sent a HELLO that is not pynet's")
        return hello

    def _refuse(self, exc: NotAdmitted) -> None:
        failure = pack_body(Failure(error="Refused", reason=str(exc)))
        self._channel.send(Frame(Kind.REFUSAL, exc.code, failure))

    def _next_request(self) -> Frame:
        """The next request.  Calls without arguments, of what has been called before, are answered here.

        That is `receive`, `_call` and `send`, written out for what comes whole and by itself.  The two ends
        of a call take turns, and each finds its caches cold: a function less is more than it is in a loop.
        """
        channel, known, registry = self._channel, self._known, self._host.registry
        sock = channel.bare
        if sock is None or not known or not channel.is_at_rest():
            return channel.receive()
        receive, send, heard = sock.recv, sock.sendall, channel.session.receive
        try:
            while True:
                data = receive(RECEIVE_BYTES)
                size = len(data) - HEADER_BYTES
                if size < 0 or channel.is_aborted:
                    break
                length, kind, ident, _ = _unpack(data)
                at = HEADER_BYTES + ident
                head = data[HEADER_BYTES:at]
                call = known.get(head)
                if call is None or len(head) != ident or length != size:
                    break
                if (kind != _BUFFER and kind != _BATCH) or registry.version != self._known_version:
                    break
                self.running, function = call
                buffer = data[at:]
                try:
                    result = function(buffer=buffer) if buffer else function()
                except BaseException as exc:  # not our code, sys.exit() included: told to the peer
                    heard(Frame(kind))
                    self._fail(exc)
                else:
                    if kind == _BUFFER and (result is None or (type(result) is int and result in _IDENTS)):
                        send(_pack(0, _REPLY, result or 0, 0))
                    elif kind == _BATCH and type(result) is bytes and len(result) < JOIN_BELOW_BYTES:
                        send(_pack(len(result), _REPLY, 0, 0) + result)
                    else:
                        heard(Frame(kind))
                        self._reply(kind, result)
                self.running = ""
        except OSError as exc:
            raise LinkClosed(f"connection lost: {words(exc)}") from exc
        return channel.go_on(data)

    def _serve(self, frame: Frame) -> bool:
        """Do what one request asks; False when the pair is done."""
        kind = frame.kind
        if kind in _CALLS:
            self._call(frame)
            return True
        match kind:
            case Kind.PING:
                self._channel.send(Frame(Kind.PONG, 0, frame.body, time.monotonic_ns()))
            case Kind.CLOSE_HANDLER:
                return False
            case Kind.CLOSE_GATEWAY:
                self._close_gateway()
            case Kind.LIST | Kind.TREE | Kind.FETCH | Kind.STORE | Kind.JOIN | Kind.REMOVE:
                return self._files(frame)
            case _:
                self._request(frame)
        return True

    def _close_gateway(self) -> None:
        if self._is_admin("closing the gateway"):
            self._channel.send(Frame(Kind.REPLY))
            self._host.stop_soon()

    def _files(self, frame: Frame) -> bool:
        """False when the pair is done."""
        self.running = "files"
        try:
            if self._is_admin("reading and writing files"):
                with self._channel.carrying_bulk():
                    return self._host.files.serve(frame, self._channel, self._resting)
        except (LinkError, ProtocolError):
            raise
        except PynetError as exc:
            self._fail(exc)
        finally:
            self.running = ""
        return True

    def _is_admin(self, what: str) -> bool:
        """The peer may; else it has been told that it may not."""
        assert self.peer is not None
        if Role.parse(self.peer.role) >= Role.ADMIN:
            return True
        self._fail(NotAllowed(f"{what} needs role admin, {self.peer.name} is {self.peer.role}"))
        return False

    def _request(self, frame: Frame) -> None:
        assert self.peer is not None
        call, buffer = self._calls.read(frame)
        kwargs = {**call.kwargs, "buffer": buffer} if buffer else call.kwargs
        self.running = call.name[:MAX_SUBROUTINE_CHARS]
        try:
            subroutine = self._host.registry.find(call.name, self.peer)
            if frame.kind == Kind.STREAM:
                self._stream(subroutine, call, kwargs)
            else:
                self._sink(subroutine, call)
        except (UnknownSubroutine, NotAllowed) as exc:
            self._fail(exc)
        finally:
            self.running = ""

    def _call(self, frame: Frame) -> None:
        assert self.peer is not None
        call, buffer = self._calls.read(frame)
        self.running = call.name[:MAX_SUBROUTINE_CHARS]
        version = self._host.registry.version
        try:
            subroutine = self._host.registry.find(call.name, self.peer)
            kwargs = {**call.kwargs, "buffer": buffer} if buffer else call.kwargs
            result = subroutine.call(call.arguments, kwargs)
        except BaseException as exc:  # not our code, sys.exit() included: told to the peer
            self._fail(exc)
        else:
            self._reply(frame.kind, result)
            if not (call.arguments or call.kwargs):
                self._remember(frame.body[: frame.ident], subroutine, version)
        self.running = ""

    def _reply(self, kind: int, result: Any) -> None:
        try:
            reply = batch_reply(result) if kind == _BATCH else buffer_reply(result)
        except BaseException as exc:  # nor is a payload's code ours
            self._fail(exc)
            return
        try:
            self._channel.send(reply)
        except LocalProtocolError as exc:  # too large, or its ident
            self._fail(exc)

    def _remember(self, head: bytes, subroutine: Subroutine, version: int) -> None:
        if version != self._known_version:
            self._known.clear()
            self._known_version = version
        if len(self._known) < MAX_SEEN_CALLS and not isinstance(subroutine.function, Feed):
            self._known[head] = subroutine.name, subroutine.function

    def _sink(self, subroutine: Subroutine, call: Call) -> None:
        if subroutine.is_generator:
            self._fail(WrongUse(f"{subroutine.name!r} is a generator; ask for it as a stream"))
            return
        self._channel.send(Frame(Kind.REPLY))
        while (frame := self._channel.receive()).kind == Kind.PUT:
            kwargs = {**call.kwargs, "buffer": frame.body} if frame.body else call.kwargs
            try:
                subroutine.call(call.arguments, kwargs)
            except BaseException as exc:  # not our code: told to the peer, and ends the sink
                self._fail(exc)
                return
            self.turns += 1
        self._channel.send(Frame(Kind.END))

    def _stream(self, subroutine: Subroutine, call: Call, kwargs: dict[str, Any]) -> None:
        def start() -> Iterator[Any]:
            if self.peer is not None and not subroutine.shared:
                set_caller(self.peer)  # in whichever thread the generator runs
            return subroutine.start(call.arguments, kwargs)

        gathers = self.hello is not None and CAPABILITY in self.hello.capabilities
        try:
            if subroutine.shared and (call.arguments or kwargs):
                self._fail(WrongUse(f"{subroutine.name!r} is shared by all; it takes no arguments"))
                return
            if subroutine.shared or subroutine.keep == "latest":
                source, box = self._host.pumps.subscribe(subroutine, start)
                try:
                    send_pumped(self._channel, box, newest=subroutine.keep == "latest", gathers=gathers)
                finally:
                    source.unsubscribe(box)
            else:
                Gatherer(self._channel, subroutine.name, gathers=gathers).run(start)
        except UserCodeFailed as exc:
            self._fail(exc.cause)
            return
        # The last: an item too large, or its ident.
        except (TooSlow, TooManyChannels, TooManyUnheard, NoThread, LocalProtocolError) as exc:
            self._fail(exc)
            return
        self._channel.send(Frame(Kind.END))

    def _fail(self, exc: BaseException) -> None:
        """Tell the peer in its words; the traceback stays here, in the log."""
        failure = failure_of(exc)
        # The peer's mistakes need no traceback here; a bug in the subroutine does.
        trace = None if isinstance(exc, PynetError) else exc
        _log.warning(
            "subroutine %r failed: %s: %s", self.running, failure.error, failure.reason, exc_info=trace
        )
        self._channel.send(Frame(Kind.ERROR, CODES.get(type(exc), 500), pack_body(failure)))
