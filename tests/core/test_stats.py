"""pynet_core.stats: rates and ages, on a virtual clock and over loopback."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from pynet_core.client import Client
from pynet_core.gateway import Gateway
from pynet_core.stats import SEEN_FRAMES, SEEN_NS, Meter
from tests.core.loopback import PATIENCE_S, eventually

MS = 1_000_000


def test_nothing_is_known_before_the_first_item_and_long_after_the_last() -> None:
    meter = Meter()
    assert all(map(math.isnan, meter.read(0, 0)))
    meter.came(5 * MS, 4 * MS, 1)
    assert meter.read(6 * MS, 1) == (0, 1, 1)
    assert all(map(math.isnan, meter.read(6 * MS + SEEN_NS, 1)))


def test_rate_and_ages_are_those_of_the_newest_frames() -> None:
    meter = Meter()
    for number in range(10_000):  # the last second of it every 2 ms, each as old as its number's last digits
        meter.came(number * 2 * MS, number * 2 * MS - number % 100 * MS, number + 1)
    rate_hz, p50_ms, p99_ms = meter.read(9_999 * 2 * MS, 10_000)
    assert rate_hz == pytest.approx(500, rel=0.01)
    assert p50_ms == pytest.approx(50, abs=2)
    assert p99_ms in (98, 99)


def test_frames_of_many_items_count_them_all() -> None:
    meter = Meter()
    for frame in range(100):
        meter.came(frame * 10 * MS, frame * 10 * MS, 1 + 50 * frame)
    rate_hz, _, _ = meter.read(1000 * MS, 5000)
    assert rate_hz == pytest.approx(5000, rel=0.01)


def test_an_old_rush_is_forgotten() -> None:
    meter = Meter()
    for number in range(SEEN_FRAMES):
        meter.came(number, 0, number + 1)
    meter.came(SEEN_NS + MS, SEEN_NS, SEEN_FRAMES + 1)
    meter.came(SEEN_NS + 1001 * MS, SEEN_NS + 1000 * MS, SEEN_FRAMES + 2)
    assert meter.read(SEEN_NS + 1001 * MS, SEEN_FRAMES + 2) == (1, 1, 1)


def test_an_item_from_the_future_tells_how_wrong_the_clocks_are_known() -> None:
    meter = Meter()
    for number, age_ms in enumerate((3, -2, 8)):
        meter.came(100 * MS, (100 - age_ms) * MS, number + 1)
    _, p50_ms, p99_ms = meter.read(100 * MS, 3)
    assert (p50_ms, p99_ms) == (5, 10)


def test_a_subscription_tells_rate_and_ages(gateway: Gateway, client: Client) -> None:
    def paced() -> Iterator[bytes]:
        while True:
            yield b"x" * 10
            time.sleep(0.005)

    gateway.add_subroutine("paced", paced)
    running = client.subscribe("paced", lambda *_: None)
    assert eventually(lambda: running.stats.items > 50)
    stats = running.stats
    assert stats.payload_bytes >= 10 * stats.items
    assert 20 < stats.rate_hz <= 200
    assert 0 <= stats.age_p50_ms <= stats.age_p99_ms < 1000 * PATIENCE_S
    assert stats.age_p50_ms < 100
    running.stop()


def test_every_item_of_a_rush_counts_in_the_rate(gateway: Gateway, client: Client) -> None:
    def rush() -> Iterator[bytes]:
        for _ in range(50_000):
            yield b"x"

    gateway.add_subroutine("rush", rush)
    running = client.subscribe("rush", lambda *_: None)
    assert running.wait(4 * PATIENCE_S)
    stats = running.stats
    assert stats.items == stats.payload_bytes == 50_000
    assert stats.rate_hz > 5000
