"""How bulk follows a link: simulated packet by packet, on a clock that is not the wall's."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field

import pytest

from pynet_core.pacing import LEAST_BYTES, LOOK_PERIOD_S, Window

PACKET_BYTES = 1500
TICK_S = 0.001
MAY_WAIT_S = 0.05
STALL_S = 0.1


@dataclass
class Flow:
    """One pair: sends what its window lets it; its round trip is averaged as TCP does it."""

    window: Window
    busy: bool = True
    sent: int = 0
    under_way: int = 0
    may_send: float = 0.0  # by the rate at which it leaves
    delivered: int = 0
    rtt_s: float = 0.0
    acks: int = 0

    def arrived(self, took_s: float) -> None:
        self.acks += 1
        self.under_way -= PACKET_BYTES
        self.delivered += PACKET_BYTES
        self.rtt_s += (took_s - self.rtt_s) / 8 if self.rtt_s else took_s


@dataclass
class Way:
    """A link of so many bytes a second behind a queue that never drops."""

    rate: float
    delay_s: float  # there and back
    jitter_s: float = 0.0
    keeps_order: bool = False  # what comes behind something late is late too
    stalls: float = 0.0  # of the time, in which no acknowledgement is looked at
    now_s: float = 1000.4
    flows: list[Flow] = field(default_factory=list)
    other_bytes: float = 0.0  # a second, of somebody who does not yield

    def __post_init__(self) -> None:
        self._queue: deque[tuple[Flow | None, float]] = deque()
        self._free_s = self.now_s
        self._under_way: list[tuple[float, int, Flow, float]] = []
        self._numbers = itertools.count()
        self._random = random.Random(3)
        self._owed = 0.0
        self._stalled = False
        self._last_s = 0.0  # when the newest packet is due
        self.rises_s: list[float] = []  # how long a packet that came now would wait, each tick

    def add(self) -> Flow:
        flow = Flow(Window(), rtt_s=self.delay_s)
        self.flows.append(flow)
        return flow

    def run(self, seconds: float) -> None:
        """Time passes; `rises_s` and what flows have delivered count from here."""
        self.rises_s = []
        for flow in self.flows:
            flow.delivered = 0
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self._tick()

    def _tick(self) -> None:
        self.now_s += TICK_S
        if self._random.random() < TICK_S / STALL_S:
            self._stalled = self._random.random() < self.stalls
        while self._under_way and self._under_way[0][0] <= self.now_s and not self._stalled:
            _, _, flow, sent_s = heapq.heappop(self._under_way)
            flow.arrived(self.now_s - sent_s)
        for flow in self.flows:
            size = flow.window.slice_bytes
            full = flow.busy and flow.under_way + size > flow.window.bytes
            flow.window.heard(
                flow.rtt_s,
                self.now_s,
                acks=flow.acks,
                sent=flow.sent,
                under_way=flow.under_way,
                was_full=full,
            )
            rate = flow.window.bytes_per_s or 1e12
            flow.may_send = min(
                flow.may_send + rate * TICK_S, max(2 * PACKET_BYTES, rate * TICK_S) + PACKET_BYTES
            )
            while (
                flow.busy
                and flow.may_send >= PACKET_BYTES
                and flow.under_way + PACKET_BYTES <= flow.window.bytes
            ):
                flow.may_send -= PACKET_BYTES
                flow.sent += PACKET_BYTES
                flow.under_way += PACKET_BYTES
                self._queue.append((flow, self.now_s))
        self._owed += self.other_bytes * TICK_S
        while self._owed >= PACKET_BYTES:
            self._owed -= PACKET_BYTES
            self._queue.append((None, self.now_s))
        self.rises_s.append(len(self._queue) * PACKET_BYTES / self.rate)
        while self._queue and self._free_s <= self.now_s:
            sender, sent_s = self._queue.popleft()
            self._free_s = max(self._free_s, self.now_s - TICK_S) + PACKET_BYTES / self.rate
            if sender is not None:
                due_s = self._free_s + self.delay_s + abs(self._random.gauss(0, self.jitter_s))
                if self.keeps_order:
                    due_s = self._last_s = max(due_s, self._last_s)
                heapq.heappush(self._under_way, (due_s, next(self._numbers), sender, sent_s))

    @property
    def rise_p99_s(self) -> float:
        return sorted(self.rises_s)[int(0.99 * len(self.rises_s))]


def share(way: Way, flow: Flow, seconds: float) -> float:
    return flow.delivered / (way.rate * seconds)


WAYS = pytest.mark.parametrize(
    ("rate_bps", "delay_s", "jitter_s"),
    [
        (2e6, 0.02, 0.0),
        (10e6, 0.005, 0.0),
        (10e6, 0.02, 0.006),
        (10e6, 0.2, 0.0),
        (50e6, 0.04, 0.0),
    ],
)


@WAYS
def test_bulk_fills_a_link_and_makes_nobody_wait_50_ms(
    rate_bps: float, delay_s: float, jitter_s: float
) -> None:
    way = Way(rate_bps / 8, delay_s, jitter_s)
    flow = way.add()
    way.run(5)
    assert max(way.rises_s) < MAY_WAIT_S, "nor while it finds out"
    way.run(10)
    assert way.rise_p99_s < MAY_WAIT_S
    assert share(way, flow, 10) > 0.85


@pytest.mark.parametrize(("delay_s", "jitter_s"), [(0.1, 0.004), (0.1, 0.01), (0.2, 0.006)])
def test_a_long_way_is_filled_soon_although_it_jitters(delay_s: float, jitter_s: float) -> None:
    way = Way(40e6 / 8, delay_s, jitter_s)
    flow = way.add()
    way.run(50 * delay_s)
    way.run(2)
    assert share(way, flow, 2) > 0.6
    way.run(10)
    assert share(way, flow, 10) > 0.8
    assert way.rise_p99_s < MAY_WAIT_S


@pytest.mark.parametrize(
    ("jitter_s", "keeps_order", "stalls"),
    [
        (0.0, False, 0.0),
        (0.003, True, 0.0),
        (0.01, False, 0.0),
        (0.01, True, 0.0),
        (0.02, False, 0.0),
        (0.0, False, 0.1),
    ],
)
def test_4_mb_are_over_a_long_way_in_5_s_whatever_its_unrest(
    jitter_s: float, keeps_order: bool, stalls: float
) -> None:
    way = Way(40e6 / 8, 0.1, jitter_s, keeps_order, stalls)
    flow = way.add()
    way.run(5)
    assert flow.delivered > 4e6
    assert max(way.rises_s) < MAY_WAIT_S


@pytest.mark.parametrize("delay_s", [0.01, 0.03, 0.1])
def test_who_reads_acknowledgements_late_makes_nobody_wait_for_it(delay_s: float) -> None:
    way = Way(40e6 / 8, delay_s, stalls=0.2)
    flow = way.add()
    way.run(20)
    assert way.rise_p99_s < MAY_WAIT_S
    assert share(way, flow, 20) > 0.5


def test_bulk_takes_what_others_leave_and_comes_back_when_they_have_gone() -> None:
    way = Way(10e6 / 8, 0.02)
    flow = way.add()
    way.run(5)
    way.other_bytes = 0.7 * way.rate
    way.run(1)
    way.run(8)
    assert way.rise_p99_s < MAY_WAIT_S
    assert 0.2 < share(way, flow, 8) <= 0.31
    way.other_bytes = 0.0
    way.run(2)
    way.run(8)
    assert share(way, flow, 8) > 0.85


def test_bulk_does_not_starve_on_a_link_that_others_fill() -> None:
    way = Way(10e6 / 8, 0.02)
    flow = way.add()
    way.run(2)
    way.other_bytes = 0.97 * way.rate
    way.run(10)
    assert flow.window.bytes >= LEAST_BYTES
    assert share(way, flow, 10) > 0.01


@pytest.mark.parametrize("longer_s", [0.03, 0.1, 0.25])
def test_a_way_that_has_become_longer_is_filled_again(longer_s: float) -> None:
    way = Way(10e6 / 8, 0.02)
    flow = way.add()
    way.run(8)
    way.delay_s += longer_s
    way.run(LOOK_PERIOD_S + 25 * way.delay_s)  # measured anew, then a larger window found
    way.run(10)
    assert share(way, flow, 10) > 0.7
    assert way.rise_p99_s < MAY_WAIT_S


def test_a_way_that_has_become_thinner_or_shorter_makes_nobody_wait() -> None:
    way = Way(20e6 / 8, 0.06)
    flow = way.add()
    way.run(8)
    way.rate, way.delay_s = 4e6 / 8, 0.02
    way.run(3)
    way.run(10)
    assert way.rise_p99_s < MAY_WAIT_S
    assert share(way, flow, 10) > 0.85


def test_eight_pairs_make_no_longer_queue_than_one_and_each_gets_something() -> None:
    way = Way(10e6 / 8, 0.02)
    for _ in range(4):
        way.add()
        way.run(1.3)
    way.run(10)
    for _ in range(4):
        way.add()
    way.run(10)
    way.run(20)
    assert way.rise_p99_s < MAY_WAIT_S
    shares = [share(way, flow, 20) for flow in way.flows]
    assert sum(shares) > 0.85
    assert min(shares) > 0.01


def test_machines_that_are_busy_are_not_taken_for_a_long_way() -> None:
    way = Way(10e6 / 8, 0.02, stalls=0.4)
    flow = way.add()
    way.run(60)
    assert way.rise_p99_s < MAY_WAIT_S
    assert share(way, flow, 60) > 0.3


def test_who_sends_little_gets_no_larger_window() -> None:
    way = Way(10e6 / 8, 0.02)
    flow = way.add()
    flow.busy = False
    way.run(20)
    assert flow.window.bytes < 40_000


def test_before_the_first_round_trip_is_known_nothing_changes() -> None:
    window = Window()
    before = window.bytes
    window.heard(0.0, 1.0, acks=0, sent=before, under_way=0, was_full=True)
    assert window.bytes == before


def test_on_this_machine_the_window_is_soon_larger_than_any_buffer() -> None:
    window, sent, rounds = Window(), 0, 0
    while window.bytes < 4_000_000:
        sent += window.bytes
        window.heard(0.0001, 1.0, acks=rounds + 1, sent=sent, under_way=0, was_full=True)
        rounds += 1
    assert rounds < 40
    assert window.bytes_per_s == 0, "as fast as it likes"
