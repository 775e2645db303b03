"""Numbers, text and containers as bytes, and a print for many threads: what scripts call `bk`.

Names, argument order and defaults are those of pynetwork 2.4, so that its
scripts run unchanged.  `int_to_bytes` is big-endian as there; `to_bytes` is
little-endian on every machine (there it was whatever the machine had).
"""

from __future__ import annotations

import enum
import io
import json
import reprlib
import struct
import threading
from typing import TYPE_CHECKING, Any, Final, TextIO

from pynet_core.errors import SubroutineError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "DataType",
    "RemoteException",
    "bytes_to_int",
    "bytes_to_str",
    "from_bytes",
    "int_to_bytes",
    "safe_print",
    "str_to_bytes",
    "to_bytes",
]

RemoteException = SubroutineError  # its name in 2.4: `except bk.RemoteException` keeps working

# Re-entrant: what is printed to may print itself, and a signal handler may print in the middle of a print.
_print_lock: Final = threading.RLock()


class DataType(enum.Enum):
    """What `to_bytes` and `from_bytes` convert; the one-letter values are struct's."""

    char = "c"  # one byte, as bytes of length 1
    bool = "?"
    int = "i"
    int_unsigned = "I"
    long = "q"
    long_unsigned = "Q"
    float = "f"  # 32 bits: 0.1 comes back as 0.10000000149011612
    double = "d"
    string = "s"  # UTF-8
    list = "list"  # this and the next three as JSON: tuples inside become lists, dict keys become str
    tuple = "tuple"
    dict = "dict"
    none = "none"


_INTEGERS: Final = {  # inclusive ranges
    DataType.int: (-(2**31), 2**31 - 1),
    DataType.int_unsigned: (0, 2**32 - 1),
    DataType.long: (-(2**63), 2**63 - 1),
    DataType.long_unsigned: (0, 2**64 - 1),
}
_LARGEST_FLOAT: Final = 3.4028234663852886e38  # in 32 bits
_CONTAINERS: Final[dict[DataType, Any]] = {  # what isinstance takes
    DataType.list: (list, tuple),
    DataType.tuple: (list, tuple),
    DataType.dict: (dict,),
    DataType.none: (type(None),),
}


def safe_print(
    *values: object,
    sep: str | None = " ",
    end: str | None = "\n",
    file: TextIO | None = None,
    flush: bool = False,
) -> None:
    """`print`, but a line stays whole whichever threads print at the same time."""
    line = io.StringIO()
    print(*values, sep=sep, end=end, file=line)
    # One write: print() writes each value on its own, and a plain print() elsewhere knows no lock.
    with _print_lock:
        print(line.getvalue(), end="", file=file, flush=flush)


def int_to_bytes(i: int, size: int = 8) -> bytes:
    """`i` in `size` bytes, big-endian, signed.

    Raises:
        OverflowError: It needs more bytes than that.
    """
    try:
        return i.to_bytes(size, "big", signed=True)
    except OverflowError as exc:
        needed = (i if i >= 0 else i + 1).bit_length() // 8 + 1  # -128 fits one byte, 128 does not
        raise OverflowError(f"the number needs {needed} bytes, got {size}") from exc


def bytes_to_int(b: ReadableBuffer) -> int:
    """What `int_to_bytes` packed, whatever its size; no bytes at all are 0."""
    return int.from_bytes(b, "big", signed=True)


def str_to_bytes(message: str) -> bytes:
    """The text in UTF-8."""
    return message.encode()


def bytes_to_str(b: ReadableBuffer) -> str:
    """The text that these bytes are in UTF-8; UnicodeDecodeError (a ValueError) if they are not."""
    return str(b, "utf-8")


def to_bytes(data_type: DataType, value: Any) -> bytes:
    """`value` as bytes: little-endian numbers, UTF-8 text, JSON containers.

    Raises:
        OverflowError: The number does not fit the type.
        ValueError: The char is not one byte long, or the container holds itself.
        TypeError: The value is not of that type, or JSON cannot carry what is in it.
    """
    if data_type is DataType.string:
        if not isinstance(value, str):
            raise _wrong_type(data_type, value)
        return str_to_bytes(value)
    if data_type in _CONTAINERS:
        if not isinstance(value, _CONTAINERS[data_type]):
            raise _wrong_type(data_type, value)
        return json.dumps(value).encode()
    if data_type is DataType.char and isinstance(value, (bytes, bytearray)) and len(value) != 1:
        raise ValueError(f"{data_type} is 1 byte, got {len(value)}")
    if data_type in _INTEGERS and isinstance(value, int):
        low, high = _INTEGERS[data_type]
        if not low <= value <= high:
            raise OverflowError(f"{value} does not fit {data_type}: {low} to {high}")
    try:
        return struct.pack("<" + data_type.value, value)
    except OverflowError as exc:  # DataType.float only: a double holds any float
        raise OverflowError(f"{value} does not fit {data_type}: at most {_LARGEST_FLOAT}") from exc
    except struct.error as exc:
        raise _wrong_type(data_type, value) from exc


def from_bytes(data_type: DataType, bytes: ReadableBuffer) -> Any:
    """The value that `to_bytes` made these bytes of.

    Raises:
        ValueError: Wrong length, not UTF-8, not JSON, JSON of something else or nested too deep.
    """
    if data_type is DataType.string:
        return bytes_to_str(bytes)
    if data_type in _CONTAINERS:
        try:
            value = json.loads(bytes_to_str(bytes))
        except RecursionError as exc:
            raise ValueError(
                f"{data_type}: JSON nested too deep in {memoryview(bytes).nbytes} bytes"
            ) from exc
        if not isinstance(value, _CONTAINERS[data_type]):
            raise ValueError(f"{data_type} expected, got JSON of a {type(value).__name__}")
        return tuple(value) if data_type is DataType.tuple else value
    layout = struct.Struct("<" + data_type.value)
    size = memoryview(bytes).nbytes
    if size != layout.size:
        raise ValueError(f"{data_type} is {layout.size} bytes, got {size}")
    return layout.unpack(bytes)[0]


def _wrong_type(data_type: DataType, value: object) -> TypeError:
    return TypeError(f"{data_type} cannot carry a {type(value).__name__}: {reprlib.repr(value)}")
