"""Lists of files on the wire: FOUNDs, small ones first, deflated where the way is slow."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pynet_core.errors import RemoteProtocolError
from pynet_core.transfer.compression import CODECS, WORTH, unpacked
from pynet_core.transfer.digest import HASHERS
from pynet_core.transfer.frames import LIST_FRAME_BYTES, Link
from pynet_core.transfer.messages import Missed, Node, Nodes
from pynet_core.wire import MAX_CONTROL_BYTES, Frame, Kind, pack_body, unpack_body

FIRST_FRAME_BYTES: Final = 2 * 1024  # fits the first packets of a connection: then others bring already
ROUND_THINGS: Final = 8192  # of a list that rests: what its receiver holds of it when it alone brings
DEFLATED: Final = "zlib"  # which everybody has; lists shrink to a quarter by it, for 0.3 to 0.6 us a file


def pack_found(nodes: Nodes, *, dense: bool = False) -> Frame:
    """Some of a list; `dense`: compressed, if that pays."""
    body = pack_body(nodes)
    if dense and len(made := zlib.compress(body, 1)) < WORTH * len(body):
        return Frame(Kind.FOUND, len(body), made)
    return Frame(Kind.FOUND, 0, body)


def unpack_found(frame: Frame) -> Nodes:
    """Raises:
    RemoteProtocolError: It is no part of a list, or stands for more than a frame may hold.
    """
    if not frame.ident:
        return unpack_body(frame.body, Nodes)
    if not 0 < frame.ident <= MAX_CONTROL_BYTES:
        raise RemoteProtocolError(f"peer sent a list that stands for {frame.ident} B")
    return unpack_body(unpacked(DEFLATED, frame.body, frame.ident), Nodes)


def send_found(link: Link, found: Iterator[tuple[bytes, Node | Missed]], *, dense: bool = False) -> None:
    """A list of a tree, while it is being made."""
    base, nodes, missed, size = b"", list[Node](), list[Missed](), 0
    enough = FIRST_FRAME_BYTES
    for now, one in found:
        if size >= enough or now != base:
            if nodes or missed:
                link.send(pack_found(_nodes(base, nodes, missed), dense=dense))
                enough = min(2 * enough, LIST_FRAME_BYTES)
            base, nodes, missed, size = now, [], [], 0
        if isinstance(one, Node):
            nodes.append(one)
            size += len(one.path) + len(one.target) + 48
        else:
            missed.append(one)
            size += len(one.path) + len(one.reason) + 48
    link.send(pack_found(_nodes(base, nodes, missed), dense=dense))


def send_round(link: Link, found: Iterator[tuple[bytes, Node | Missed]], *, dense: bool) -> bool:
    """As `send_found`, some of it; True when there is more, for which the list rests."""
    count = 0

    def some() -> Iterator[tuple[bytes, Node | Missed]]:
        nonlocal count
        for one in islice(found, ROUND_THINGS):
            count += 1
            yield one

    send_found(link, some(), dense=dense)
    return count == ROUND_THINGS


def _nodes(base: bytes, nodes: list[Node], missed: list[Missed]) -> Nodes:
    return Nodes(base=base, digests=list(HASHERS), codecs=list(CODECS), nodes=nodes, missed=missed)
