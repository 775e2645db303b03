"""Whether the gateway has said no."""

from __future__ import annotations

from pynet_core.errors import SubroutineError
from pynet_core.wire import Failure, Frame, Kind, unpack_body


def check(frame: Frame, name: str) -> None:
    """Raises:
    SubroutineError: It is an ERROR.
    """
    if frame.kind == Kind.ERROR:
        failure = unpack_body(frame.body, Failure)
        raise SubroutineError(name, failure.error, failure.reason, frame.ident)
