"""Which lost lines to try now, when one try may take longer than one wants to wait.  No sockets, no clock.

While nothing answers, one line is tried, every 0.5 s anew, and earlier tries
go on beside it: whichever answers first wins.  Once one has, all that are
down are tried at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

RETRY_S: Final = 0.5
AT_ONCE: Final = 4  # a gateway lets no more that have not said who they are in from one address

_Line = TypeVar("_Line")


class Race(Generic[_Line]):
    """The tries that are on their way.  Owned by one thread."""

    def __init__(self) -> None:
        self._running: list[tuple[_Line, float]] = []  # a line, and when this try of it began
        self._newest_s: dict[_Line, float] = {}  # when each was last tried
        self._answered_s = -math.inf  # when the newest try that was answered had begun
        self._refused = False  # one that began later was not

    def due(self, down: Sequence[_Line], now_s: float) -> list[_Line]:
        """Which of these to try now, most important first; they count as begun."""
        slow = any(began_s > self._answered_s and now_s - began_s >= RETRY_S for _, began_s in self._running)
        begun: list[_Line] = []
        for line in down[:1] if slow or self._refused else down:
            if len(self._running) < AT_ONCE and now_s - self._newest_s.get(line, -math.inf) >= RETRY_S:
                self._running.append((line, now_s))
                self._newest_s[line] = now_s
                begun.append(line)
        return begun

    def ended(self, line: _Line, began_s: float, *, answered: bool) -> None:
        """That try is over."""
        self._running.remove((line, began_s))
        if answered:
            self._answered_s = max(self._answered_s, began_s)
            self._refused = False
        elif began_s > self._answered_s:
            self._refused = True
