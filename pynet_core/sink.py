"""One subroutine called again and again, one way: the calling end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final, Self

from pynet_core.channel import PlainChannel
from pynet_core.errors import LinkClosed, LocalProtocolError, PynetError, SubroutineError
from pynet_core.payload import as_buffer
from pynet_core.wire import Failure, Frame, Kind, unpack_body

CONTROL_UNSENT_BYTES: Final = 256  # two drive commands: a third would only be older
SINK_UNSENT_BYTES: Final = 4 * 1024
LEFT_S: Final = 1.0  # for what was put to be taken when the block has raised; then the pair is closed


class Sink:
    """Puts buffers into one subroutine, one way; its pair does nothing else until `close`.

    It drops rather than queues: a put while the link still holds old ones is
    not sent, so that what arrives is never old.  One thread at a time.
    When a `with` block raises, what was put has 1 s; then the pair is closed.
    """

    def __init__(
        self,
        channel: PlainChannel,
        name: str,
        max_unsent_bytes: int,
        remaining_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._channel = channel
        self._name = name
        self._max_unsent_bytes = max_unsent_bytes
        self._remaining_s = remaining_s  # for the last answer
        self._is_open = True
        self.dropped = 0

    def put(self, buffer: Any) -> bool:
        """Send one buffer; False when the link is congested and it was dropped.

        Raises:
            SubroutineError: The function failed on an earlier buffer; the sink is closed.
            LinkError: The connection is gone, or the sink is closed.
        """
        if not self._is_open:
            raise LinkClosed(f"the sink of {self._name!r} is closed; open it again")
        body = bytes(as_buffer(buffer))  # of bytes these are the same bytes
        try:
            failed = self._channel.poll()
            if failed is None and self._channel.unsent_bytes() <= self._max_unsent_bytes:
                self._channel.send(Frame(Kind.PUT, 0, body))
                return True
        except LocalProtocolError:  # too large: nothing was sent
            raise
        except BaseException:
            self._drop()
            raise
        if failed is not None:
            self._is_open = False
            raise self._failure(failed)
        self.dropped += 1
        return False

    def close(self) -> None:
        """Wait until every buffer has been taken; the pair is then free for other things.

        Raises:
            SubroutineError: The function failed on one of them.
            LinkError: The connection is gone.
        """
        self._end(self._remaining_s)

    def _end(self, remaining_s: Callable[[], float | None]) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            last = self._channel.poll()
            if last is None:
                self._channel.send(Frame(Kind.END))
                last = self._channel.receive(remaining_s(), f"the end of sink {self._name!r}")
        except BaseException:
            self._drop()
            raise
        if last.kind == Kind.ERROR:
            raise self._failure(last)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None:
            self.close()
        elif isinstance(exc, Exception):
            with contextlib.suppress(PynetError):  # what the block has raised says more
                self._end(lambda: LEFT_S)
        else:  # Ctrl-C: nobody wants to wait
            self._drop()

    def _failure(self, frame: Frame) -> SubroutineError:
        failure = unpack_body(frame.body, Failure)
        return SubroutineError(self._name, failure.error, failure.reason, frame.ident)

    def _drop(self) -> None:
        """Gone, or interrupted who knows where in a frame: of no more use."""
        self._is_open = False
        self._channel.close()
