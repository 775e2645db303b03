"""What a peer that means harm may send: a legal conversation with one frame made wrong.  No sockets."""

from __future__ import annotations

import enum
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pynet_core.wire import (
    HEADER_BYTES,
    MAX_CONTROL_BYTES,
    MAX_ITEM_BYTES,
    MAX_OPENING_BYTES,
    Frame,
    Kind,
)

Conversation = Sequence[Frame]  # what a controller sends in one operation, or several

LENGTHS: Final = (
    *(0, 1, 23, 24, 2**31 - 1, 2**31, 2**32 - 1),
    *(
        limit + more
        for limit in (MAX_OPENING_BYTES, MAX_CONTROL_BYTES, MAX_ITEM_BYTES)
        for more in (-1, 0, 1)
    ),
)
NUMBERS: Final = (0, 1, -1, 2, 255, 2**16, 2**31, -(2**31), 2**63 - 1, -(2**63))
# As msgpack: what a careless decoder dies of.
BODIES: Final = (
    b"",
    b"\xc1",
    b"\x80",
    b"\x90",
    b"\xc0",
    b"\xdf\xff\xff\xff\xff",  # a map of 4 G entries
    b"\xdd\xff\xff\xff\xff",  # an array of as many
    b"\xc6\xff\xff\xff\xff",  # 4 GB of bytes
    b"\xdb\xff\xff\xff\xff",
    b"\x91" * 60_000 + b"\x90",  # deeper than the stack
    b"\x81\xa1\xff\xc0",  # a key that is no UTF-8
    b"\xd6\xff\xff\xff\xff\xff",  # a time
    b"\xc7\x00\x05",  # an extension
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # not a number
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 1e308, float("nan"), float("inf")),
    *("", "\0", "/", "..", "../../etc/passwd", "x" * 70_000, "\u202e"),
    *(b"", b"\0" * 17, b"/", b"../secret", b"x" * 5000),
    *([], {}, [[]], {"": None}),
)


class Ending(enum.Enum):
    """How it goes away."""

    CLOSE = "closes"
    RESET = "resets"
    HALF = "closes one way, and reads"
    LISTEN = "reads for a moment, then closes"


@dataclass(frozen=True, slots=True)
class Attack:
    """One connection: legal frames, the hostile one, and sometimes what would have followed."""

    greeted: bool  # sent after WELCOME, else in place of a HELLO
    what: str
    words: bytes
    ending: Ending


def attack(rng: random.Random, hello: Frame, conversations: Sequence[Conversation]) -> Attack:
    """A random one; the same for the same state of `rng`."""
    while True:
        greeted = rng.random() < 0.8
        conversation = rng.choice(conversations)
        before, target, after = _place(rng, conversation if greeted else (hello, *conversation[:1]))
        what, wrong = _mutation(rng)
        words = encoded(before) + wrong(rng, target)
        if rng.random() < 0.5:
            words += encoded(after)
        if not closes_gateway(words):
            return Attack(greeted, what, words, rng.choice(list(Ending)))


def encoded(frames: Conversation) -> bytes:
    return b"".join(map(_raw, frames))


def closes_gateway(words: bytes) -> bool:
    """Whether it would be asked to stop: an admin may, so that is no harm done by a wrong frame."""
    at = 0
    while at + HEADER_BYTES <= len(words):
        length, kind = struct.unpack_from("<IB", words, at)
        if kind == Kind.CLOSE_GATEWAY:
            return True
        at += HEADER_BYTES + length
    return False


def _raw(frame: Frame) -> bytes:
    """As `wire.encode` gives it, which refuses to make what we need."""
    return struct.pack("<IIqq", len(frame.body), frame.kind, frame.ident, frame.stamp_ns) + frame.body


def _place(rng: random.Random, conversation: Conversation) -> tuple[Conversation, Frame, Conversation]:
    at = rng.randrange(len(conversation))
    return conversation[:at], conversation[at], conversation[at + 1 :]


# Mutations: a frame to bytes that are not quite it


def _noise(rng: random.Random, frame: Frame) -> bytes:
    return rng.randbytes(rng.choice((1, 5, 23, 24, 25, 100, 5000)))


