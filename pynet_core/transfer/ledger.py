"""Share the pieces of a transfer among pairs.  Pure: no sockets, no files."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator

from pynet_core.transfer.plan import Piece


class Ledger:
    """Which pieces are waiting, out with which pair, or done; for any number of threads.

    A pair takes work when it is free, so a fast link gets more than a slow one,
    and one that dies only gives back what it held.
    """

    def __init__(self, files: Iterable[tuple[Iterator[Piece], int]]) -> None:
        """`files`: the pieces of each, in the order of the plan, and how many they are."""
        self._changed = threading.Condition()
        self._fresh: deque[tuple[int, Iterator[Piece]]] = deque()
        self._left: dict[int, int] = {}  # pieces of each file that are not done; no entry: it is over
        for file, (pieces, count) in enumerate(files):
            self._fresh.append((file, pieces))
            self._left[file] = count
        self._returned: deque[Piece] = deque()
        self._out: dict[object, set[Piece]] = {}

    def take(self, pair: object, *, wait: bool) -> Piece | None:
        """A piece for this pair to fetch; None when there is none.

        With `wait`, None means that all is over: until then, another pair may
        die and give back what it holds.
        """
        with self._changed:
            while True:
                piece = self._next()
                if piece is not None:
                    self._out.setdefault(pair, set()).add(piece)
                    return piece
                if not wait or not self._left:
                    return None
                self._changed.wait()

    def done(self, pair: object, piece: Piece) -> bool:
        """The pair has brought it; True when that was the last one of its file."""
        with self._changed:
            self._out[pair].remove(piece)
            if piece.file not in self._left:
                return False
            self._left[piece.file] -= 1
            return not self._left[piece.file] and self._end(piece.file)

    def drop(self, file: int) -> None:
        """This file has failed: no more pieces of it; those that are out count for nothing."""
        with self._changed:
            self._end(file)

    def give_back(self, pair: object) -> None:
        """This pair brings nothing more: what it holds is for the others, first of all."""
        with self._changed:
            held = sorted(self._out.pop(pair, ()), key=lambda piece: (piece.file, piece.offset))
            self._returned.extendleft(reversed(held))
            self._changed.notify_all()

    def _end(self, file: int) -> bool:
        self._left.pop(file, None)
        self._changed.notify_all()
        return True

    def _next(self) -> Piece | None:
        while self._returned:
            returned = self._returned.popleft()
            if returned.file in self._left:
                return returned
        while self._fresh:
            file, pieces = self._fresh[0]
            if file in self._left and (piece := next(pieces, None)) is not None:
                return piece
            self._fresh.popleft()
        return None
