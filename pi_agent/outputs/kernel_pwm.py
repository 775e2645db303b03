"""The Pi's own PWM through the kernel (/sys/class/pwm): pulses to the nanosecond, whatever else runs.

It takes a line in /boot/firmware/config.txt, which is also what says on which
pin a channel comes out: `dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4`.
Chips are found by the address of their device: their numbers change with the
kernel and with what else is plugged in.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Final

from pi_agent.neutral import NeutralWrite, write_text
from pynet_core.errors import HardwareError

PWM_CLASS: Final = Path("/sys/class/pwm")
# The PWM block behind the header: Pi 0 to 4 (after a prefix of their own), Pi 5.
DEVICES: Final = ("20c000.pwm", "1f00098000.pwm")
OVERLAY: Final = "dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4"
EXPORT_S: Final = 1.0  # udev hands a new channel to the group gpio a moment after it appeared
_NS: Final = 1_000_000_000


def find_chip(pwm_class: Path = PWM_CLASS) -> Path:
    """The folder of the chip behind the header.

    Raises:
        HardwareError: There is none; says what to do.
    """
    found = []
    for chip in sorted(pwm_class.glob("pwmchip*")):
        device = (chip / "device").resolve().name
        if device.endswith(DEVICES):
            return chip
        found.append(f"{chip.name} is {device}")
    raise HardwareError(
        f"no PWM of the header in {pwm_class} ({'; '.join(found) or 'no chip at all'}): "
        f"add to /boot/firmware/config.txt:  {OVERLAY}  and reboot"
    )


class KernelPwm:
    """A `ports.Output` on one channel."""

    def __init__(self, chip: Path, channel: int, hz: int) -> None:
        self._chip = chip
        self._folder = chip / f"pwm{channel}"
        self._channel = channel
        self.hz = hz or 100  # a level is a duty of 0 or 1
        self._period_ns = _NS // self.hz

    @property
    def name(self) -> str:
        return f"kernel PWM {self._channel}"

    def neutral_write(self, duty: float) -> NeutralWrite:
        return "pwm", str(self._chip), self._channel, round(duty * self._period_ns)

    def claim(self, duty: float) -> None:
        if not self._folder.exists():
            try:
                write_text(str(self._chip / "export"), str(self._channel))
            except OSError as exc:
                raise HardwareError(f"{self._chip} does not give channel {self._channel}: {exc}") from exc
        self._wait_for_udev()
        # Off until all is set: the kernel refuses a period shorter than the duty, and a polarity while on.
        self._reset("duty_cycle")
        self._write("period", str(self._period_ns))
        if (self._folder / "polarity").read_text().strip() != "normal":  # not every driver can set it
            self._write("polarity", "normal")
        self.put(duty)
        self._write("enable", "1")

    def put(self, duty: float) -> None:
        self._write("duty_cycle", str(round(duty * self._period_ns)))

    def _write(self, attribute: str, text: str) -> None:
        write_text(str(self._folder / attribute), text)

    def close(self) -> None:
        """Nothing to give back: the chip goes on with what it was told last."""

    def _wait_for_udev(self) -> None:
        deadline = time.monotonic() + EXPORT_S
        while True:
            try:
                self._reset("enable")
                return
            except (PermissionError, FileNotFoundError) as exc:
                if time.monotonic() > deadline:
                    raise HardwareError(
                        f"{self._folder} may not be written: {exc}; a udev rule of the package gives it "
                        "to the group gpio:  sudo udevadm control --reload && sudo udevadm trigger -s pwm"
                    ) from exc
            time.sleep(0.02)

    def _reset(self, attribute: str) -> None:
        try:
            self._write(attribute, "0")
        except OSError as exc:
            if exc.errno != errno.EINVAL:  # EINVAL: it has no period yet, so it stands at zero
                raise
