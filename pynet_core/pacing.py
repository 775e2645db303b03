"""How much bulk may be under way at once, so that nothing else waits behind it.  No sockets, no clock.

A link that is given more than it carries keeps the rest in a queue, in front
of every command.  How long that queue is shows in the round trip: what it has
risen over the shortest one.  A way that jitters and a busy machine make single
round trips longer, never shorter: so the least of several counts, each a part
of a round trip, a step.

While there is no queue the window grows with each step, the more the shorter
the way is: what is sent too much before a queue can be seen is a queue too.
Else it follows the queue as in FAST TCP: per round trip by the fraction of a
window that the queue is away from its target.  However long the way, that
neither swings nor creeps.

The shortest round trip is measured anew every few seconds, for a way may have
become longer: then less is sent for a moment, so that our own queue is gone.
By the machine's clock, so all pairs of one machine do it at the same moments,
and none takes another's queue for the length of the way.
"""

from __future__ import annotations

from typing import Final

RISE_S: Final = 0.015  # of the round trip that bulk may cause: swings stay below the 50 ms a command may wait
FIRST_BYTES: Final = 8 * 1024  # half of what TCP sends at first, knowing nothing
FIRST_BYTES_PER_S: Final = 125_000  # 1 Mbit/s: two pairs begin, and on 2 Mbit/s
FIRST_QUEUE_S: Final = 0.032  # is the queue that they make: a long way takes more at first
LEAST_BYTES: Final = 3 * 1024  # two packets: on their way whatever happens, so bulk never starves
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_SLICE_BYTES: Final = 256 * 1024
SLICES: Final = 8  # to a window: a queue of one of them is there and gone again
GAIN: Final = 0.5  # of the way to the target with each change
MOST_GAIN: Final = 1.5  # times as much with each change
STEPS: Final = 8  # to a window that arrives
GROWTH_S: Final = 0.036  # a round trip, while there is no queue: twice as long is the queue that comes up
MOST_GROWTH: Final = 0.7  # of a window
LEAST_GROWTH: Final = 0.12  # the same: a way of more than 200 ms is filled some time, too
CALM_S: Final = 0.003  # a rise that is no queue yet
MOST_CALM_S: Final = 0.012  # the same where the way has no rest: a queue as short as that may be one of ours
RESTLESS: Final = 4  # times what steps fall is no queue either: ours falls only when less is sent
UNREST_STEPS: Final = 16  # over which that is averaged
STALL_S: Final = 0.012  # without an acknowledgement, and then half a window of them: that is a stall
KEPT: Final = 7 / 8  # of TCP's smoothed round trip, with each new one
SPREAD: Final = 1.25  # windows that may leave in one round trip: what leaves in a burst is a queue by itself
NO_QUEUE_S: Final = 0.002  # a round trip as short as this has no queue in it that anybody would notice
LOOK_PERIOD_S: Final = 5.0
LOOK_S: Final = 0.3  # of each period, at least: a little is sent, and the shortest round trip measured
LOOK_ROUND_TRIPS: Final = 2.5  # the same on a long way
SETTLED: Final = 2 / 3  # of a look: the queue has gone, and TCP's average has followed
EMPTYING: Final = 0.75  # of what fills the way without a queue


class RoundTrips:
    """Those behind TCP's smoothed one, which follows a queue late and forgets a stall later."""

    def __init__(self) -> None:
        self._smoothed_s = 0.0
        self._acks = 0

    def latest(self, smoothed_s: float, acks: int) -> float:
        """The mean of those that acknowledgements have shown since the last call; 0 when there were none."""
        before_s, new = self._smoothed_s, acks - self._acks
        if not new:
            return 0.0
        self._smoothed_s, self._acks = smoothed_s, acks
        if not before_s:
            return smoothed_s
        kept = KEPT**new
        # Some acknowledgements show no round trip: never far below what TCP says.
        return max((smoothed_s - kept * before_s) / (1 - kept), smoothed_s / 2)


