"""One request and its answer, what every operation of a client is made of: the calling end of a pair."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from pynet_core.channel import PlainChannel
from pynet_core.errors import (
    DeadlineExceeded,
    LinkClosed,
    LinkError,
    LocalProtocolError,
    RemoteProtocolError,
    SubroutineError,
)
from pynet_core.items import unpack_items
from pynet_core.payload import as_buffer
from pynet_core.wire import MAX_SEEN_CALLS, Call, Failure, Frame, Kind, pack_call, unpack_body

CLOSE_TIMEOUT_S: Final = 1.0
ANSWER: Final = "the gateway's answer"

_ERROR: Final = Kind.ERROR  # on 3.11 a member of an enum class is found by a Python function


class Exchange:
    """Sends requests and reads their answers; whatever leaves the pair in doubt closes it.

    `timeout_s` is how long an answer may take, None for ever.
    """

    def __init__(self, channel: PlainChannel) -> None:
        self._channel = channel
        self._bare: dict[str, bytes] = {}  # name: the Call without arguments, which is the same each time
        self.timeout_s: float | None = None

    @property
    def is_open(self) -> bool:
        return not self._channel.is_closed

    def call(
        self, kind: Kind, name: str, arguments: list[Any], kwargs: dict[str, Any], buffer: Any = None
    ) -> Frame:
        """Ask for a subroutine, and wait for the answer.

        Raises:
            SubroutineError: It is an ERROR.
            LinkError: The connection is gone, or nothing came in time.
        """
        frame = self._request_frame(kind, name, arguments, kwargs, buffer)
        channel = self._channel
        if channel.is_closed:
            self.check_open()
        try:
            channel.send(frame)
            answer = channel.receive(self.timeout_s, ANSWER)
        except LocalProtocolError:  # nothing was sent
            raise
        # Gone, late, or interrupted (Ctrl-C) who knows where in a frame: of no more use.  A late answer
        # would pass for the next one's.
        except BaseException:
            self.cut()
            raise
        if answer.kind == _ERROR:
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
        self.send(self._request_frame(kind, name, arguments, kwargs, buffer))

    def _request_frame(
        self, kind: Kind, name: str, arguments: list[Any], kwargs: dict[str, Any], buffer: Any
    ) -> Frame:
        head = None if arguments or kwargs or type(name) is not str else self._bare.get(name)
        if head is None:
            head = pack_call(Call(name=name, arguments=list(arguments), kwargs=kwargs))
            if not (arguments or kwargs) and len(self._bare) < MAX_SEEN_CALLS:
                self._bare[name] = head
        return Frame(kind, len(head), head if buffer is None else head + as_buffer(buffer))

    def send(self, frame: Frame) -> None:
        """Send one frame.

        Raises:
            LocalProtocolError: Too large, or not our turn; nothing was sent.
            LinkError: The connection is gone.
        """
        self.check_open()
        try:
            self._channel.send(frame)
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
        channel = self._channel
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
            return self.receive(self.timeout_s)
        except DeadlineExceeded:
            self.cut()
            raise

    def check_open(self) -> None:
        if not self.is_open:
            raise LinkClosed("this pair is closed; get another client")

    def await_close(self) -> None:
        """The gateway closes when it has freed the place."""
        with contextlib.suppress(LinkError):
            self._channel.receive(CLOSE_TIMEOUT_S, "the gateway's close")

    def cut(self) -> None:
        """Close the connection; idempotent."""
        self._channel.abort()  # wakes a thread that waits in it, which close alone does not
        self._channel.close()


def check(frame: Frame, name: str) -> None:
    """Raises SubroutineError when the answer is an ERROR."""
    if frame.kind == Kind.ERROR:
        failure = unpack_body(frame.body, Failure)
        raise SubroutineError(name, failure.error, failure.reason, frame.ident)
