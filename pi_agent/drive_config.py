"""[drive] in agent.toml: what motors and steering hang on, and the limits on both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta

Pin = Annotated[int, Meta(ge=0, le=27, extra={"unit": "a BCM pin number"})]
_CHIPS: Final = '"pwm:0" to "pwm:3" (kernel PWM), "pca9685:0" to "pca9685:15"'
Channel = Annotated[str, Meta(pattern=r"^(pwm:[0-3]|pca9685:(\d|1[0-5]))$", extra={"unit": _CHIPS})]
Address = Pin | Channel  # of one output: a header pin, or a channel of a chip that makes the pulses
PulseMs = Annotated[float, Meta(ge=0.4, le=2.6)]

# driver: the keys it needs, the keys it may have
_KEYS: Final = {
    "in_in": (("forward_pin", "backward_pin"), ("enable_pin",)),
    "phase_enable": (("phase_pin", "enable_pin"), ()),
    "esc": (("pulse_pin",), ()),
}
_MOTOR_PINS: Final = ("forward_pin", "backward_pin", "phase_pin", "enable_pin", "pulse_pin")
_HIGHEST_PIN_HZ: Final = 10_000  # lgpio takes no more, and its pulses are rough far below
_LONGEST_PERIOD_FRACTION: Final = 0.9  # of its period a pulse may take


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorConfig:
    """One motor's driver and the outputs it listens to.

    in_in: two inputs, a duty on one of them (L293D, L298N, DRV8833, MX1508), and perhaps
    an enable or standby that is to be high.  phase_enable: a direction and a duty
    (DRV8835, Pololu).  esc: pulses, as an RC speed controller wants them.
    """

    driver: Literal["in_in", "phase_enable", "esc"] = "in_in"
    forward_pin: Address | None = None
    backward_pin: Address | None = None
    phase_pin: Address | None = None
    enable_pin: Address | None = None
    pulse_pin: Address | None = None
    pwm_hz: Annotated[int, Meta(ge=20, le=20_000)] = 100  # but for an esc; a PCA9685 has its own
    backward_ms: PulseMs = 1.0  # of an esc: the pulse for full speed backward
    neutral_ms: PulseMs = 1.5
    forward_ms: PulseMs = 2.0
    reversed: bool = False  # it turns the other way


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringConfig:
    """A servo: where it is, and the pulses that turn the wheels."""

    pin: Address
    right_ms: PulseMs = 1.0
    centre_ms: PulseMs = 1.5
    left_ms: PulseMs = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pca9685Config:
    """The board of sixteen PWM channels on the I2C bus."""

    bus: Annotated[int, Meta(ge=0, le=99)] = 1
    address: Annotated[int, Meta(ge=0x08, le=0x77)] = 0x40
    hz: Annotated[int, Meta(ge=40, le=1000)] = 50  # of all its channels


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveConfig:
    """Motors, steering, and the limits on both."""

    kind: Literal["ackermann", "differential"] = "ackermann"
    motor: MotorConfig = field(default_factory=lambda: MotorConfig(forward_pin=12, backward_pin=13))
    steering: SteeringConfig = field(default_factory=lambda: SteeringConfig(pin=19))
    left: MotorConfig = field(default_factory=MotorConfig)  # of a differential car
    right: MotorConfig = field(default_factory=MotorConfig)
    pca9685: Pca9685Config = field(default_factory=Pca9685Config)
    max_throttle: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    # At that throttle, on the flat.  0 is not known; of the simulated car it is known anyway.
    top_speed_mps: Annotated[float, Meta(ge=0.0, le=50.0)] = 0.0
    throttle_slew_per_s: Annotated[float, Meta(gt=0.0, le=100.0)] = 4.0  # away from zero
    steering_slew_per_s: Annotated[float, Meta(gt=0.0, le=100.0)] = 12.0
    lifespan_ms: Annotated[int, Meta(ge=100, le=1000)] = 200  # never off


def motors(drive: DriveConfig) -> tuple[tuple[str, MotorConfig], ...]:
    """(its table's name, settings) of each motor the car has."""
    if drive.kind == "differential":
        return ("left", drive.left), ("right", drive.right)
    return (("motor", drive.motor),)


def addresses(drive: DriveConfig) -> Iterator[tuple[tuple[str, ...], int | str]]:
    """(where it is written, address) of every output."""
    for name, motor in motors(drive):
        for key in _MOTOR_PINS:
            address = getattr(motor, key)
            if address is not None:
                yield ("drive", name, key), address
    if drive.kind == "ackermann":
        yield ("drive", "steering", "pin"), drive.steering.pin


def with_simulated_wiring(drive: DriveConfig) -> DriveConfig:
    """The same limits on the simulated car, which has its motor and its servo where the defaults say."""
    car = DriveConfig()
    return dataclasses.replace(
        drive, kind=car.kind, motor=car.motor, steering=car.steering, left=car.left, right=car.right
    )


def drive_faults(drive: DriveConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    """(where, what is wrong) of all that takes two settings to see, but for pins used twice."""
    default = DriveConfig()
    others = ("left", "right") if drive.kind == "ackermann" else ("motor", "steering")
    right_kind = "differential" if drive.kind == "ackermann" else "ackermann"
    misplaced = [name for name in others if getattr(drive, name) != getattr(default, name)]
    for name in misplaced:
        yield (
            ("drive", name),
            f'a car of kind "{drive.kind}" has no [drive.{name}]; '
            f'in [drive] write kind = "{right_kind}", or remove this',
        )
    if misplaced:
        return  # what is missing is perhaps that
    for name, motor in motors(drive):
        yield from _motor_faults(("drive", name), motor, drive.pca9685.hz)
    if drive.kind == "ackermann":
        servo = drive.steering
        yield from _pulse_faults(
            ("drive", "steering", "centre_ms"), servo.right_ms, servo.centre_ms, servo.left_ms
        )
        yield from _period_faults(servo.pin, max(servo.right_ms, servo.left_ms), drive.pca9685.hz)


def _motor_faults(
    where: tuple[str, ...], motor: MotorConfig, pca9685_hz: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    needed, possible = _KEYS[motor.driver]
    for key in needed:
        if getattr(motor, key) is None:
            yield where, f'{key!r} is missing: driver "{motor.driver}" takes {" and ".join(needed)}'
    for key in _MOTOR_PINS:
        if getattr(motor, key) is not None and key not in (*needed, *possible):
            yield (*where, key), f'driver "{motor.driver}" has none; it takes {", ".join(needed + possible)}'
    duty_pins = [getattr(motor, key) for key in ("forward_pin", "backward_pin", "enable_pin")]
    if motor.pwm_hz > _HIGHEST_PIN_HZ and any(isinstance(pin, int) for pin in duty_pins):
        yield (
            (*where, "pwm_hz"),
            f"found {motor.pwm_hz}, allowed is at most {_HIGHEST_PIN_HZ} on a plain pin; "
            'kernel PWM does more: "pwm:0"',
        )
    if motor.driver == "esc":
        if isinstance(motor.pulse_pin, int):
            # Pulses made by a program are late when others are busy, and to an ESC a late edge is throttle.
            yield (
                (*where, "pulse_pin"),
                f"found {motor.pulse_pin}, allowed is {_CHIPS}: "
                "the pulses of a plain pin are too unsteady for an ESC",
            )
        yield from _pulse_faults(
            (*where, "neutral_ms"), motor.backward_ms, motor.neutral_ms, motor.forward_ms
        )
        yield from _period_faults(motor.pulse_pin, max(motor.backward_ms, motor.forward_ms), pca9685_hz)


def _pulse_faults(
    where: tuple[str, ...], one: float, middle: float, other: float
) -> Iterator[tuple[tuple[str, ...], str]]:
    low, high = sorted((one, other))
    if not low < middle < high:
        yield where, f"found {middle}, allowed is a number between the other two, {low} and {high}"


def _period_faults(
    address: int | str | None, longest_ms: float, hz: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(address, str) and address.startswith("pca9685"):
        highest = int(_LONGEST_PERIOD_FRACTION * 1000 / longest_ms)
        if hz > highest:
            yield (
                ("drive", "pca9685", "hz"),
                f"found {hz}, allowed is at most {highest} where pulses of {longest_ms} ms are to fit",
            )
