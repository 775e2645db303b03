"""How many items of a newest-only stream may be on their way: decided where they arrive.  Pure.

One is freshest: the next leaves when the last has been consumed, and nothing
waits anywhere but at the source, where a newer one replaces it.  But where the
round trip is longer than the items are apart, one at a time is fewer than
there are.  So many more are let go as leave while a word travels there and
back, and no more than link and consumer take: those would only queue.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from pynet_core.session import MAX_WINDOW

# At least, on urgent pairs: of Status messages 2 KB, and 160 ms behind a stuck consumer.
URGENT_WINDOW: Final = 8
SEEN_ITEMS: Final = 16  # what the shortest wait is taken of
SMOOTHING: Final = 8  # a new value counts for one part of so many


class Window:
    """Of one stream; `rtt_ns` is what a small message has taken there and back."""

    def __init__(self, rtt_ns: int, *, least: int = 1) -> None:
        """`least` of urgent pairs is more than one.

        Of one alone that is lost TCP hears only when its timer runs out,
        after 0.2 s or more; of one that others follow, when those arrive.
        """
        self._rtt_ns: float = rtt_ns
        self._least = least
        self.size = 1
        self._alone_ns = 0  # the shortest wait while the window was 1
        # When each credit left that no item has come for; 0: the one that a stream begins with.
        self._given_ns: deque[int] = deque([0])
        self._waits_ns: deque[int] = deque(maxlen=SEEN_ITEMS)  # from credit to item
        self._came_ns = 0
        self._stamp_ns = 0
        self._period_ns = 0.0  # between two items as they are made
        self._busy_ns = 0.0  # with one, here

    def came(self, now_ns: int, stamp_ns: int, replaced: int) -> None:
        """An item has come, made at `stamp_ns` of its own clock, `replaced` behind the one before."""
        given_ns = self._given_ns.popleft()
        if given_ns:
            self._waits_ns.append(now_ns - given_ns)
        if self._stamp_ns:
            self._period_ns = _smoothed(self._period_ns, (stamp_ns - self._stamp_ns) / (1 + replaced))
        self._came_ns, self._stamp_ns = now_ns, stamp_ns

    def consumed(self, now_ns: int) -> int:
        """It is done with: how much credit to give, 0 to 2."""
        self._busy_ns = _smoothed(self._busy_ns, now_ns - self._came_ns)
        wanted = self._wanted()
        give = 1 + (wanted > self.size) - (wanted < self.size)
        self.size += give - 1
        self._given_ns.extend([now_ns] * give)
        return give

    def _wanted(self) -> int:
        if len(self._waits_ns) < SEEN_ITEMS or not self._period_ns:
            return self._least
        shortest_ns = min(self._waits_ns)
        if self.size == 1:
            self._alone_ns = shortest_ns
        each_ns = shortest_ns / self.size
        if shortest_ns > self._alone_ns + 1.25 * self._period_ns and each_ns > 1.25 * self._busy_ns:
            # They queue in the link: the ping has taken longer than a small message takes as a rule.
            self._rtt_ns = min(self._rtt_ns, max(0.0, self._alone_ns - each_ns))
        rtt_ns = min(self._rtt_ns, self._alone_ns)
        # What takes longest sets the pace: the source, the consumer, or the link, for which the wait is
        # longer than a small message's by the time that an item takes through it.
        pace_ns = max(self._period_ns, self._busy_ns, self._alone_ns - rtt_ns, 1)
        return min(MAX_WINDOW, max(self._least, 1 + int(rtt_ns / pace_ns)))


def _smoothed(old: float, new: float) -> float:
    return old + (new - old) / SMOOTHING if old else new
