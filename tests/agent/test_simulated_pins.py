"""gpiozero's own devices on the board's pins: what they put out, what they measure, what stays behind."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import (
    AngularServo,
    DigitalInputDevice,
    DigitalOutputDevice,
    DistanceSensor,
    Motor,
    PWMOutputDevice,
    RotaryEncoder,
)
from hypothesis import given
from hypothesis import strategies as st

from pi_agent.simulated.pins import BoardFactory, EdgePump
from pynet_car.world.board import RING_EDGES, Board

SOUND_MPS = 343.26  # DistanceSensor's own figure


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board.open(tmp_path / "board") as board:
        yield board


@pytest.fixture
def factory(board: Board) -> Iterator[BoardFactory]:
    factory = BoardFactory(board)
    yield factory
    factory.close()


class Wheel:
    """A quadrature disc: turns by single edges, stamped a millisecond apart."""

    def __init__(self, board: Board, a: int, b: int) -> None:
        self.board, self.a, self.b = board, a, b
        self.position, self.ns = 0, time.monotonic_ns()

    def turn(self, edges: int) -> None:
        step = 1 if edges > 0 else -1
        for _ in range(abs(edges)):
            before, self.position = self.position, self.position + step
            self.ns += 1_000_000
            for pin, low in ((self.a, (1, 2)), (self.b, (2, 3))):
                if (before % 4 in low) != (self.position % 4 in low):
                    self.board.write_edge(self.ns, pin, self.position % 4 not in low)


def sonar(factory: BoardFactory) -> DistanceSensor:
    """A real DistanceSensor that pings when the test calls `_read`, and not in its own thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gpiozero wants pigpio for accuracy; our stamps are exact
        sensor = DistanceSensor(17, 18, max_distance=3, queue_len=1, partial=True, pin_factory=factory)
    sensor._queue.stop()
    return sensor


# Outputs


def test_a_motor_puts_its_duty_on_one_of_its_two_pins(board: Board, factory: BoardFactory) -> None:
    motor = Motor(12, 13, pin_factory=factory)
    motor.value = 0.5
    assert (board.output(12), board.output(13)) == ((0.5, 100.0), (0.0, 100.0))
    motor.value = -0.25
    assert (board.output(12), board.output(13)) == ((0.0, 100.0), (0.25, 100.0))
    motor.stop()
    assert (board.output(12), board.output(13)) == ((0.0, 100.0), (0.0, 100.0))


@pytest.mark.parametrize(("angle", "pulse_ms"), [(0, 1.5), (45, 2.0), (-45, 1.0), (9, 1.6)])
def test_a_servo_angle_is_a_pulse_width(
    board: Board, factory: BoardFactory, angle: float, pulse_ms: float
) -> None:
    servo = AngularServo(19, min_angle=-45, max_angle=45, pin_factory=factory)
    servo.angle = angle
    duty, hz = board.output(19)
    assert hz == 50.0
    assert duty / hz * 1000 == pytest.approx(pulse_ms)


def test_a_detached_servo_gets_no_pulses(board: Board, factory: BoardFactory) -> None:
    servo = AngularServo(19, min_angle=-45, max_angle=45, pin_factory=factory)
    servo.detach()
    assert board.output(19) == (0.0, 0.0)


def test_a_first_write_of_zero_reaches_a_pin_that_a_killed_process_left_high(
    board: Board, factory: BoardFactory
) -> None:
    board.set_output(12, 0.7, 100.0)
    motor = Motor(12, 13, pin_factory=factory)
    assert motor.value == 0
    assert board.output(12) == (0.0, 100.0)


def test_claiming_an_output_changes_nothing_until_it_is_written(board: Board, factory: BoardFactory) -> None:
    board.set_output(12, 0.7, 100.0)
    pin = factory.pin("GPIO12")
    pin.function = "output"
    assert pin.state == 0.7
    assert board.output(12) == (0.7, 100.0)


def test_a_released_output_keeps_its_level(board: Board, factory: BoardFactory) -> None:
    lamp = DigitalOutputDevice(4, initial_value=True, pin_factory=factory)
    lamp.close()
    assert board.output(4) == (1.0, 0.0)


