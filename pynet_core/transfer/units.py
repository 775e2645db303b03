"""What travels in one piece: small files in a pack, or a range of a large one.  Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from pynet_core.transfer.messages import Node

LAST_RANGE_BYTES: Final = 256 * 1024  # at least, when little is left


@dataclass(eq=False, slots=True)
class Pack:
    """Small files that travel together."""

    base: bytes
    nodes: list[Node]
    source: int | None = None  # which alone may bring it; None: any
    is_again: bool = False  # another source could not
    is_late: bool = False  # there was no room for it


@dataclass(eq=False, slots=True)
class Large:
    """A file that travels in ranges.

    `claimed` are ranges that an earlier attempt has brought, as (offset,
    length): they go out first, to be compared.  `part` is the receiver's.
    """

    base: bytes
    node: Node
    claimed: deque[tuple[int, int]] = field(default_factory=deque)
    gaps: deque[tuple[int, int]] = field(default_factory=deque)  # (offset, end) that nobody has brought
    source: int | None = None  # which alone may bring it, once one has begun: two might differ unnoticed
    is_again: bool = False  # another source could not
    restarts: bool = False  # as soon as nobody writes to it
    compares: bool = False  # what is claimed stands in the file's place, not in a part
    out: int = 0  # units
    is_over: bool = False  # nothing of it goes out any more
    is_whole: bool = False
    keep: bool = True  # the part, if it does not become whole
    part: Any = None


@dataclass(eq=False, slots=True)
class Range:
    """`length` bytes of a large file from `offset`; `claimed`: they may stand here already."""

    large: Large
    offset: int
    length: int
    claimed: bool


Unit = Pack | Range


def cut(large: Large, range_bytes: int, sharers: int) -> Range | None:
    """The next range of it, smaller when little is left for so many pairs; None when all is out."""
    if large.claimed:
        return Range(large, *large.claimed.popleft(), claimed=True)
    if not large.gaps:
        return None
    if sharers > 2:
        left = sum(end - offset for offset, end in large.gaps)
        range_bytes = max(LAST_RANGE_BYTES, min(range_bytes, left // (2 * sharers)))
    offset, end = large.gaps.popleft()
    length = end - offset
    if length > range_bytes + range_bytes // 2:  # no crumb is left for the end
        length = range_bytes
        large.gaps.appendleft((offset + length, end))
    return Range(large, offset, length, claimed=False)
