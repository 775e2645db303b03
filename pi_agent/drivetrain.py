"""Motor and steering by gpiozero: an H-bridge on two PWM pins and a servo on a third."""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator
from typing import Any, Final

from gpiozero import AngularServo, Motor

from pi_agent.config import DriveConfig
from pi_agent.neutral import NeutralWrite
from pynet_car.world.board import Board
from pynet_core.errors import HardwareError

log = logging.getLogger(__name__)

_ZERO_DUTY: Final = struct.pack("=d", 0.0)


class GpioDrivetrain:
    """A `ports.Drivetrain` on whatever pins the factory makes; None is gpiozero's own choice.

    `board` is the simulated board behind those pins, if they are simulated.
    Steering at [-1, 1] is a pulse of 1 to 2 ms; `steering_max_deg` is what the
    wheels make of it.
    """

    def __init__(self, config: DriveConfig, pin_factory: Any = None, board: Board | None = None) -> None:
        self._config = config
        self._factory = pin_factory
        self._board = board
        self._motor: Any = None
        self._servo: Any = None
        self._duty = 0.0
        self._steering = 0.0

    @property
    def describe(self) -> str:
        pins = f"motor on {self._config.forward_pin}/{self._config.backward_pin}"
        return f"{'simulated board' if self._board else 'GPIO'}, {pins}, servo on {self._config.steering_pin}"

    def neutral_writes(self) -> tuple[NeutralWrite, ...]:
        """Duty 0 on both sides of the bridge."""
        pins = (self._config.forward_pin, self._config.backward_pin)
        if self._board is None:
            # neutral.py knows no such kind yet and says so, rather than nothing.
            return tuple(("gpio", f"GPIO{pin}", 0, b"") for pin in pins)
        path = str(self._board.path.absolute())
        return tuple(("board", path, Board.duty_offset(pin), _ZERO_DUTY) for pin in pins)

    def claim(self) -> None:
        config = self._config
        with _translated(f"cannot take the pins of the {self.describe}"):
            self._motor = Motor(config.forward_pin, config.backward_pin, pwm=True, pin_factory=self._factory)
            for side in (self._motor.forward_device, self._motor.backward_device):
                side.frequency = config.pwm_hz
            self._servo = AngularServo(
                config.steering_pin,
                min_angle=-config.steering_max_deg,
                max_angle=config.steering_max_deg,
                pin_factory=self._factory,
            )

    def set(self, duty: float, steering: float) -> None:
        with _translated(f"the {self.describe} does not take duty {duty:.3f}, steering {steering:.3f}"):
            # gpiozero takes some 10 us a write, and most ticks change nothing.
            if duty != self._duty:
                self._motor.value = duty
                self._duty = duty
            if steering != self._steering:
                self._servo.value = steering
                self._steering = steering

    def neutral(self) -> None:
        # Each by itself: a servo that fails must not keep the motor running.
        for device in (self._motor, self._servo):
            if device is not None:
                with _contained():
                    device.value = 0.0
        self._duty = self._steering = 0.0

    def close(self) -> None:
        self.neutral()
        for device in (self._motor, self._servo):
            if device is not None:
                with _contained():
                    device.close()
        self._motor = self._servo = None


@contextlib.contextmanager
def _translated(problem: str) -> Iterator[None]:
    try:
        yield
    except Exception as exc:  # not ours: each pin library raises its own
        raise HardwareError(f"{problem}: {exc}") from exc


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    try:
        yield
    except Exception:  # not ours, and nobody is left to do more
        log.exception("an output may still run")
