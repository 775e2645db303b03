"""Motors and steering: what duty and steering mean for the outputs of an H-bridge, an ESC and a servo."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from pi_agent.drive_config import DriveConfig, MotorConfig, SteeringConfig, motors
from pi_agent.mixing import sides
from pi_agent.neutral import NeutralWrite
from pi_agent.ports import Output
from pynet_core.errors import HardwareError

PULSE_HZ: Final = 50  # what servos and ESCs are made for

_Puts = tuple[tuple[Output, float], ...]
Opener = Callable[[int | str, int], Output]  # (address, Hz; 0 is a level)

log = logging.getLogger(__name__)


class _Driven(Protocol):
    """A motor or a servo on its outputs."""

    title: str
    claims: _Puts  # what it begins with, in this order
    stops: _Puts  # what makes it neutral, each by itself

    def put(self, value: float) -> None:
        """[-1, 1]"""


class _InIn:
    """An H-bridge of two inputs: a duty on one, nothing on the other."""

    def __init__(self, title: str, forward: Output, backward: Output, enable: Output | None) -> None:
        self._forward = forward
        self._backward = backward
        self.title = f"{title} on {forward.name}/{backward.name}"
        self.stops: _Puts = ((forward, 0.0), (backward, 0.0))
        self.claims: _Puts = self.stops
        if enable is not None:
            self.title += f" enabled by {enable.name}"
            self.claims = (*self.stops, (enable, 1.0))  # last: both inputs are low by then

    def put(self, value: float) -> None:
        on, off = (self._forward, self._backward) if value >= 0.0 else (self._backward, self._forward)
        off.put(0.0)  # first: both at once is a brake at best
        on.put(abs(value))


class _PhaseEnable:
    """An H-bridge that takes a direction and a duty."""

    def __init__(self, title: str, phase: Output, enable: Output) -> None:
        self._phase = phase
        self._enable = enable
        self._is_backward = False
        self.title = f"{title} on {enable.name} with direction on {phase.name}"
        self.stops: _Puts = ((enable, 0.0),)
        self.claims: _Puts = (*self.stops, (phase, 0.0))

    def put(self, value: float) -> None:
        if value != 0.0 and (value < 0.0) != self._is_backward:
            self._enable.put(0.0)
            self._phase.put(1.0 if value < 0.0 else 0.0)
            self._is_backward = value < 0.0
        self._enable.put(abs(value))


class _Pulsed:
    """A servo or an ESC: the length of a pulse says where to, or how fast."""

    def __init__(self, title: str, output: Output, low_ms: float, middle_ms: float, high_ms: float) -> None:
        self._output = output
        self._duties = [output.hz * ms / 1000.0 for ms in (low_ms, middle_ms, high_ms)]
        self.title = f"{title} on {output.name}"
        self.stops: _Puts = ((output, self._duties[1]),)
        self.claims: _Puts = self.stops

    def put(self, value: float) -> None:
        low, middle, high = self._duties
        self._output.put(middle + (value * (high - middle) if value >= 0.0 else -value * (low - middle)))


class WiredDrivetrain:
    """A `ports.Drivetrain` as [drive] wires it: Ackermann or differential."""

    def __init__(self, config: DriveConfig, open_output: Opener, where: str) -> None:
        """`where` is for people: what these outputs belong to."""
        self._motors: tuple[_Driven, ...] = tuple(
            _motor(name if len(motors(config)) == 1 else f"{name} motor", motor, open_output)
            for name, motor in motors(config)
        )
        self._signs = [-1.0 if motor.reversed else 1.0 for _, motor in motors(config)]
        self._servo = _servo(config.steering, open_output) if config.kind == "ackermann" else None
        self._all = (*self._motors, self._servo) if self._servo else self._motors
        self._where = where
        self._claimed: list[Output] = []
        self._put: dict[int, float] = {}  # by index in `_all`

    @property
    def describe(self) -> str:
        return ", ".join([self._where, *(driven.title for driven in self._all)])

    def neutral_writes(self) -> tuple[NeutralWrite, ...]:
        """What stops the motors; steering is not among them."""
        return tuple(output.neutral_write(duty) for motor in self._motors for output, duty in motor.stops)

    def claim(self) -> None:
        with _translated(f"cannot take the outputs of the {self.describe}"):
            for driven in self._all:
                for output, duty in driven.claims:
                    output.claim(duty)
                    self._claimed.append(output)

    def set(self, duty: float, steering: float) -> None:
        with _translated(f"the {self.describe} does not take duty {duty:.3f}, steering {steering:.3f}"):
            for value in (duty, steering):
                if not -1.0 <= value <= 1.0:
                    raise ValueError(f"{value} is not in [-1, 1]")
            wheels = (duty,) if self._servo else sides(duty, steering)
            values = [sign * wheel for sign, wheel in zip(self._signs, wheels, strict=True)]
            if self._servo:
                values.append(steering)
            for index, (driven, value) in enumerate(zip(self._all, values, strict=True)):
                # A write takes 10 us on a pin and 1 ms on I2C, and most ticks change nothing.  But a zero is
                # written, though it should stand there: another program may have been at the pins.
                if value == 0.0 or self._put.get(index) != value:
                    self._put.pop(index, None)  # unknown, should it fail
                    driven.put(value)
                    self._put[index] = value

    def neutral(self) -> None:
        self._put.clear()
        # Each by itself: a servo that fails must not keep a motor running.
        for driven in self._all:
            for output, duty in driven.stops:
                if output in self._claimed:
                    with _contained():
                        output.put(duty)

    def close(self) -> None:
        self.neutral()
        while self._claimed:
            with _contained():
                self._claimed.pop().close()


def _motor(title: str, config: MotorConfig, open_output: Opener) -> _Driven:
    def output(address: int | str | None, hz: int) -> Output:
        assert address is not None, "parse_config has seen to it"
        return open_output(address, hz)

    if config.driver == "esc":
        pulse = output(config.pulse_pin, PULSE_HZ)
        return _Pulsed(f"{title} (ESC)", pulse, config.backward_ms, config.neutral_ms, config.forward_ms)
    if config.driver == "phase_enable":
        return _PhaseEnable(title, output(config.phase_pin, 0), output(config.enable_pin, config.pwm_hz))
    enable = None if config.enable_pin is None else output(config.enable_pin, 0)
    forward, backward = (output(pin, config.pwm_hz) for pin in (config.forward_pin, config.backward_pin))
    return _InIn(title, forward, backward, enable)


def _servo(config: SteeringConfig, open_output: Opener) -> _Driven:
    output = open_output(config.pin, PULSE_HZ)
    return _Pulsed("servo", output, config.right_ms, config.centre_ms, config.left_ms)


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
