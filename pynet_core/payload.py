"""Objects on the wire: dataclasses and msgspec Structs, by a name that both ends know.  Never pickle.

A payload is bytes like any others: a mark, the type's name, its fields as a
msgpack map.  So it travels wherever bytes do, and can be kept in a file.  What
it becomes is decided by who unpacks it: an object of a class registered there,
every field checked against its annotation, or a ValueError.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from typing import Any, Final, TypeVar

import msgspec

from pynet_core.wire import MAX_ITEM_BYTES

MARK: Final = b"\xc1py1"  # no msgpack begins with C1
MAX_NAME_BYTES: Final = 255

_T = TypeVar("_T")


class _Type:
    """One registered type, and how its objects become bytes and come back."""

    def __init__(self, kind: type, name: str) -> None:
        self.kind = kind
        self.name = name
        encoded = name.encode()
        self.head = MARK + bytes([len(encoded)]) + encoded
        self._decoder: msgspec.msgpack.Decoder[Any] | None = None

    def decoder(self) -> msgspec.msgpack.Decoder[Any]:
        """Raises NameError while an annotation names what is not defined, TypeError when it cannot be."""
        if self._decoder is None:
            with _lock:  # see the workaround in wire.py
                self._decoder = msgspec.msgpack.Decoder(self.kind)
        return self._decoder


_lock: Final = threading.Lock()
_by_name: dict[str, _Type] = {}
_by_kind: dict[type, _Type] = {}
_encode: Final = msgspec.msgpack.Encoder().encode


def payload(kind: type[_T], name: str = "") -> type[_T]:
    """Let objects of this dataclass or msgspec Struct travel; a decorator.  Both ends need it.

    They are known by the name of the class unless `name` gives another.  A
    class that is defined again, as in a notebook, takes the place of the first.
    Fields may be numbers, strings, bytes, lists, dicts, enums, dates, and other
    such classes; those that have a default need not come, and unknown ones are
    ignored, so that one end may be newer.

    Raises:
        TypeError: It is neither, or has an annotation that msgspec does not take.
        ValueError: The name is taken by another class, empty, or too long.
    """
    if not isinstance(kind, type) or not (dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct)):
        raise TypeError(f"a payload is a dataclass or a msgspec Struct, got {kind!r}")
    name = name or kind.__name__
    if not 0 < len(name.encode()) <= MAX_NAME_BYTES:
        raise ValueError(f"the name of a payload is 1 to {MAX_NAME_BYTES} bytes, got {name!r}")
    made = _Type(kind, name)
    try:
        with contextlib.suppress(NameError):  # itself, or what is defined further down
            made.decoder()
    except TypeError as exc:
        raise TypeError(f"objects of {name!r} cannot travel: {exc}") from exc
    with _lock:
        there = _by_name.get(name)
        if there is not None and _origin(there.kind) != _origin(kind):
            raise ValueError(f"{name!r} is already {_origin(there.kind)}; give one of the two another name")
        _by_name[name] = _by_kind[kind] = made
    return kind


def _origin(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def as_bytes(value: Any) -> bytes:
    """What may be sent, as bytes: bytes as they are, an object of a registered class packed.

    Raises:
        TypeError: It is something else, or holds what cannot travel.
        ValueError: It is larger than an item may be, or too deep.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if type(value) in _by_kind:
        return pack(value)
    raise TypeError(
        f"gave {type(value).__name__}; give bytes or (ident, bytes), or objects of a @pynet.payload class"
    )


def as_buffer(value: Any) -> bytes | memoryview:
    """The same for what a caller gives as buffer, which may be an array or a map of memory too."""
    if isinstance(value, bytes):
        return value
    return pack(value) if type(value) in _by_kind else memoryview(value).cast("B")


def pack(value: object) -> bytes:
    """The object as bytes.

    Raises:
        TypeError: Its type is not registered, or one of its fields holds what cannot travel.
        ValueError: It is larger than an item may be, or too deep.
    """
    known = _by_kind.get(type(value))
    if known is None:
        raise TypeError(
            f"{type(value).__name__} is no registered payload; make it a dataclass under @pynet.payload"
        )
    try:
        packed = known.head + _encode(value)
    except RecursionError as exc:
        raise ValueError(f"{known.name!r} is nested too deep, or contains itself") from exc
    except (TypeError, ValueError, OverflowError) as exc:
        kind = TypeError if isinstance(exc, TypeError) else ValueError
        raise kind(f"this {known.name!r} cannot travel: {exc}") from exc
    if len(packed) > MAX_ITEM_BYTES:
        raise ValueError(f"this {known.name!r} is {len(packed)} B, limit {MAX_ITEM_BYTES} B")
    return packed


def unpack(buffer: bytes, kind: type[_T] | None = None) -> Any:
    """The object that came as these bytes; with `kind`, it must be one of that class.

    Raises:
        ValueError: They are no payload, its type is not registered here or is
            another one, or its fields are not those of the type.
        NameError: An annotation of that class names what is not defined.
    """
    name, body = _split(buffer)
    known = _by_name.get(name)
    if known is None:
        names = ", ".join(sorted(_by_name)) or "none"
        raise ValueError(f"a payload {name!r} came, which is not registered here; registered: {names}")
    if kind is not None and known.kind is not kind:
        raise ValueError(f"a payload {name!r} came where {kind.__name__!r} was expected")
    try:
        return known.decoder().decode(body)
    except RecursionError as exc:
        raise ValueError(f"the {name!r} that came is nested too deep") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as exc:  # the last: for NAN
        raise ValueError(f"what came is no {name!r}: {exc}") from exc


def fields_of(buffer: bytes) -> tuple[str, dict[str, Any]]:
    """Name and fields of any payload, registered here or not; nothing is checked against its type.

    Raises:
        ValueError: The bytes are no payload.
    """
    name, body = _split(buffer)
    try:
        return name, msgspec.msgpack.decode(body, type=dict[str, Any])
    except RecursionError as exc:
        raise ValueError(f"the {name!r} that came is nested too deep") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValueError(f"what came as {name!r} has no fields: {exc}") from exc


def _split(buffer: bytes) -> tuple[str, memoryview]:
    """The name, and the fields behind it."""
    start = len(MARK) + 1
    if len(buffer) < start or buffer[: len(MARK)] != MARK:
        raise ValueError(f"these {len(buffer)} bytes are no payload: they were sent as plain bytes")
    end = start + buffer[start - 1]
    if len(buffer) < end:
        raise ValueError("the payload that came ends within its name")
    try:
        return str(buffer[start:end], "utf-8"), memoryview(buffer)[end:]
    except UnicodeDecodeError as exc:
        raise ValueError("the name of the payload that came is no UTF-8") from exc