class Window:
    """The bytes that one pair of bulk may have under way: `bytes`."""

    def __init__(self) -> None:
        self._bytes = float(FIRST_BYTES)
        self._round_trips = RoundTrips()
        self._rtt_s = (
            0.0  # of the last step: a stall makes TCP's longer, and what is sent too slow for a queue
        )
        self._shortest_s = 0.0  # round trip without our own queue; 0 before the first
        self._heard_s = 0.0  # when the last acknowledgement was seen, and
        self._arrived = 0  # how much had arrived then
        self._least_s = 0.0  # round trip of this step; 0 before the first
        self._before_s = 0.0  # of the step before; 0 in the first
        self._unrest_s = 0.0  # that steps fall
        self._step_begin = self._step_end = 0  # how much has, and has to have, arrived
        self._steps_s: list[float] = []  # least round trips since the window was last judged
        self._grow_at = self._judge_at = 0  # how much has to have arrived: what was done has led to something
        self._was_full = False  # since the last change
        self._looking = False
        self._kept_bytes, self._kept_s = 0.0, 0.0  # window and round trip before we looked
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

    def heard(
        self, rtt_s: float, now_s: float, *, acks: int, sent: int, under_way: int, was_full: bool
    ) -> None:
        """TCP's smoothed round trip is so long, 0 when it knows none, after so many acknowledgements.

        `sent`: bytes since the beginning, of which `under_way` have not been
        acknowledged.  `was_full`: somebody waits to send.
        """
        if not rtt_s:
            return
        if not self._shortest_s:
            self._begin(rtt_s)
        self._was_full |= was_full
        arrived = sent - under_way
        latest_s = self._round_trips.latest(rtt_s, acks)
        self._rtt_s = rtt_s if self._looking else self._before_s or rtt_s
        if latest_s:
            self._shortest_s = min(self._shortest_s or latest_s, latest_s)
            has_stalled = latest_s > self._shortest_s + CALM_S and now_s - self._heard_s > STALL_S
            if has_stalled and arrived - self._arrived > self._bytes / 2:
                self._wait(sent)  # the queue has gone meanwhile, whatever it was
            self._heard_s, self._arrived = now_s, arrived
            self._least_s = min(self._least_s or latest_s, latest_s)
        into_look = now_s % LOOK_PERIOD_S / max(LOOK_S, LOOK_ROUND_TRIPS * self._shortest_s)
        if into_look < 1:
            self._look(rtt_s, latest_s, has_settled=into_look >= SETTLED)
            return
        if self._looking:
            self._end_look(sent)
        if arrived >= self._step_end and self._least_s:
            self._end_step(arrived, sent)

    def _begin(self, shortest_s: float) -> None:
        self._bytes = max(self._bytes, FIRST_BYTES_PER_S * (shortest_s + FIRST_QUEUE_S))

    def _look(self, rtt_s: float, latest_s: float, *, has_settled: bool) -> None:
        if not self._looking:
            self._looking = True
            self._kept_bytes, self._kept_s, self._seen_s = self._bytes, rtt_s, 0.0
            self._bytes = max(LEAST_BYTES, self._bytes * EMPTYING * self._shortest_s / rtt_s)
        if has_settled and latest_s:
            self._seen_s = min(self._seen_s or latest_s, latest_s)

    def _end_look(self, sent: int) -> None:
        self._looking = False
        before_s, self._shortest_s = self._shortest_s, self._seen_s or self._shortest_s
        # More than a queue of twice what it may be stands only where we took the way for longer than it is.
        self._bytes = self._kept_bytes
        self._change(min((self._shortest_s + 2 * RISE_S) / self._kept_s, 1))
        if self._shortest_s > before_s + RISE_S / 2:
            self._begin(self._shortest_s)  # the way has become longer
        self._least_s = 0.0
        self._wait(sent)

    def _wait(self, sent: int) -> None:
        """Until all that is under way has arrived, and a window after it."""
        self._grow_at = self._judge_at = sent + self.bytes
        self._steps_s.clear()

    def _end_step(self, arrived: int, sent: int) -> None:
        least_s, before_s = self._least_s, self._before_s or self._least_s
        fallen_s = min(max(before_s - least_s, 0.0), MOST_CALM_S)
        self._unrest_s += (fallen_s - self._unrest_s) / UNREST_STEPS
        calm_s = self._shortest_s + min(CALM_S + RESTLESS * self._unrest_s, MOST_CALM_S)
        self._steps_s.append(least_s)
        if min(least_s, before_s) >= calm_s:  # two steps: one alone may be chance
            self._grow_at = sent + self.bytes
        if arrived >= self._grow_at:
            if self._was_full and least_s < calm_s:
                growth = min(max(GROWTH_S / self._shortest_s, LEAST_GROWTH), MOST_GROWTH)
                self._change(1 + growth * min((arrived - self._step_begin) / self._bytes, 1))
            self._judge_at = sent + self.bytes
            self._steps_s.clear()
        elif arrived >= self._judge_at:
            self._judge()
            self._judge_at = sent + self.bytes
        self._before_s, self._least_s = least_s, 0.0
        self._step_begin, self._step_end = arrived, arrived + self.bytes // STEPS

    def _judge(self) -> None:
        """More if the queue was short all the time, less if it was long all the time."""
        target_s = self._shortest_s + RISE_S + 2 * self._unrest_s
        rtt_s = sum(self._steps_s) / len(self._steps_s)
        if rtt_s > target_s:
            rtt_s = max(target_s, min(self._steps_s[-STEPS:]))
        times = min(1 + GAIN * (target_s - rtt_s) / rtt_s, MOST_GAIN)
        if times < 1 or self._was_full:  # who does not use what he has needs no more
            self._change(times)
        self._steps_s.clear()

    def _change(self, times: float) -> None:
        self._bytes = min(max(LEAST_BYTES, self._bytes * times), MOST_BYTES)
        self._was_full = False
