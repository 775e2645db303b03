"""From an address in agent.toml to the output it names."""

from __future__ import annotations

from pi_agent.drive_config import Pca9685Config
from pi_agent.outputs.gpio import GpioPins
from pi_agent.outputs.kernel_pwm import KernelPwm, find_chip
from pi_agent.outputs.pca9685 import I2cBus, Pca9685, Pca9685Output
from pi_agent.ports import Output


class Outputs:
    """Opens outputs; nothing is claimed by that."""

    def __init__(self, gpio: GpioPins, pca9685: Pca9685Config) -> None:
        self._gpio = gpio
        self._pca9685 = pca9685
        self._chip: Pca9685 | None = None  # once one of its channels is wanted

    def open(self, address: int | str, hz: int) -> Output:
        """The output at this address, making pulses at `hz`, or a level at 0.

        Raises:
            HardwareError: Its chip or bus is not there; says what to do.
        """
        if isinstance(address, int):
            return self._gpio.output(address, hz)
        kind, _, channel = address.partition(":")
        if kind == "pwm":
            return KernelPwm(find_chip(), int(channel), hz)
        if self._chip is None:
            where = self._pca9685.bus, self._pca9685.address
            self._chip = Pca9685(I2cBus(*where), where=where, hz=self._pca9685.hz)
        return Pca9685Output(self._chip, int(channel))
