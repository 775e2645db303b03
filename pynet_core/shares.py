"""One stream that many pairs draw, a share each: what has come, and which item is next.  No threads."""

from __future__ import annotations

from collections import deque
from typing import Final

from pynet_core.errors import OutOfOrder

MAX_AHEAD: Final = 32  # items of one share that wait for those of the others


class Share:
    """What one of several generators gives: those items that are its own."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.items: deque[tuple[int, bytes]] = deque()
        self.newest = -1  # ident; generators give none below 0
        self.taken_over_at = -1  # what the pair before has brought, and this one brings again
        self.is_over = False
        self.error: Exception | None = None

    def is_new(self, name: str, ident: int) -> bool:
        """False for an item that an earlier pair has brought.

        Raises:
            OutOfOrder: Neither.
        """
        if ident <= self.taken_over_at:
            return False
        if ident <= self.newest:
            raise OutOfOrder(
                f"share {self.number} of {name!r} gave ident {ident} after {self.newest}: the idents of a "
                "share must rise, for by them items are put in order, and known when a share is begun again"
            )
        return True

    def take_error(self) -> Exception | None:
        """What has ended it, once."""
        error, self.error = self.error, None
        return error

    def put(self, ident: int, body: bytes) -> None:
        """One has come."""
        self.items.append((ident, body))
        self.newest = ident


class Shares:
    """The items of all shares, one after the other: by ident, or as they have come."""

    def __init__(self, count: int, *, ordered: bool) -> None:
        self.shares = [Share(number) for number in range(count)]
        self._ordered = ordered
        self._turn = 0  # unordered: whose items are looked at first

    @property
    def are_over(self) -> bool:
        """All have ended, and all their items have been taken."""
        return all(share.is_over and not share.items for share in self.shares)

    def take(self) -> tuple[int, bytes] | Exception | None:
        """The next item, or what has ended a share, behind its items; None when neither has come, or will."""
        if not self._ordered:
            return self._take_any()
        first: Share | None = None
        for share in self.shares:
            if not share.items:
                if error := share.take_error():
                    return error
                if not share.is_over:
                    return None  # its next may be the one
            elif first is None or share.items[0][0] < first.items[0][0]:
                first = share
        return None if first is None else first.items.popleft()

    def _take_any(self) -> tuple[int, bytes] | Exception | None:
        count = len(self.shares)
        for step in range(count):
            share = self.shares[(self._turn + step) % count]
            if share.items:
                self._turn = (share.number + 1) % count
                return share.items.popleft()
        return next(filter(None, (share.take_error() for share in self.shares)), None)
