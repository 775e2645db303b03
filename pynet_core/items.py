"""Many small items in one frame: the body of ITEMS.

    uint32        size of each item; 0: they differ, or are empty
    int64 x n     idents; n is the ident of the frame
    uint32 x n    sizes, if they differ
    the items, one after the other

All have the stamp of the frame, which is that of the oldest that was gathered with them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final

from pynet_core.errors import RemoteProtocolError
from pynet_core.wire import Flag, Frame, Kind

CAPABILITY: Final = "items"  # of a controller that takes such frames, told in its HELLO
ITEM_EXTRA_BYTES: Final = 12  # ident and size
GATHER_BYTES: Final = 48 * 1024  # of a frame; with one more item it still fits the 64 KiB of a control frame
GATHER_BELOW_BYTES: Final = 8 * 1024  # larger ones gain nothing
MAX_IDENT: Final = 2**63 - 1

_SIZE: Final = struct.Struct("<I")
_ITEMS: Final = Kind.ITEMS


def pack_items(
    idents: Sequence[int],
    bodies: Sequence[bytes],
    most: int,
    stamp_ns: int,
    flags: int = Flag.NONE,
    replaced: int = 0,
) -> Frame:
    """The frame that carries these, at least one; none is larger than `most`, idents fit 64 bits."""
    count, items = len(bodies), b"".join(bodies)
    if 0 < len(items) == count * most:  # and so each is as large
        head = struct.pack(f"<I{count}q", most, *idents)
    else:
        head = struct.pack(f"<I{count}q{count}I", 0, *idents, *map(len, bodies))
    return Frame(_ITEMS, count, head + items, stamp_ns, flags, replaced)


@lru_cache(maxsize=8)  # full frames of one stream all hold as many
def _of_one_size(count: int, size: int) -> struct.Struct:
    return struct.Struct(f"{size}s" * count)


def unpack_items(frame: Frame) -> Iterator[tuple[int, bytes]]:
    """(ident, bytes) of each.

    Raises:
        RemoteProtocolError: The frame is not made that way; at once, not on the way.
    """
    body, count = frame.body, frame.ident
    at = _SIZE.size + 8 * count
    if count < 1 or len(body) < at:
        raise RemoteProtocolError(f"peer sent {count} items in {len(body)} B")
    (size,) = _SIZE.unpack_from(body)
    idents: tuple[int, ...] = struct.unpack_from(f"<{count}q", body, _SIZE.size)
    if size:
        if len(body) != at + count * size:
            raise RemoteProtocolError(f"peer sent {count} items of {size} B in {len(body)} B")
        return zip(idents, _of_one_size(count, size).unpack_from(body, at), strict=True)
    start = at + 4 * count
    sizes: tuple[int, ...] = struct.unpack_from(f"<{count}I", body, at) if len(body) >= start else ()
    if len(body) != start + sum(sizes) or not sizes:
        raise RemoteProtocolError(f"peer sent {count} items of {sum(sizes)} B together in {len(body)} B")
    return zip(idents, [body[a:b] for a, b in pairwise(accumulate(sizes, initial=start))], strict=True)
