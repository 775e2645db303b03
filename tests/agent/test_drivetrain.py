from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from pi_agent.config import DriveConfig
from pi_agent.drivetrain import GpioDrivetrain
from pi_agent.neutral import carry_out
from pi_agent.simulated.pins import BoardFactory
from pynet_car.world.board import Board
from pynet_core.errors import HardwareError

CONFIG = DriveConfig()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board.open(tmp_path / "board") as board:
        yield board


@pytest.fixture
def drivetrain(board: Board) -> Iterator[GpioDrivetrain]:
    drivetrain = GpioDrivetrain(CONFIG, BoardFactory(board), board)
    drivetrain.claim()
    yield drivetrain
    drivetrain.close()


def duties(board: Board) -> tuple[float, float]:
    return board.output(CONFIG.forward_pin)[0], board.output(CONFIG.backward_pin)[0]


def pulse_ms(board: Board) -> float:
    duty, hz = board.output(CONFIG.steering_pin)
    return duty / hz * 1e3


def test_claiming_puts_out_neutral_whatever_stood_there(board: Board) -> None:
    for pin in (CONFIG.forward_pin, CONFIG.backward_pin):
        board.set_output(pin, 0.7, 100.0)  # a guardian was killed at speed
    drivetrain = GpioDrivetrain(CONFIG, BoardFactory(board), board)
    drivetrain.claim()
    assert duties(board) == (0.0, 0.0)
    assert pulse_ms(board) == pytest.approx(1.5)
    drivetrain.close()


@pytest.mark.parametrize(("duty", "pins"), [(0.5, (0.5, 0.0)), (-0.25, (0.0, 0.25)), (0.0, (0.0, 0.0))])
def test_duty_goes_to_one_side_of_the_bridge(
    drivetrain: GpioDrivetrain, board: Board, duty: float, pins: tuple[float, float]
) -> None:
    drivetrain.set(1.0, 0.0)
    drivetrain.set(duty, 0.0)
    assert duties(board) == pins
    assert board.output(CONFIG.forward_pin)[1] == CONFIG.pwm_hz


@pytest.mark.parametrize(("steering", "ms"), [(-1.0, 1.0), (0.0, 1.5), (0.5, 1.75), (1.0, 2.0)])
def test_steering_is_a_pulse_and_left_is_longer(
    drivetrain: GpioDrivetrain, board: Board, steering: float, ms: float
) -> None:
    drivetrain.set(0.0, steering)
    assert pulse_ms(board) == pytest.approx(ms)


def test_neutral_and_close_may_come_twice_and_in_any_order(drivetrain: GpioDrivetrain, board: Board) -> None:
    drivetrain.set(0.8, 0.3)
    drivetrain.neutral()
    drivetrain.neutral()
    assert duties(board) == (0.0, 0.0)
    assert pulse_ms(board) == pytest.approx(1.5)
    drivetrain.close()
    drivetrain.close()
    drivetrain.neutral()
    assert duties(board) == (0.0, 0.0)


def test_the_same_value_after_neutral_is_written_again(drivetrain: GpioDrivetrain, board: Board) -> None:
    drivetrain.set(0.8, 0.3)
    drivetrain.neutral()
    drivetrain.set(0.8, 0.3)
    assert duties(board) == (0.8, 0.0)


def test_the_neutral_writes_stop_the_motor_and_leave_the_steering(
    drivetrain: GpioDrivetrain, board: Board
) -> None:
    for duty in (0.8, -0.8):
        drivetrain.set(duty, 0.5)
        for write in drivetrain.neutral_writes():
            carry_out(write)
        assert duties(board) == (0.0, 0.0)
        assert pulse_ms(board) == pytest.approx(1.75)


def test_the_neutral_writes_name_the_board_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Board.open("board") as board:
        drivetrain = GpioDrivetrain(CONFIG, BoardFactory(board), board)
    assert {write[1] for write in drivetrain.neutral_writes()} == {str(tmp_path / "board")}


def test_a_duty_out_of_range_is_a_hardware_error(drivetrain: GpioDrivetrain, board: Board) -> None:
    with pytest.raises(HardwareError, match=r"duty 1\.100"):
        drivetrain.set(1.1, 0.0)
    drivetrain.neutral()
    assert duties(board) == (0.0, 0.0)


def test_pins_without_pwm_are_a_clear_error() -> None:
    with pytest.raises(HardwareError, match="cannot take the pins of the GPIO, motor on 12/13"):
        GpioDrivetrain(CONFIG, MockFactory()).claim()


def test_on_real_pins_neutral_py_is_told_what_it_cannot_do_yet() -> None:
    drivetrain = GpioDrivetrain(CONFIG, MockFactory(pin_class=MockPWMPin))
    for write in drivetrain.neutral_writes():
        with pytest.raises(ValueError, match="kind 'gpio' is unknown"):
            carry_out(write)


class BreakingPin(MockPWMPin):  # type: ignore[misc]  # gpiozero is untyped
    breaks = False

    def _set_state(self, value: float) -> None:
        if BreakingPin.breaks:
            raise RuntimeError("lgpio: bad handle")  # each pin library has its own
        super()._set_state(value)


def test_a_servo_that_fails_does_not_keep_the_motor_running() -> None:
    factory: Any = MockFactory(pin_class=MockPWMPin)
    factory.pin("GPIO19", pin_class=BreakingPin)
    drivetrain = GpioDrivetrain(CONFIG, factory)
    drivetrain.claim()
    drivetrain.set(0.5, 0.5)
    BreakingPin.breaks = True
    try:
        with pytest.raises(HardwareError, match="bad handle"):
            drivetrain.set(0.5, 0.6)
        drivetrain.close()
    finally:
        BreakingPin.breaks = False
    assert factory.pin("GPIO12").state == 0.0
