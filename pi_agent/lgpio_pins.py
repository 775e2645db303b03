"""gpiozero's pins on lgpio, with duty cycles finer than a hundredth, and outputs that stay what they are.

WORKAROUND gpiozero#1209: its LGPIOPin cuts a duty to whole percent, which
leaves a servo six positions, and lgpio takes fractions.

gpiozero makes an input without a pull resistor of a pin it closes.  The inputs
of an L293D take a line that floats for a high one: an agent that ends in good
order would turn the motors on, until neutral.py comes.
"""

from __future__ import annotations

from typing import Any

import lgpio
from gpiozero.exc import PinInvalidState
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin


class FinePin(LGPIOPin):  # type: ignore[misc]  # gpiozero is not typed
    """One line.  Uses gpiozero's private names: see its contract test."""

    _pwm: tuple[float, float] | None  # Hz, percent

    def _set_state(self, value: float) -> None:
        if self._pwm is None:
            super()._set_state(value)
            return
        self._pwm = (self._pwm[0], 100.0 * value)
        try:
            lgpio.tx_pwm(self.factory._handle, self._number, *self._pwm)
        except lgpio.error as exc:
            raise PinInvalidState(f"{self!r} does not take a duty of {value}: {exc}") from exc

    def close(self) -> None:
        """Let go of the line; an output stays one, at its level."""
        if self.factory._handle is not None and self.function == "input":
            super().close()


class FinePins(LGPIOFactory):  # type: ignore[misc]
    """Makes fine pins on one gpiochip."""

    def __init__(self, chip: int) -> None:
        super().__init__(chip)
        self.pin_class: Any = FinePin
