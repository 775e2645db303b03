"""What a gateway offers, for people and programs that do not know it yet."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from pynet_core.errors import RemoteProtocolError

LISTING: Final = "pynet.subroutines"  # the batch that every gateway answers with what it offers
MAX_SIGNATURE_CHARS: Final = 500
MAX_DOC_CHARS: Final = 500


class Offering(Struct, frozen=True, kw_only=True):
    """One subroutine of a gateway, as the caller that asked may use it."""

    name: str
    kind: Literal["stream", "function"]  # a function is called as batch, buffer or sink
    signature: str  # `(count: int = 5)`; `(...)` where Python cannot tell
    doc: str  # the first paragraph of its docstring, on one line
    role: str  # viewer | driver | admin, the least a caller must be
    allowed: bool  # the caller that asked may use it
    shared: bool  # one generator feeds all; it takes no arguments
    keep: Literal["every", "latest"]


# See the workaround in wire.py: built here, by one thread.
_decoder: Final = msgspec.msgpack.Decoder(list[Offering])
pack_offerings: Final = msgspec.msgpack.Encoder().encode


def unpack_offerings(body: bytes) -> list[Offering]:
    """What `LISTING` has answered.

    Raises:
        RemoteProtocolError: These bytes are not that.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"peer sent a bad list of subroutines: {exc}") from exc


def signature_of(function: Callable[..., Any]) -> str:
    """How it is called, with the annotations as they were written."""
    try:
        found = inspect.signature(function)
        parameters = [each.replace(annotation=_bare(each.annotation)) for each in found.parameters.values()]
        shown = str(found.replace(parameters=parameters, return_annotation=_bare(found.return_annotation)))
    except Exception:  # not our code: a class of C's without one, a default whose repr fails
        return "(...)"
    return _travelling(shown, MAX_SIGNATURE_CHARS)


def first_paragraph(function: Callable[..., Any]) -> str:
    """Of its docstring, on one line; '' without one."""
    while isinstance(function, functools.partial):  # whose own docstring is about partials
        function = function.func
    try:
        doc = inspect.getdoc(function) or ""
    except Exception:  # not our code
        return ""
    return _travelling(" ".join(doc.partition("\n\n")[0].split()), MAX_DOC_CHARS)


class _Bare(str):
    """An annotation that is text already: shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _travelling(text: str, most: int) -> str:
    if len(text) > most:
        text = text[: most - 3] + "..."
    return text.encode(errors="replace").decode()
