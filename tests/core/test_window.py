"""pynet_core.window: as many items on their way as the link holds without any of them waiting in a queue."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final

import pytest

from pynet_core.session import FIRST_CREDIT, MAX_WINDOW
from pynet_core.window import Window

MS: Final = 1_000_000
PERIOD_MS: Final = 33.3


@dataclass(frozen=True)
class Seen:
    rate_hz: float
    ages_ms: list[float]  # at the consumer, of the second half
    sizes: list[int]  # of the window, of the second half

    @property
    def worst_ms(self) -> float:
        return max(self.ages_ms)


def stream(
    *,
    delay_ms: float,
    each_ms: float = 0.1,
    period_ms: float = PERIOD_MS,
    busy_ms: float = 0.1,
    busy_later_ms: float | None = None,
    rtt_ms: float | None = None,
    items: int = 400,
) -> Seen:
    """A source, a link that takes `each_ms` for an item and delays it, a consumer: on a virtual clock.

    `rtt_ms` is what the ping said, else the truth.
    """
    window = Window(int((2 * delay_ms if rtt_ms is None else rtt_ms) * MS))
    credits = deque([delay_ms] * FIRST_CREDIT)  # when each is at the gateway
    last, left, link_free, consumer_free = -1, 0.0, 0.0, 0.0
    seen: list[tuple[float, float, int]] = []
    for number in range(items):
        left = max(left, credits.popleft())
        item = int(left / period_ms)
        if item <= last:
            item = last + 1
            left = item * period_ms
        replaced, last = item - last - 1, item
        link_free = max(left, link_free) + each_ms
        begin = max(link_free + delay_ms, consumer_free)
        window.came(int(begin * MS), int(item * period_ms * MS) + 1, replaced)
        busy = busy_later_ms if busy_later_ms is not None and number > items // 4 else busy_ms
        consumer_free = begin + busy
        credits.extend([consumer_free + delay_ms] * window.consumed(int(consumer_free * MS)))
        assert len(credits) == window.size <= MAX_WINDOW
        seen.append((begin, begin - item * period_ms, window.size))
    half = seen[items // 2 :]
    rate_hz = (len(half) - 1) / (half[-1][0] - half[0][0]) * 1000
    return Seen(rate_hz, [age for _, age, _ in half], [size for _, _, size in half])


@pytest.mark.parametrize("delay_ms", [0.05, 1, 10])
def test_on_a_short_way_one_item_is_under_way(delay_ms: float) -> None:
    seen = stream(delay_ms=delay_ms)
    assert set(seen.sizes) == {1}
    assert seen.rate_hz == pytest.approx(1000 / PERIOD_MS, rel=0.02)
    assert seen.worst_ms <= delay_ms + 1


@pytest.mark.parametrize("delay_ms", [20, 50, 100, 200])
def test_over_a_long_way_every_item_comes_as_fresh_as_the_way_allows(delay_ms: float) -> None:
    seen = stream(delay_ms=delay_ms, each_ms=2)
    assert seen.rate_hz == pytest.approx(1000 / PERIOD_MS, rel=0.05)
    assert statistics.median(seen.ages_ms) <= delay_ms + 3
    assert seen.worst_ms <= delay_ms + 2 + PERIOD_MS


def test_a_way_longer_than_the_window_is_used_as_far_as_that_goes() -> None:
    seen = stream(delay_ms=500, period_ms=10)
    assert max(seen.sizes) == MAX_WINDOW
    assert seen.rate_hz == pytest.approx(MAX_WINDOW / 1.0, rel=0.1)


@pytest.mark.parametrize("delay_ms", [0.05, 5])
def test_on_a_thin_link_no_item_waits_behind_another(delay_ms: float) -> None:
    seen = stream(delay_ms=delay_ms, each_ms=67)
    assert set(seen.sizes) == {1}
    assert seen.worst_ms <= 67 + PERIOD_MS + delay_ms  # its transmission, and what it was old before


def test_on_a_thin_and_long_link_hardly_any_item_waits_behind_another() -> None:
    seen = stream(delay_ms=50, each_ms=67)
    alone = stream(delay_ms=50, each_ms=67, rtt_ms=0)
    assert seen.rate_hz > 1.5 * alone.rate_hz
    assert statistics.median(seen.ages_ms) <= 50 + 67 + PERIOD_MS


@pytest.mark.parametrize("delay_ms", [0.05, 10, 100])
def test_a_slow_consumer_is_given_no_queue(delay_ms: float) -> None:
    seen = stream(delay_ms=delay_ms, busy_ms=300)
    assert set(seen.sizes) == {1}
    assert seen.worst_ms <= delay_ms + PERIOD_MS + 1


def test_the_window_shrinks_again_when_the_consumer_becomes_slow() -> None:
    assert max(stream(delay_ms=100).sizes) > 5
    assert set(stream(delay_ms=100, busy_later_ms=300).sizes) == {1}


def test_a_ping_that_took_too_long_grows_no_window_on_a_short_way() -> None:
    """It was sent by a busy machine; the waits of the items know better."""
    assert max(stream(delay_ms=0.05, rtt_ms=400).sizes) == 1
    seen = stream(delay_ms=0.05, each_ms=67, rtt_ms=400)
    assert set(seen.sizes) == {1}
    assert seen.worst_ms <= 67 + PERIOD_MS + 1


def test_an_urgent_pair_always_has_some_on_the_way_so_that_a_lost_one_is_followed() -> None:
    window = Window(1 * MS, least=4)
    given = FIRST_CREDIT
    for number in range(1, 20):
        window.came(number * 20 * MS, number * 20 * MS, 0)
        given += window.consumed(number * 20 * MS) - 1
    assert window.size == 4
    assert given == FIRST_CREDIT + 3
