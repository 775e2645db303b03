"""Every wiring of motors and steering we know, on outputs whose electronics we can look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from pi_agent.config import parse_config
from pi_agent.drive_config import DriveConfig, MotorConfig, motors
from pi_agent.drivetrain import WiredDrivetrain
from pi_agent.outputs import kernel_pwm, opening
from pi_agent.outputs.gpio import GpioPins
from pi_agent.outputs.opening import Outputs
from pi_agent.pins import simulated_pins
from pynet_car.world.board import Board
from tests.agent.fake_kernel import FakeKernel, pwm_pulse_ns

PERIOD_MS = 20.0
NO_SENSORS = "[proximity]\nheads = []\n[encoder]\nleft_pins = [0, 1]\nright_pins = [14, 15]\n"
WIRINGS = {
    "board": "",
    "in_in": "[drive.motor]\nforward_pin = 5\nbackward_pin = 6\n[drive.steering]\npin = 7\n",
    "in_in_enabled": "[drive.motor]\nforward_pin = 5\nbackward_pin = 6\nenable_pin = 4\n",
    "phase_enable": '[drive.motor]\ndriver = "phase_enable"\nphase_pin = 5\nenable_pin = 6\n'
    "reversed = true\n",
    "kernel_pwm": '[drive.motor]\nforward_pin = "pwm:0"\nbackward_pin = "pwm:1"\n',
    "esc_on_kernel_pwm": '[drive.motor]\ndriver = "esc"\npulse_pin = "pwm:0"\n'
    '[drive.steering]\npin = "pwm:1"\n',
    "esc_on_pca9685": '[drive.motor]\ndriver = "esc"\npulse_pin = "pca9685:15"\n'
    '[drive.steering]\npin = "pca9685:0"\nright_ms = 1.9\nleft_ms = 1.1\n',
    "sides": '[drive]\nkind = "differential"\n[drive.left]\nforward_pin = 9\nbackward_pin = 10\n'
    "[drive.right]\nforward_pin = 17\nbackward_pin = 27\n",
    "sides_phase_enable": '[drive]\nkind = "differential"\n'
    '[drive.left]\ndriver = "phase_enable"\nphase_pin = 9\nenable_pin = 10\n'
    '[drive.right]\ndriver = "phase_enable"\nphase_pin = 17\nenable_pin = 27\nreversed = true\n',
    "sides_on_pca9685": '[drive]\nkind = "differential"\n[drive.left]\nforward_pin = "pca9685:0"\n'
    'backward_pin = "pca9685:1"\nenable_pin = "pca9685:2"\n[drive.right]\nforward_pin = "pca9685:3"\n'
    'backward_pin = "pca9685:4"\nenable_pin = "pca9685:5"\n[drive.pca9685]\nhz = 200\n',
}


@dataclass
class Bench:
    """A drivetrain, and what its motors and its servo make of its outputs."""

    config: DriveConfig
    pins: GpioPins
    duty_of: Callable[[int], float]  # of a pin, 0 where it puts out nothing
    kernel: FakeKernel

    def __post_init__(self) -> None:
        self.drivetrain = self._make()

    def _make(self) -> WiredDrivetrain:
        return WiredDrivetrain(self.config, Outputs(self.pins, self.config.pca9685).open, "car")

    def heir(self) -> WiredDrivetrain:
        """The drivetrain of the agent that comes after one that was killed."""
        self.pins.factory._reservations.clear()  # gpiozero knows who has a pin; a dead process has none
        return self._make()

    @property
    def is_differential(self) -> bool:
        return self.config.kind == "differential"

    def wheels(self) -> tuple[float, ...]:
        """What each motor does, in [-1, 1], + forward."""
        return tuple(self._motion(motor) for _, motor in motors(self.config))

    def servo_ms(self) -> float:
        return self._duty(self.config.steering.pin) * PERIOD_MS

    def _motion(self, motor: MotorConfig) -> float:
        sign = -1.0 if motor.reversed else 1.0
        if motor.driver == "esc":
            pulse_ms = self._duty(motor.pulse_pin) * PERIOD_MS
            assert 0.9 < pulse_ms < 2.1, "an ESC wants pulses all the time"
            return sign * (pulse_ms - 1.5) / 0.5
        if motor.driver == "phase_enable":
            return sign * self._duty(motor.enable_pin) * (-1.0 if self._duty(motor.phase_pin) else 1.0)
        forward, backward = self._duty(motor.forward_pin), self._duty(motor.backward_pin)
        assert not (forward and backward), "both inputs of the bridge at once"
        is_enabled = motor.enable_pin is None or self._duty(motor.enable_pin) == 1.0
        return sign * (forward - backward) * is_enabled

    def _duty(self, address: int | str | None) -> float:
        if isinstance(address, int):
            return self.duty_of(address)
        kind, _, channel = str(address).partition(":")
        if kind == "pca9685":
            return self.kernel.pca9685.ticks(int(channel)) / 4096
        period = self.kernel.pwm / f"pwm{channel}" / "period"
        return (
            pwm_pulse_ns(self.kernel.pwm, int(channel)) / int(period.read_text()) if period.exists() else 0.0
        )


@contextmanager
def bench(wiring: str, tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """One of WIRINGS, not yet claimed; the kernel is a fake one from now on."""
    config = parse_config(WIRINGS[wiring] + NO_SENSORS, wiring).drive
    kernel = FakeKernel(tmp_path)
    patch.setattr(opening, "find_chip", lambda: kernel_pwm.find_chip(kernel.pwm_class))
    with Board.open(tmp_path / "board") as board:
        pins, duty_of = on_board(board) if wiring == "board" else on_mock_pins(kernel)
        kernel.install(patch)
        made = Bench(config, pins, duty_of, kernel)
        yield made
        made.drivetrain.close()


def on_board(board: Board) -> tuple[GpioPins, Callable[[int], float]]:
    return simulated_pins(board), lambda pin: board.output(pin)[0]


def on_mock_pins(kernel: FakeKernel) -> tuple[GpioPins, Callable[[int], float]]:
    factory: Any = MockFactory(pin_class=MockPWMPin)

    def duty_of(pin: int) -> float:
        if pin in kernel.gpio.levels:  # its program is dead, and neutral.py has been there
            return float(kernel.gpio.levels[pin])
        return float(factory.pin(pin).state)

    return GpioPins(factory, lambda pin, duty: ("gpio", "/dev/gpiochip0", pin, round(duty))), duty_of
