"""What a subroutine has returned or raised, as a frame for who has called it."""

from __future__ import annotations

from typing import Any, Final

from pynet_core.payload import as_bytes
from pynet_core.subroutines import NotAllowed, UnknownSubroutine
from pynet_core.transfer.jail import PathRefused
from pynet_core.wire import Failure, Frame, Kind

MAX_REASON_CHARS: Final = 4096

CODES: Final[dict[type[BaseException], int]] = {UnknownSubroutine: 404, NotAllowed: 403, PathRefused: 403}
_REPLY: Final = Kind.REPLY  # on 3.11 a member of an enum class is found by a Python function


def failure_of(exc: BaseException) -> Failure:
    """Its type and message as they can travel, whatever somebody's __str__ does."""
    try:
        reason = str(exc)
    except Exception:  # not our code
        reason = "(its message cannot be shown)"
    # A file name in a message may hold bytes that are no UTF-8.
    reason = reason[:MAX_REASON_CHARS].encode(errors="replace").decode()
    return Failure(error=type(exc).__name__[:MAX_REASON_CHARS], reason=reason)


def batch_reply(result: Any) -> Frame:
    """To BATCH: bytes, or (ident, bytes).

    Raises:
        TypeError, ValueError: It is something else, or cannot travel.
    """
    ident = 0
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], int):
        ident, result = result
    return Frame(_REPLY, ident, as_bytes(result))


def buffer_reply(result: Any) -> Frame:
    """To BUFFER: the int, 0 for what is none."""
    # A bool is an int to Python but not to scripts of the ancestor, for which only an exact int counts.
    return Frame(_REPLY, int(result) if isinstance(result, int) and not isinstance(result, bool) else 0)
