"""Proximity and encoder on the simulated car's own pins: the same classes, exact by the board's stamps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import Device

from pi_agent.config import AgentConfig
from pi_agent.sensors.encoder import Encoder
from pi_agent.sensors.proximity import Proximity
from pi_agent.simulated.pins import EdgePump
from pi_agent.simulated.wiring import wire
from pynet_car.messages import ReadingState
from pynet_car.odometry import LATE_NS
from pynet_car.world.board import Board

CONFIG = AgentConfig()
HEADS = CONFIG.proximity.heads
# Rolling forward from rest (both lines high): A falls, B falls, A rises, B rises.
FORWARD = ((0, False), (1, False), (0, True), (1, True))


@pytest.fixture
def pump(tmp_path: Path) -> Iterator[EdgePump]:
    pump = wire(tmp_path)
    yield pump
    pump.stop()
    Device.pin_factory.close()
    Device.pin_factory = None


@pytest.fixture
def board(pump: EdgePump, tmp_path: Path) -> Iterator[Board]:
    """What the world sees of the pins."""
    with Board.open(tmp_path / "board") as board:
        yield board


def test_heads_measure_a_distance_clear_and_dead(board: Board) -> None:
    widths_ns = (round(2 * 1.25 / 343.26 * 1e9), 38_000_000, 0, round(2 * 2.999 / 343.26 * 1e9))
    for head, width_ns in zip(HEADS, widths_ns, strict=True):
        board.wire_echo(head.trigger_pin, head.echo_pin)
        board.set_echo(head.echo_pin, width_ns)
    sensor = Proximity(CONFIG, {})
    for _ in HEADS:
        near, clear, dead, far = sensor.read().readings
    sensor.close()
    assert (near.state, clear.state, dead.state, far.state) == (
        ReadingState.OK,
        ReadingState.OUT_OF_RANGE,
        ReadingState.FAULT,
        ReadingState.OK,
    )
    assert near.value == pytest.approx(1.25, abs=1e-6)
    assert clear.value == 3.0
    assert far.value == pytest.approx(2.999, abs=1e-6)


def test_ticks_keep_the_worlds_stamps_through_the_ring(board: Board) -> None:
    for pin in (*CONFIG.encoder.left_pins, *CONFIG.encoder.right_pins):
        board.write_edge(1, pin, True)
    sensor = Encoder(CONFIG, {})
    start_ns = time.monotonic_ns()
    for tick in range(8):
        for pins in (CONFIG.encoder.left_pins, CONFIG.encoder.right_pins):
            for quarter, (channel, level) in enumerate(FORWARD):
                board.write_edge(start_ns + tick * 10_000_000 + quarter * 2_500_000, pins[channel], level)
    deadline = time.monotonic() + 10
    while (odometry := sensor.read()).left_ticks + odometry.right_ticks < 16 and time.monotonic() < deadline:
        pass
    sensor.close()
    assert (odometry.left_ticks, odometry.right_ticks) == (8, 8)
    overdue_s = (odometry.captured_ns - LATE_NS - start_ns) * 1e-9 - 0.0775
    assert odometry.velocity_mps == pytest.approx(1 / 98 / max(0.010, overdue_s), rel=1e-6)
