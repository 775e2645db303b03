"""Header pins through gpiozero: real ones, mock ones, the simulated board's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpiozero import DigitalOutputDevice, PWMOutputDevice

from pi_agent.neutral import NeutralWrite


class GpioPins:
    """The pins of one factory, as outputs."""

    def __init__(self, factory: Any, neutral_write: Callable[[int, float], NeutralWrite]) -> None:
        """`neutral_write` says how neutral.py puts a duty on a pin of this factory."""
        self.factory = factory
        self.neutral_write = neutral_write

    def output(self, pin: int, hz: int) -> GpioOutput:
        """The pin as an output of pulses; at 0 Hz, of a level."""
        return GpioOutput(self, pin, hz)


class GpioOutput:
    """A `ports.Output` on one pin."""

    def __init__(self, pins: GpioPins, pin: int, hz: int) -> None:
        self._pins = pins
        self._pin = pin
        self.hz = hz
        self._device: Any = None

    @property
    def name(self) -> str:
        return f"GPIO{self._pin}"

    def neutral_write(self, duty: float) -> NeutralWrite:
        return self._pins.neutral_write(self._pin, duty)

    def claim(self, duty: float) -> None:
        factory = self._pins.factory
        if self.hz:
            self._device = PWMOutputDevice(
                self._pin, initial_value=duty, frequency=self.hz, pin_factory=factory
            )
        else:
            self._device = DigitalOutputDevice(self._pin, initial_value=duty > 0.0, pin_factory=factory)

    def put(self, duty: float) -> None:
        self._device.value = duty

    def close(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.off()  # what was low or a stopped pulse is so already; an enable is not
            device.close()