def test_outputs_latch_when_their_process_is_killed(board: Board) -> None:
    driver = (
        "import os, signal, sys; from gpiozero import Motor\n"
        "from pi_agent.simulated.pins import BoardFactory; from pynet_car.world.board import Board\n"
        "motor = Motor(12, 13, pin_factory=BoardFactory(Board.open(sys.argv[1])))\n"
        "motor.value = 0.6; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", driver, board.path], check=False)
    assert board.output(12) == (0.6, 100.0)


def test_closing_a_pwm_device_in_good_order_stops_its_pulses(board: Board, factory: BoardFactory) -> None:
    device = PWMOutputDevice(12, initial_value=0.5, pin_factory=factory)
    device.close()
    assert board.output(12) == (0.0, 0.0)


def test_an_input_in_one_process_leaves_the_outputs_of_another_alone(board: Board, tmp_path: Path) -> None:
    guardian = BoardFactory(board)
    motor = Motor(12, 13, pin_factory=guardian)
    motor.value = 0.5
    with Board.open(board.path) as other:
        worker = BoardFactory(other)
        for pull in (True, False):
            DigitalInputDevice(12, pull_up=pull, pin_factory=worker).close()
        worker.close()
        assert board.output(12) == (0.5, 100.0)


# Inputs


def test_an_unread_line_rests_at_its_pull_and_a_driven_one_at_what_drives_it(
    board: Board, factory: BoardFactory
) -> None:
    board.write_edge(1, 21, True)
    board.write_edge(2, 20, False)
    assert DigitalInputDevice(4, pull_up=True, pin_factory=factory).pin.state == 1
    assert DigitalInputDevice(5, pull_up=False, pin_factory=factory).pin.state == 0
    assert DigitalInputDevice(21, pull_up=False, pin_factory=factory).pin.state == 1
    assert DigitalInputDevice(20, pull_up=True, pin_factory=factory).pin.state == 0


@given(turns=st.lists(st.integers(-40, 40), max_size=12))
def test_an_encoder_counts_every_full_cycle_of_any_to_and_fro(
    tmp_path_factory: pytest.TempPathFactory, turns: list[int]
) -> None:
    with Board.open(tmp_path_factory.mktemp("encoder") / "board") as board:
        factory = BoardFactory(board)
        encoder = RotaryEncoder(20, 21, max_steps=0, pin_factory=factory)
        pump, wheel = EdgePump(factory), Wheel(board, 20, 21)
        for turn in turns:
            wheel.turn(turn)
            pump.pump()
            # Inside a cycle it shows the one it came from.
            assert abs(4 * encoder.steps - wheel.position) < 4
        wheel.turn(-wheel.position % 4)
        pump.pump()
        assert 4 * encoder.steps == wheel.position
        encoder.close()


def test_a_listener_gets_the_stamp_of_the_edge_and_the_factory_the_same_clock(
    board: Board, factory: BoardFactory
) -> None:
    seen: list[tuple[float, int]] = []

    def listen(ticks: float, state: int) -> None:
        seen.append((ticks, state))

    pin = factory.pin("GPIO20")
    pin.function, pin.pull, pin.edges = "input", "up", "both"
    pin.when_changed = listen
    pump = EdgePump(factory)
    now_ns = time.monotonic_ns()
    for offset, level in ((0, False), (1_000, True), (2_000, True), (5_000_000, False)):
        board.write_edge(now_ns + offset, 20, level)
    assert pump.pump() == 4
    assert [state for _, state in seen] == [False, True, False]
    assert [round(ticks * 1e9) - now_ns for ticks, _ in seen] == pytest.approx([0, 1_000, 5_000_000], abs=2)
    assert 0 <= factory.ticks_diff(factory.ticks(), seen[0][0]) < 10


@pytest.mark.parametrize(("edges", "states"), [("rising", [True]), ("falling", [False]), ("none", [])])
def test_a_listener_gets_the_edges_it_asked_for(
    board: Board, factory: BoardFactory, edges: str, states: list[bool]
) -> None:
    seen: list[bool] = []

    def listen(ticks: float, state: bool) -> None:
        seen.append(state)

    pin = factory.pin("GPIO20")
    pin.function, pin.edges = "input", edges
    pin.when_changed = listen
    pump = EdgePump(factory)
    board.write_edge(1, 20, True)
    board.write_edge(2, 20, False)
    pump.pump()
    assert seen == states


