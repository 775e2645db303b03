"""Wire format: bytes to frames and back.  No sockets, no threads, no clock.

A frame is a header of 24 bytes, little-endian, and a body:

    uint32  length of the body
    uint32  kind (8 bits), flags (8 bits), replaced (16 bits)
    int64   ident
    int64   stamp: the sender's monotonic ns, 0 when it has none to tell

What `ident` means depends on the kind; see `Kind`.
"""

from __future__ import annotations

import enum
import struct
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from pynet_core.errors import LocalProtocolError, RemoteProtocolError

WIRE_VERSION: Final = 1
MAGIC: Final = "pynet"

HEADER: Final = struct.Struct("<IIqq")
HEADER_BYTES: Final = HEADER.size
_pack: Final = HEADER.pack

MAX_OPENING_BYTES: Final = 4 * 1024  # before WELCOME: a HELLO is about 120 B
MAX_CONTROL_BYTES: Final = 64 * 1024  # arguments, errors; large data goes as a buffer
MAX_ITEM_BYTES: Final = 64 * 1024 * 1024  # a raw 4056x3040 RGBX picture is 49 MB
MAX_NAME_CHARS: Final = 64  # of a gateway or a controller: for people, and HELLO must stay small
MAX_REPLACED: Final = 0xFFFF  # 16 bits; more is told as this
MAX_SEEN_CALLS: Final = 16  # that a reader remembers, of at most 64 KiB each


class Kind(enum.IntEnum):
    """What a frame is, who sends it, and what its ident and body are."""

    HELLO = 1  # controller; ident: wire version; body: Hello
    WELCOME = 2  # gateway; ident 200; body: Welcome
    REFUSAL = 3  # gateway; ident: 401, 403, 426, 500 or 503; body: Failure
    PING = 4  # controller; body: anything
    PONG = 5  # gateway; body: the same
    STREAM = 6  # controller; ident: bytes of the Call; body: Call, then the buffer
    BATCH = 7  # controller; as STREAM
    BUFFER = 8  # controller; as STREAM
    SINK = 9  # controller; as STREAM
    ITEM = 10  # gateway; ident and body as the generator gave them
    CREDIT = 11  # controller; ident: how many more items it will take, 1 to 16
    CANCEL = 12  # controller: no more items, please
    END = 13  # gateway: the stream is over; controller: no more puts; gateway: all of them done
    REPLY = 14  # gateway; ident and body as the function gave them
    ERROR = 15  # gateway; ident: 403, 404, 500; body: Failure
    PUT = 16  # controller; body: one buffer for the sink
    CLOSE_HANDLER = 17  # controller: this pair is done
    CLOSE_GATEWAY = 18  # controller: stop the whole gateway
    LIST = 19  # controller; body: Query.  The bodies of these are in transfer/messages.py
    MORE = 20  # gateway: go on with the list that rests; controller: so far it goes on
    FETCH = 21  # controller: I shall ask you for files; 22 to 24 are free
    SAME = 25  # answers PULL: you have it already
    LOST = 26  # answers PULL; body: Failure
    REPORT = 27  # gateway; body: Report
    ITEMS = 28  # gateway; ident: how many; body: see items.py
    TREE = 29  # controller; body: Tree
    FOUND = 30  # whoever has the files; body: Nodes; ident: 0, or their size if the body is compressed
    PULL = 31  # whoever wants the files; body: Pull
    PACK = 32  # answers PULL; ident: bytes of the Packed; body: Packed, then the files
    RAW = 33  # answers PULL; ident: offset in the file; body: bytes of the file
    HOLE = 34  # answers PULL; ident: offset in the file; body: Hole
    SEAL = 35  # answers PULL: that was all of it; body: digest
    STORE = 36  # controller; body: Store
    JOIN = 37  # controller; body: Join
    REMOVE = 38  # controller; body: Remove
    DENSE = 39  # answers PULL; ident: offset in the file; body: length, compressed bytes of the file


class Flag(enum.IntEnum):  # no IntFlag: its `&` takes 1 us, and every frame is asked
    """Bits 8-15 of the second header word."""

    NONE = 0
    CREDITED = 1  # ITEM, ITEMS: cost one credit; give it back when it is consumed


KINDS: Final = frozenset(int(kind) for kind in Kind)
_LARGE: Final = frozenset(
    {Kind.STREAM, Kind.BATCH, Kind.BUFFER, Kind.SINK, Kind.ITEM, Kind.REPLY, Kind.PUT}
    | {Kind.LIST, Kind.TREE, Kind.PACK, Kind.RAW, Kind.DENSE}
)


class Frame(Struct, frozen=True, gc=False):
    """One frame; see `Kind` for what ident and body mean."""

    kind: int
    ident: int = 0
    body: bytes = b""
    stamp_ns: int = 0
    flags: int = 0
    replaced: int = 0  # ITEM: items skipped since the one before, newest-wins streams only


