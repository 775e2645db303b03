"""The frames in which files travel, made by hand: for peers that are not what they seem."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pynet_core.transfer.digest import digest_of
from pynet_core.transfer.messages import FILE, Bit, Node, Nodes, Packed, Pull, Store
from pynet_core.wire import Frame, Kind, pack_body, unpack_body
from tests.core.loopback import RawPeer

DIGEST: Final = "blake2b-128"
END: Final = Frame(Kind.END)


def found(*nodes: Node, base: bytes = b"/") -> Frame:
    return Frame(Kind.FOUND, 0, pack_body(Nodes(base=base, digests=[DIGEST], nodes=list(nodes))))


def file_node(path: bytes, size: int = 3) -> Node:
    return Node(path, FILE, size, 7, 8, 9, 0o644)


def pull(path: bytes, *, base: bytes = b"/", digest: str = DIGEST, **changes: int) -> Frame:
    """One for a piece of a file of 3 bytes, or of what `changes` say."""
    fields = {"size": 3, "mtime_ns": 0, **changes}
    fields.setdefault("length", fields["size"])
    bit = Bit(path=path, **fields)  # type: ignore[arg-type]
    return Frame(Kind.PULL, 0, pack_body(Pull(base=base, digest=digest, bits=[bit], packed=False)))


def pull_of(
    path: Path, *, offset: int = 0, length: int | None = None, have: bytes = b"", packed: bool = False
) -> Frame:
    """One for a file as it is now: the whole of it, or `length` bytes."""
    state = path.stat()
    if length is None:
        length = 0 if packed else state.st_size
    bit = Bit(
        os.fsencode(path.name),
        state.st_size,
        state.st_mtime_ns,
        state.st_ctime_ns,
        state.st_ino,
        have,
        offset,
        length,
    )
    body = Pull(base=os.fsencode(path.parent), digest=DIGEST, bits=[bit], packed=packed)
    return Frame(Kind.PULL, 0, pack_body(body))


def pack(*contents: bytes) -> Frame:
    head = Packed(
        sizes=[len(data) for data in contents], digests=b"".join(digest_of(DIGEST, data) for data in contents)
    )
    body = pack_body(head)
    return Frame(Kind.PACK, len(body), body + b"".join(contents))


def pack_of(pulled: Pull, data: bytes = b"abc") -> Frame:
    """The answer to it: every file is that."""
    return pack(*[data] * len(pulled.bits))


def answer_pulls(peer: RawPeer, data: bytes = b"abc") -> Frame:
    """Give everything that is asked for until something else comes; returns that."""
    while (frame := peer.receive()).kind == Kind.PULL:
        peer.send(pack_of(unpack_body(frame.body, Pull), data))
    return frame


def store(folder: str = "", *, flat: bool = True) -> Frame:
    body = Store(transfer=os.urandom(16), key=bytes(16), folder=folder, checksum=True, flat=flat)
    return Frame(Kind.STORE, 0, pack_body(body))
