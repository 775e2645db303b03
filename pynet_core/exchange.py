"""One request and its answer, what every operation of a client is made of: the calling end of a pair."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pynet_core.channel import JOIN_BELOW_BYTES, RECEIVE_BYTES, PlainChannel, words
from pynet_core.clock import FOR_EVER_S, Deadline
from pynet_core.errors import (
    DeadlineExceeded,
    FilesInterrupted,
    LinkClosed,
    LinkError,
    LocalProtocolError,
    RemoteProtocolError,
    SubroutineError,
)
from pynet_core.items import unpack_items
from pynet_core.payload import as_buffer
from pynet_core.redial import Redial
from pynet_core.session import State
from pynet_core.wire import (
    HEADER,
    HEADER_BYTES,
    MAX_SEEN_CALLS,
    Call,
    Failure,
    Frame,
    Kind,
    pack_call,
    unpack_body,
)

CLOSE_TIMEOUT_S: Final = 1.0
ANSWER: Final = "the gateway's answer"
TAKING: Final = "the gateway to take the request"
SENT_AT_ONCE_BYTES: Final = 2 * 1024  # the kernel takes these from an idle pair even if the link stands still
RECONNECT_TIMEOUT_S: Final = 30.0

_ERROR: Final = Kind.ERROR  # on 3.11 a member of an enum class is found by a Python function
_REPLY: Final = Kind.REPLY
_pack: Final = HEADER.pack
_unpack: Final = HEADER.unpack_from


class Exchange:
    """Sends requests and reads their answers; whatever leaves the pair in doubt closes it.

    `timeout_s` is how long a request and its answer may take, None for ever,
    and `deadline` when all must be done.  With `reconnects` a pair that has
    been lost is opened anew when the next thing is asked for.
    """

    def __init__(self, channel: PlainChannel, redial: Redial | None = None) -> None:
        self.channel = channel
        self._redial = redial
        self._bare: dict[str, bytes] = {}  # name: the Call without arguments, which is the same each time
        self.timeout_s: float | None = None
        self.deadline: Deadline | None = None
        self.reconnects = False
        self.reconnect_timeout_s: float | None = RECONNECT_TIMEOUT_S
        self.reconnections = 0
        self.is_done = False  # closed for good

    @property
    def is_open(self) -> bool:
        return not self.channel.is_closed

    def begin(self) -> PlainChannel:
        """The channel for the next operation, opened anew if it must and may be.

        Raises:
            LinkError: The pair is closed, or cannot be opened again.
            DeadlineExceeded: The deadline has passed.
        """
        if self.reconnects and not self.is_done:
            self.notice_loss()
            if not self.is_open:
                self.reopen(self.reconnect_timeout_s)
        self.check_open()
        return self.channel

    def notice_loss(self) -> None:
        """Close a pair that was lost while nothing was on its way, so that nothing is lost with it."""
        channel = self.channel
        if not channel.is_closed and channel.session.state is State.IDLE and channel.peer_has_gone():
            self.cut()

    def reopen(self, within_s: float | None, stopping: threading.Event | None = None) -> None:
        """Open the pair anew under the same id, in `within_s` or when the deadline comes; 0 is one try.

        Raises:
            LinkError: It cannot be, is closed for good, or `stopping` has been set.
        """
        if self._redial is None or self.is_done:
            self.check_open()
            return
        left_s = self.deadline_left_s()
        if left_s is not None:
            within_s = left_s if within_s is None else min(within_s, left_s)
        self.cut()
        self.channel = self._redial(within_s, stopping, most_s=left_s)
        self.reconnections += 1
        if self.is_done:  # closed meanwhile
            self.cut()
            self.check_open()

    def give_up(self, *, for_good: bool = False) -> None:
        """Stop trying to open it, and with `for_good` never try again; any thread."""
        self.is_done = self.is_done or for_good
        if self._redial is not None:
            self._redial.give_up(for_good=for_good)

    def remaining_s(self) -> float | None:
        """How long the next step may take: what `timeout_s` and `deadline` leave of it.

        Raises:
            DeadlineExceeded: The deadline has passed.
        """
        left_s = self.deadline_left_s()
        if left_s is None:
            return self.timeout_s
        return left_s if self.timeout_s is None else min(left_s, self.timeout_s)

    def deadline_left_s(self) -> float | None:
        """Seconds, more than 0; None without one.

        Raises:
            DeadlineExceeded: It has passed.
        """
        return None if self.deadline is None else self.deadline.remaining_s()

    def call(
        self, kind: Kind, name: str, arguments: list[Any], kwargs: dict[str, Any], buffer: Any = None
    ) -> Frame:
        """Ask for a subroutine, and wait for the answer.

        Raises:
            SubroutineError: It is an ERROR.
            LinkError: The connection is gone, or nothing came in time.
        """
        channel = self.channel
        head = None if arguments or kwargs or type(name) is not str else self._bare.get(name)
        sock, session = channel.bare, channel.session
        if (
            head is None
            or type(buffer) is not bytes
            or len(buffer) >= JOIN_BELOW_BYTES
            or sock is None
            or session.here is not session.idle
            or not channel.decoder.is_empty
            or self.timeout_s is not None
            or self.deadline is not None
            or self.reconnects
        ):
            return self._call(kind, name, arguments, kwargs, buffer)
        # What follows is `_call`, written out for an answer that comes whole and by itself.  The two ends of
        # a call take turns, and each finds its caches cold: a function less is more than it is in a loop.
        session.here = session.calling
        try:
            size = len(head)
            sock.sendall(_pack(size + len(buffer), kind, size, 0) + head + buffer)
            data = sock.recv(RECEIVE_BYTES)
            if len(data) >= HEADER_BYTES and not channel.is_aborted:
                length, word, ident, stamp_ns = _unpack(data)
                if word == _REPLY and length == len(data) - HEADER_BYTES:
                    session.here = session.idle
                    return Frame(word, ident, data[HEADER_BYTES:], stamp_ns)
            answer = channel.go_on(data)
        except BaseException as exc:  # as in `_call`
            self.cut()
            if isinstance(exc, OSError):
                raise LinkClosed(f"connection lost: {words(exc)}") from exc
            raise
        check(answer, name)
        return answer

    def _call(
        self, kind: Kind, name: str, arguments: list[Any], kwargs: dict[str, Any], buffer: Any
    ) -> Frame:
        frame = self._request_frame(kind, name, arguments, kwargs, buffer)
        channel = self.channel
        if channel.is_closed or self.reconnects:
            channel = self.begin()
        timeout_s = self.timeout_s if self.deadline is None else self.remaining_s()
        try:
            if timeout_s is None or len(frame.body) <= SENT_AT_ONCE_BYTES:
                channel.send(frame)
                answer = channel.receive(timeout_s, ANSWER)
            else:
                deadline = Deadline(timeout_s, ANSWER)  # for both
                with self.cut_after(timeout_s, TAKING):
                    channel.send(frame)
                answer = channel.receive_by(deadline)
        except LocalProtocolError:  # nothing was sent
            raise
        # Gone, late, or interrupted (Ctrl-C) who knows where in a frame: of no more use.  A late answer
        # would pass for the next one's.
        except BaseException:
            self.cut()
            raise
        check(answer, name)
        return answer

    def request(
        self, kind: Kind, name: str, arguments: list[Any], kwargs: dict[str, Any], buffer: Any = None
    ) -> None:
        """Ask for a subroutine.

        Raises:
            LocalProtocolError: The arguments cannot travel; nothing was sent.
            TypeError, ValueError: The buffer cannot; nothing was sent.
            LinkError: The connection is gone.
        """
        frame = self._request_frame(kind, name, arguments, kwargs, buffer)
        self.begin()
        timeout_s = self.remaining_s()
        with self.cut_after(None if len(frame.body) <= SENT_AT_ONCE_BYTES else timeout_s, TAKING):
            self.send(frame)

    def _request_frame(
        self, kind: Kind, name: str, arguments: list[Any], kwargs: dict[str, Any], buffer: Any
    ) -> Frame:
        if type(arguments) is not list:
            arguments = listed(name, arguments)
        head = None if arguments or kwargs or type(name) is not str else self._bare.get(name)
        if head is None:
            head = pack_call(Call(name=name, arguments=arguments, kwargs=kwargs))
            if not (arguments or kwargs) and len(self._bare) < MAX_SEEN_CALLS:
                self._bare[name] = head
        if buffer is None:
            return Frame(kind, len(head), head)
        return Frame(kind, len(head), head + (buffer if type(buffer) is bytes else as_buffer(buffer)))

    def send(self, frame: Frame) -> None:
        """Send one frame.

        Raises:
            LocalProtocolError: Too large, or not our turn; nothing was sent.
            LinkError: The connection is gone.
        """
        self.check_open()
        try:
            self.channel.send(frame)
        except LocalProtocolError:  # nothing was sent
            raise
        except BaseException:  # gone, or interrupted: as above
            self.cut()
            raise

    def receive(self, timeout_s: float | None = None) -> Frame:
        """Wait for a frame; one that is late leaves the pair as it is.

        Raises:
            DeadlineExceeded: Nothing within `timeout_s`.
            LinkError, RemoteProtocolError: The connection is gone.
        """
        channel = self.channel
        if channel.is_closed:
            self.check_open()
        try:
            return channel.receive(timeout_s, ANSWER)
        except DeadlineExceeded:
            raise
        except BaseException:  # as above
            self.cut()
            raise

    def items(self, frame: Frame) -> Iterator[tuple[int, bytes]]:
        """What an ITEMS carries; one that is broken closes the pair."""
        try:
            return unpack_items(frame)
        except RemoteProtocolError:
            self.cut()
            raise

    def answer(self) -> Frame:
        """Wait for the answer.  A late one would pass for the next one's, so being late closes the pair."""
        try:
            return self.receive(self.remaining_s())
        except DeadlineExceeded:
            self.cut()
            raise

    def check_open(self) -> None:
        if not self.is_open:
            raise LinkClosed("this pair is closed; get another client")

    @contextlib.contextmanager
    def cut_after(self, timeout_s: float | None, what: str) -> Iterator[None]:
        """Cut the pair if this is not done in time, whatever it is waiting in.

        Raises:
            DeadlineExceeded: It was.
        """
        if timeout_s is None or timeout_s >= FOR_EVER_S:
            yield
            return
        channel, lock = self.channel, threading.Lock()
        is_late = is_done = False

        def cut() -> None:
            nonlocal is_late
            with lock:
                if not is_done:
                    is_late = True
                    channel.abort()

        timer = threading.Timer(timeout_s, cut)
        timer.name, timer.daemon = "pynet deadline", True
        timer.start()
        try:
            yield
        except LinkClosed as exc:
            if not is_late:
                raise
            late = f"{what}: not done within {timeout_s:g} s"
            if isinstance(exc, FilesInterrupted):  # which says what has arrived
                exc.add_note(late)
                raise
            raise DeadlineExceeded(late) from exc
        finally:
            with lock:
                is_done = True
            timer.cancel()

    def await_close(self) -> None:
        """The gateway closes when it has freed the place."""
        with contextlib.suppress(LinkError):
            self.channel.receive(CLOSE_TIMEOUT_S, "the gateway's close")

    def cut(self) -> None:
        """Close the connection; idempotent."""
        self.channel.abort()  # wakes a thread that waits in it, which close alone does not
        self.channel.close()


def check(frame: Frame, name: str) -> None:
    """Raises SubroutineError when the answer is an ERROR."""
    if frame.kind == _ERROR:
        failure = unpack_body(frame.body, Failure)
        raise SubroutineError(name, failure.error, failure.reason, frame.ident)


def listed(name: str, arguments: Any) -> list[Any]:
    """Of any iterable but one that is itself an argument: a text would be called with its letters.

    Raises:
        TypeError: It is one, or none.
    """
    if isinstance(arguments, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(
        arguments, Iterable
    ):
        raise TypeError(f"arguments of {name!r} are a list, got {arguments!r:.100}: write [...] around it")
    return list(arguments)