class Hello(Struct, frozen=True, kw_only=True):
    """Who calls: bodies of HELLO stay decodable by every later version."""

    magic: str
    capabilities: tuple[str, ...]
    controller_id: bytes  # 16 bytes, one for each Controller
    pair_id: bytes  # 8 bytes, kept over reconnects
    attempt: int  # counts up with each reconnect of the pair
    purpose: str
    name: str  # for people


class Welcome(Struct, frozen=True, kw_only=True):
    gateway: str
    role: str
    max_item_bytes: int
    max_control_bytes: int


class Failure(Struct, frozen=True, kw_only=True):
    """An exception on its way to the peer: its type's name and its message, never a traceback."""

    error: str
    reason: str


class Call(Struct, frozen=True, kw_only=True):
    """Which subroutine, and what it is called with."""

    name: str
    arguments: list[Any] = []
    kwargs: dict[str, Any] = {}


# WORKAROUND msgspec 0.22: two threads that are the first to decode one Struct class at the same time may end
# the process with SIGSEGV.  So each is looked at here, by one.
for _kind in (Hello, Welcome, Failure, Call):
    msgspec.msgpack.Decoder(_kind)

_T = TypeVar("_T", bound=Struct)
pack_body: Final = msgspec.msgpack.Encoder().encode


def unpack_body(body: bytes, kind: type[_T]) -> _T:
    """A typed body.

    Raises:
        RemoteProtocolError: These bytes are not one.
    """
    try:
        return msgspec.msgpack.decode(body, type=kind)
    # ValidationError is a DecodeError; 64 KB hold lists nested deeper than the stack.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"peer sent a bad {kind.__name__}: {exc}") from exc


def pack_call(call: Call) -> bytes:
    """The Call's own bytes.

    Raises:
        LocalProtocolError: The name is no string, or the arguments are too large or cannot travel.
    """
    if not isinstance(call.name, str):  # the peer would take it for a broken frame
        raise LocalProtocolError(f"a subroutine's name is a string, got {call.name!r}")
    try:
        head = pack_body(call)
    except (TypeError, ValueError, OverflowError, RecursionError, BufferError) as exc:
        raise LocalProtocolError(
            f"arguments of {call.name!r} cannot travel: {exc}; "
            "use numbers, strings, bytes, lists and dicts, or send the bytes as buffer"
        ) from exc
    if len(head) > MAX_CONTROL_BYTES:
        raise LocalProtocolError(
            f"arguments of {call.name!r} are {len(head)} B, limit {MAX_CONTROL_BYTES} B; "
            "send large data as buffer"
        )
    return head


class CallReader:
    """Reads requests.  One without arguments is the same bytes each time, and is remembered."""

    def __init__(self) -> None:
        self._seen: dict[bytes, Call] = {}

    def read(self, frame: Frame) -> tuple[Call, bytes]:
        """The Call in a request frame, and its buffer: b'' when it has none.

        Raises:
            RemoteProtocolError: The two do not fit the frame.
        """
        body, size = frame.body, frame.ident
        head = body[:size]
        if len(head) != size or size > MAX_CONTROL_BYTES:
            raise RemoteProtocolError(f"peer says its call is {size} B of {len(body)} B")
        call = self._seen.get(head)
        if call is None:
            call = unpack_body(head, Call)
            if not (call.arguments or call.kwargs) and len(self._seen) < MAX_SEEN_CALLS:
                self._seen[head] = call
        return call, body[size:]


def limit_bytes(kind: int, *, opening: bool) -> int:
    """The largest body a frame of this kind may have."""
    if opening:
        return MAX_OPENING_BYTES
    return MAX_ITEM_BYTES if kind in _LARGE else MAX_CONTROL_BYTES


def encode_header(frame: Frame, length: int) -> bytes:
    """The 24 bytes before a body of this length.

    Raises:
        LocalProtocolError: The body is too large for its kind, or the ident for 64 bits.
    """
    if length > MAX_CONTROL_BYTES and length > limit_bytes(frame.kind, opening=False):
        limit = limit_bytes(frame.kind, opening=False)
        raise LocalProtocolError(f"{Kind(frame.kind).name} of {length} B, limit {limit} B")
    word = frame.kind
    if frame.flags or frame.replaced:
        word |= frame.flags << 8 | min(frame.replaced, MAX_REPLACED) << 16
    try:
        return _pack(length, word, frame.ident, frame.stamp_ns)
    except struct.error as exc:
        raise LocalProtocolError(f"ident {frame.ident} does not fit a signed 64-bit integer") from exc


def encode(frame: Frame) -> bytes:
    """The whole frame as bytes."""
    return encode_header(frame, len(frame.body)) + frame.body
