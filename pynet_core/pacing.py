"""How much bulk may be under way at once, so that nothing else waits behind it.  No sockets, no clock.

A link that is given more than it carries keeps the rest in a queue, in front
of every command.  How long that queue is shows in the round trip: what it has
risen over the shortest one.  So the window of bytes under way follows it, as
in FAST TCP: per round trip by the fraction of a window that the queue is away
from its target.  However long the way, that neither swings nor creeps.

The shortest round trip is measured anew every few seconds, for a way may have
become longer: then less is sent for a moment, so that our own queue is gone.
By the machine's clock, so all pairs of one machine do it at the same moments,
and none takes another's queue for the length of the way.
"""

from __future__ import annotations

from typing import Final

RISE_S: Final = 0.015  # of the round trip that bulk may cause: swings stay below the 50 ms a command may wait
FIRST_BYTES: Final = 8 * 1024  # half of what TCP sends at first, knowing nothing
LEAST_BYTES: Final = 3 * 1024  # two packets: on their way whatever happens, so bulk never starves
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_SLICE_BYTES: Final = 256 * 1024
SLICES: Final = 4  # to a window: a queue of one of them is there and gone again
GAIN: Final = 0.5  # of the way to the target with each change
START_GAIN: Final = 1.5  # times as much with each change, until there is any queue; and never more at once
DOUBT_TIMES: Final = 2  # after the first queue, the change at which it must have gone if it was ours
MOST_CHANCE_S: Final = RISE_S * 2 / 3  # of a rise: what is more counts as a queue, whosever it is
SPREAD: Final = 1.25  # windows that may leave in one round trip: what leaves in a burst is a queue by itself
NO_QUEUE_S: Final = 0.002  # a round trip as short as this has no queue in it that anybody would notice
LOOK_PERIOD_S: Final = 5.0
LOOK_S: Final = 0.3  # of each period, at least: a little is sent, and the shortest round trip measured
LOOK_ROUND_TRIPS: Final = 2.5  # the same on a long way
SETTLED: Final = 2 / 3  # of a look: the queue has gone, and TCP's average has followed
EMPTYING: Final = 0.75  # of what fills the way without a queue


class Window:
    """The bytes that one pair of bulk may have under way: `bytes`."""

    def __init__(self) -> None:
        self._bytes = float(FIRST_BYTES)
        self._rtt_s = 0.0
        self._shortest_s = 0.0  # round trip without our own queue; 0 before the first
        self._next_sent = 0  # how much has to have arrived before the window changes again
        self._was_full = False  # since it last did
        self._starting = True
        self._chance_s = 0.0  # by how much the round trip rises without any queue of ours
        self._doubted_s = 0.0  # the rise that has ended the start
        self._doubt = 0  # how many changes later it is looked at again
        self._looking = False
        self._kept_bytes = 0.0  # the window before we looked
        self._seen_s = 0.0  # shortest round trip of this look; 0 before the first

    @property
    def bytes(self) -> int:
        return int(self._bytes)

    @property
    def slice_bytes(self) -> int:
        """How much to send at a time."""
        return min(max(int(self._bytes) // SLICES, LEAST_BYTES // 2), MOST_SLICE_BYTES)

    @property
    def bytes_per_s(self) -> float:
        """How fast to send at most; 0 is as fast as one likes: there is hardly any queue."""
        return SPREAD * self._bytes / self._rtt_s if self._rtt_s > NO_QUEUE_S else 0.0

    def heard(self, rtt_s: float, now_s: float, *, sent: int, under_way: int, was_full: bool) -> None:
        """TCP's smoothed round trip is so long, 0 when it knows none.

        `sent`: bytes since the beginning, of which `under_way` have not been
        acknowledged.  `was_full`: somebody waits to send.
        """
        if not rtt_s:
            return
        self._was_full |= was_full
        self._rtt_s = rtt_s
        self._shortest_s = min(self._shortest_s or rtt_s, rtt_s)
        into_look = now_s % LOOK_PERIOD_S / max(LOOK_S, LOOK_ROUND_TRIPS * self._shortest_s)
        if into_look < 1:
            self._look(rtt_s, has_settled=into_look >= SETTLED)
            return
        if self._looking:
            self._end_look()
        # Not before what the last change has led to can be seen.
        if sent - under_way >= self._next_sent:
            self._follow(rtt_s)
            self._next_sent = sent + self.bytes

    def _look(self, rtt_s: float, *, has_settled: bool) -> None:
        if not self._looking:
            self._looking = True
            self._kept_bytes, self._seen_s = self._bytes, 0.0
            self._bytes = max(LEAST_BYTES, self._bytes * EMPTYING * self._shortest_s / rtt_s)
        if has_settled:
            self._seen_s = min(self._seen_s or rtt_s, rtt_s)

    def _end_look(self) -> None:
        self._looking = False
        self._bytes = self._kept_bytes
        if self._seen_s:
            # A longer way takes a larger window: find it soon.
            self._starting |= self._seen_s > self._shortest_s + RISE_S / 2
            self._shortest_s = self._seen_s

    def _follow(self, rtt_s: float) -> None:
        rise_s = rtt_s - self._shortest_s
        if self._starting and rise_s >= self._chance_s + RISE_S / 4:
            self._starting = False
            self._bytes /= START_GAIN
            self._doubted_s, self._doubt = rise_s, DOUBT_TIMES
        elif self._doubt:
            self._doubt -= 1
            # A queue of ours goes when less is sent; what stays is the way's own unrest.
            if not self._doubt and self._doubted_s / 2 < rise_s < MOST_CHANCE_S:
                self._starting, self._chance_s = True, max(self._chance_s, rise_s)
        change = START_GAIN if self._starting else min(1 + GAIN * (RISE_S - rise_s) / rtt_s, START_GAIN)
        if change < 1 or self._was_full:  # who does not use what he has needs no more
            self._bytes = min(max(LEAST_BYTES, self._bytes * change), MOST_BYTES)
        self._was_full = False