def _flipped(rng: random.Random, frame: Frame) -> bytes:
    data = bytearray(_raw(frame))
    for _ in range(rng.randint(1, 4)):
        # The header is hit as often as all the rest.
        at = rng.randrange(HEADER_BYTES if rng.random() < 0.5 else len(data))
        data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def _length(rng: random.Random, frame: Frame) -> bytes:
    data = _raw(frame)
    length = rng.choice((*LENGTHS, len(frame.body) + 1, max(0, len(frame.body) - 1), rng.getrandbits(32)))
    return struct.pack("<I", length) + data[4:]


def _kind(rng: random.Random, frame: Frame) -> bytes:
    data = bytearray(_raw(frame))
    data[4] = rng.choice((rng.choice(list(Kind)), rng.randrange(256)))
    return bytes(data)


def _flags(rng: random.Random, frame: Frame) -> bytes:
    data = bytearray(_raw(frame))
    data[5:8] = rng.randbytes(3)
    return bytes(data)


def _numbers(rng: random.Random, frame: Frame) -> bytes:
    data = _raw(frame)
    ident, stamp_ns = (rng.choice((*NUMBERS, rng.getrandbits(63))) for _ in range(2))
    return data[:8] + struct.pack("<qq", ident, stamp_ns) + data[HEADER_BYTES:]


def _body(rng: random.Random, frame: Frame) -> bytes:
    body = rng.choice(BODIES)
    ident = rng.choice((frame.ident, len(body)))  # in a request: how long the call in it is
    return _raw(Frame(frame.kind, ident, body))


def _cut(rng: random.Random, frame: Frame) -> bytes:
    return _raw(frame)[: rng.randrange(HEADER_BYTES + len(frame.body))]


def _shortened(rng: random.Random, frame: Frame) -> bytes:
    return _raw(Frame(frame.kind, frame.ident, frame.body[: rng.randrange(len(frame.body) + 1)]))


def _repeated(rng: random.Random, frame: Frame) -> bytes:
    return _raw(frame) * rng.choice((2, 3, 20))


def _out_of_turn(rng: random.Random, frame: Frame) -> bytes:
    kinds = rng.choices([kind for kind in Kind if kind != Kind.CLOSE_GATEWAY], k=rng.randint(1, 5))
    return encoded([Frame(kind, 0, frame.body if rng.random() < 0.5 else b"") for kind in kinds])


def _field(rng: random.Random, frame: Frame) -> bytes:
    """A well-formed body with one value in it that is another."""
    is_request = frame.kind in (Kind.STREAM, Kind.BATCH, Kind.BUFFER, Kind.SINK)
    head = frame.body[: frame.ident] if is_request else frame.body
    try:
        tree = msgspec.msgpack.decode(head)
    except msgspec.DecodeError:
        return _flipped(rng, frame)
    changed = msgspec.msgpack.encode(_with_another_leaf(rng, tree))
    ident = len(changed) if is_request else frame.ident
    return _raw(Frame(frame.kind, ident, changed + frame.body[len(head) :]))


def _with_another_leaf(rng: random.Random, tree: Any) -> Any:
    if isinstance(tree, dict) and tree and rng.random() < 0.9:
        key = rng.choice(list(tree))
        rest = {name: value for name, value in tree.items() if name != key}
        if rng.random() < 0.1:
            return rest
        return {**rest, key: _with_another_leaf(rng, tree[key])}
    if isinstance(tree, list) and tree and rng.random() < 0.9:
        at = rng.randrange(len(tree))
        return [*tree[:at], _with_another_leaf(rng, tree[at]), *tree[at + 1 :]]
    return rng.choice(VALUES)


_MUTATIONS: Final[tuple[Callable[[random.Random, Frame], bytes], ...]] = (
    *(_noise, _flipped, _length, _kind, _flags, _numbers, _body, _cut, _shortened, _repeated, _out_of_turn),
    *(_field, _field, _field),
)


def _mutation(rng: random.Random) -> tuple[str, Callable[[random.Random, Frame], bytes]]:
    chosen = rng.choice(_MUTATIONS)
    return chosen.__name__.strip("_"), chosen
