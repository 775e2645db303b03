"""Which pin goes where in the simulated car, and where its sensors sit.

These are the defaults of the agent's settings: an unchanged agent.toml fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SOUND_MPS: Final = 343.26  # gpiozero's figure: with it the two agree to the micrometre
NO_ECHO_NS: Final = 38_000_000  # an HC-SR04 gives up after 38 ms, with its echo line high until then


@dataclass(frozen=True, slots=True)
class Sonar:
    trigger_pin: int
    echo_pin: int
    bearing_deg: float  # 0 ahead, + left


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """BCM pin numbers and geometry; `ticks_per_m` are full quadrature cycles of four edges."""

    forward_pin: int = 12
    backward_pin: int = 13
    steering_pin: int = 19
    left_encoder_pins: tuple[int, int] = (20, 21)
    right_encoder_pins: tuple[int, int] = (26, 16)
    ticks_per_m: float = 98.0  # a disc of 20 slots on a 65 mm wheel
    track_width_m: float = 0.18  # left to right wheel
    sonars: tuple[Sonar, ...] = (
        Sonar(18, 17, 50.0),
        Sonar(23, 22, 15.0),
        Sonar(25, 24, -15.0),
        Sonar(6, 5, -50.0),
    )
    sonar_forward_m: float = 0.14  # ahead of the car's centre
    sonar_range_m: float = 4.0
    lens_forward_m: float = 0.10  # as sonar_forward_m
    servo_centre_s: float = 0.0015
    servo_throw_s: float = 0.0005  # longer pulses steer left


WIRING: Final = Wiring()


def steering_of(duty: float, hz: float, wiring: Wiring) -> float | None:
    """The servo position [-1, 1], + left, that these pulses ask for; None when there are none."""
    if duty <= 0.0 or hz <= 0.0:
        return None
    position = (duty / hz - wiring.servo_centre_s) / wiring.servo_throw_s
    return max(-1.0, min(1.0, position))
