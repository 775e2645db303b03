"""How a gamepad feels: dead zone, curve, and a trigger that brakes before it drives back.  Pure."""

from __future__ import annotations

import math
from typing import Final

from desktop_app.teleop import NEUTRAL, Stick

BRAKED_MPS: Final = 0.1  # slower than this the brake trigger turns into reverse


def shape(value: float, *, dead_zone: float, curve: float) -> float:
    """An axis in [-1, 1] without its dead zone and full at full; `curve` > 1 is finer around the middle."""
    if not math.isfinite(value) or abs(value) <= dead_zone:
        return 0.0
    pushed = min(1.0, (abs(value) - dead_zone) / (1.0 - dead_zone))
    return math.copysign(pushed**curve, value)


class Triggers:
    """Two triggers and a stick -> Stick.  After driving forward the second trigger brakes, then drives back.

    With a measured speed it drives back as soon as the car stands.  Without
    one it has to be let go and pulled again, as with a model car's speed controller.
    """

    def __init__(self) -> None:
        self._went_forward = False
        self._brakes = False

    def stick(
        self, forward: float, back: float, steering: float, *, velocity_mps: float | None, is_held: bool
    ) -> Stick:
        """Triggers in [0, 1], steering in [-1, 1]; neutral unless the hold-to-drive button is held."""
        if not is_held:
            self._brakes = False
            return NEUTRAL
        if forward > 0.0:
            self._went_forward, self._brakes = True, back > 0.0
        elif back <= 0.0:
            if self._brakes:
                self._went_forward = self._brakes = False
        elif velocity_mps is not None:
            self._brakes = velocity_mps >= BRAKED_MPS
            self._went_forward = self._went_forward and self._brakes
        else:
            self._brakes = self._went_forward
        return Stick(0.0 if self._brakes else forward - back, steering, brakes=self._brakes)