@given(distance_m=st.floats(0.02, 2.999))
def test_a_sonar_measures_what_its_echo_says_to_a_tenth_of_a_millimetre(
    tmp_path_factory: pytest.TempPathFactory, distance_m: float
) -> None:
    with Board.open(tmp_path_factory.mktemp("sonar") / "board") as board:
        board.wire_echo(18, 17)
        board.set_echo(17, round(2 * distance_m / SOUND_MPS * 1e9))
        factory = BoardFactory(board)
        sensor = sonar(factory)
        measured = sensor._read()
        sensor.close()
        assert measured * 3 == pytest.approx(distance_m, abs=1e-4)


def test_a_sonar_with_nothing_in_range_reads_its_maximum(board: Board, factory: BoardFactory) -> None:
    board.wire_echo(18, 17)
    board.set_echo(17, 38_000_000)
    sensor = sonar(factory)
    assert sensor._read() == 1.0
    sensor.close()


@pytest.mark.parametrize("wired", [True, False])
def test_a_dead_or_unwired_sonar_gives_no_echo(board: Board, factory: BoardFactory, wired: bool) -> None:
    if wired:
        board.wire_echo(18, 17)
    sensor = sonar(factory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sensor._read() is None
    sensor.close()


def test_echo_stamps_are_never_in_the_future(board: Board, factory: BoardFactory) -> None:
    board.wire_echo(18, 17)
    board.set_echo(17, 38_000_000)
    seen: list[float] = []

    def listen(ticks: float, state: bool) -> None:
        seen.append(ticks)

    echo, trigger = factory.pin("GPIO17"), factory.pin("GPIO18")
    echo.function = "input"
    echo.when_changed = listen
    trigger.function = "output"
    trigger.state = True
    assert seen == []
    trigger.state = False
    assert seen[1] - seen[0] == pytest.approx(0.038, abs=1e-9)
    assert seen[1] <= factory.ticks()


# The pump


def test_the_pump_thread_delivers_and_ends(board: Board, factory: BoardFactory) -> None:
    encoder = RotaryEncoder(20, 21, max_steps=0, pin_factory=factory)
    counted = threading.Event()
    encoder.when_rotated = counted.set
    with EdgePump(factory) as pump:
        Wheel(board, 20, 21).turn(4)
        assert counted.wait(10)
    pump.stop()
    assert encoder.steps == 1
    assert not any(thread.name == "edge-pump" for thread in threading.enumerate())


def test_a_pump_that_came_too_late_says_how_many_edges_were_lost(
    board: Board, factory: BoardFactory, caplog: pytest.LogCaptureFixture
) -> None:
    pump = EdgePump(factory)
    for ns in range(RING_EDGES + 99):
        board.write_edge(ns, 20, bool(ns % 2))
    with caplog.at_level(logging.WARNING):
        assert pump.pump() == RING_EDGES - 1
        assert pump.pump() == 0
    assert pump.overrun == 100
    assert [record.getMessage() for record in caplog.records] == [
        "lost 100 edges: this process did not run for seconds"
    ]


def test_a_listener_that_raises_is_told_once_and_costs_the_others_nothing(
    board: Board, factory: BoardFactory, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(ticks: float, state: bool) -> None:
        raise RuntimeError("plugin bug")

    bad = factory.pin("GPIO4")
    bad.function = "input"
    bad.when_changed = fail
    encoder = RotaryEncoder(20, 21, max_steps=0, pin_factory=factory)
    pump, wheel = EdgePump(factory), Wheel(board, 20, 21)
    for turn in range(8):
        board.write_edge(turn, 4, turn % 2 == 0)
        wheel.turn(4)
    with caplog.at_level(logging.ERROR):
        pump.pump()
    assert encoder.steps == 8
    assert [record.message for record in caplog.records] == [
        "the listener on GPIO4 failed; its next failures are not logged"
    ]


def test_pins_remember_one_state_however_many_they_had(board: Board, factory: BoardFactory) -> None:
    motor = Motor(12, 13, pin_factory=factory)
    encoder = RotaryEncoder(20, 21, max_steps=0, pin_factory=factory)
    pump, wheel = EdgePump(factory), Wheel(board, 20, 21)
    for turn in range(1000):
        motor.value = turn % 2
        wheel.turn(4)
    pump.pump()
    assert encoder.steps == 1000
    gc.collect()
    assert [len(pin.states) for pin in factory.pins.values()] == [0, 0, 0, 0]
