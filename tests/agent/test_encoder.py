"""Wheel discs over gpiozero's mock pins: counts, direction, stamps; and the private names they rest on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gpiozero import Device, RotaryEncoder
from gpiozero.pins.mock import MockFactory
from gpiozero.pins.pi import PiPin

from pi_agent.config import AgentConfig
from pi_agent.sensors.encoder import Encoder
from pi_agent.sensors.pace import Pace
from pynet_core.errors import ConfigError, HardwareError

CONFIG = AgentConfig()
LEFT, RIGHT = CONFIG.encoder.left_pins, CONFIG.encoder.right_pins
# Quadrature with pull-ups: rest is high, and A leads B when rolling forward.
FORWARD = ((0, False), (1, False), (0, True), (1, True))
BACKWARD = ((1, False), (0, False), (1, True), (0, True))


class FixedPace(Pace):
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def wait(self) -> int:
        return self.now_ns


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    Device.pin_factory = MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = None


def roll(
    factory: MockFactory, pins: tuple[int, int], cycle: tuple[tuple[int, bool], ...], end_ns: int
) -> None:
    """One whole quadrature cycle that ends at `end_ns`."""
    for i, (channel, level) in enumerate(cycle):
        pin = factory.pin(pins[channel])
        pin._state = level
        PiPin._call_when_changed(pin, (end_ns - (3 - i) * 1000) * 1e-9, level)


def test_a_cycle_is_a_tick_with_the_stamp_of_its_last_edge(factory: MockFactory) -> None:
    pace = FixedPace(2_000_000_000)
    sensor = Encoder(CONFIG, {}, pace=pace)
    for i in range(1, 99):
        for pins in (LEFT, RIGHT):
            roll(factory, pins, FORWARD, 1_000_000_000 + i * 10_000_000)
    pace.now_ns = 1_000_000_000 + 98 * 10_000_000
    odometry = sensor.read()
    assert (odometry.left_ticks, odometry.right_ticks) == (98, 98)
    assert odometry.distance_m == pytest.approx(1.0)
    assert odometry.velocity_mps == pytest.approx(1 / 98 / 10e-3, rel=1e-6)
    assert odometry.captured_ns == pace.now_ns
    sensor.close()


def test_b_before_a_is_backward_and_the_wheels_are_not_mixed_up(factory: MockFactory) -> None:
    sensor = Encoder(CONFIG, {}, pace=FixedPace(10**9))
    roll(factory, LEFT, BACKWARD, 10**8)
    roll(factory, RIGHT, FORWARD, 10**8)
    roll(factory, RIGHT, FORWARD, 2 * 10**8)
    odometry = sensor.read()
    assert (odometry.left_ticks, odometry.right_ticks) == (-1, 2)
    assert odometry.heading_rad > 0  # to the left
    sensor.close()


def test_counts_have_no_end(factory: MockFactory) -> None:
    sensor = Encoder(CONFIG, {}, pace=FixedPace(10**9))
    for i in range(40):
        roll(factory, LEFT, FORWARD, i * 10**6)
    assert sensor.read().left_ticks == 40
    sensor.close()


def test_reading_comes_at_the_period(factory: MockFactory) -> None:
    sensor = Encoder(CONFIG, {})
    first = sensor.read()
    for _ in range(5):
        last = sensor.read()
    sensor.close()
    assert (last.captured_ns - first.captured_ns) / 5 >= 19_500_000
    assert last.seq == first.seq + 5


def test_closing_frees_the_pins_and_ends_reading(factory: MockFactory) -> None:
    sensor = Encoder(CONFIG, {})
    sensor.close()
    with pytest.raises(HardwareError, match="closed"):
        sensor.read()
    Encoder(CONFIG, {}).close()


def test_a_pin_in_use_is_one_error_that_frees_the_others(factory: MockFactory) -> None:
    taken = RotaryEncoder(RIGHT[0], 4)
    with pytest.raises(HardwareError, match=f"right wheel encoder: .*GPIO{RIGHT[0]}"):
        Encoder(CONFIG, {})
    taken.close()
    Encoder(CONFIG, {}).close()


def test_settings_in_the_wrong_place_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[encoder\]"):
        Encoder(CONFIG, {"ticks_per_m": 98})


@pytest.mark.usefixtures("factory")
def test_gpiozero_still_has_the_private_names_the_disc_uses() -> None:
    calls: list[tuple[float, int]] = []

    class Spy(RotaryEncoder):  # type: ignore[misc]
        def _change_state(self, ticks: float, edge: int) -> None:
            calls.append((ticks, edge))
            super()._change_state(ticks, edge)

    stock = Spy(20, 21, max_steps=0)
    try:
        for channel, level in FORWARD:
            pin = (stock.a, stock.b)[channel].pin
            pin._state = level
            PiPin._call_when_changed(pin, 1.5, level)
        assert calls == [(1.5, 0b10), (1.5, 0b11), (1.5, 0b01), (1.5, 0b00)]
        assert stock._steps == stock.steps == 1
    finally:
        stock.close()
