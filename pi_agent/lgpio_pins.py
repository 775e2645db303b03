"""gpiozero's pins on lgpio, with duty cycles finer than a hundredth.

WORKAROUND gpiozero#1209: its LGPIOPin cuts a duty to whole percent, which
leaves a servo six positions, and lgpio takes fractions.
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


class FinePins(LGPIOFactory):  # type: ignore[misc]
    """Makes fine pins on one gpiochip."""

    def __init__(self, chip: int) -> None:
        super().__init__(chip)
        self.pin_class: Any = FinePin
