"""NXP's PCA9685 on the I2C bus: sixteen channels of pulses, 4096 steps to a period.

It goes on with what it was told when its program dies, and forgets all of it
when its supply dips: then it sleeps, which `put` notices.  A sleep resets the
pulses of all channels, and an ESC may take the first one after it for
throttle; so a chip that already runs as wanted is not put to sleep.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from pi_agent.neutral import I2C_SLAVE, NeutralWrite
from pynet_core.errors import HardwareError

TICKS: Final = 4096
OSCILLATOR_HZ: Final = 25_000_000
WAKE_S: Final = 0.0005  # data sheet: 500 us until the oscillator is steady
CHECK_NS: Final = 250_000_000  # how often it is asked whether it has lost its supply
JOIN: Final = "sudo usermod -aG i2c $USER, and log in anew"
TRIES: Final = 3  # motors disturb the bus
I2C_TIMEOUT: Final = 0x0702  # linux/i2c-dev.h
TIMEOUT_10MS: Final = 2  # a write of five bytes takes 0.6 ms at 100 kHz

_MODE1: Final = 0x00
_LED0: Final = 0x06
_PRESCALE: Final = 0xFE
_AUTO_INCREMENT: Final = 0x20
_SLEEP: Final = 0x10
_FULL: Final = 0x10  # in the high register: all on, or all off

_T = TypeVar("_T")


class Bus(Protocol):
    """One device on an I2C bus."""

    def write(self, register: int, values: bytes) -> None: ...

    def read(self, register: int) -> int: ...


class I2cBus:
    """A `Bus` through the kernel's /dev/i2c-N.

    Raises:
        HardwareError: The bus is not there, or may not be used; says what to do.
    """

    def __init__(self, bus: int, address: int) -> None:
        path = f"/dev/i2c-{bus}"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(self._fd, I2C_SLAVE, address)
            # A bus that is stuck would hold up the guardian for a second at each try.
            fcntl.ioctl(self._fd, I2C_TIMEOUT, TIMEOUT_10MS)
        except FileNotFoundError as exc:
            raise HardwareError(f"no {path}: turn I2C on:  sudo raspi-config nonint do_i2c 0") from exc
        except PermissionError as exc:
            raise HardwareError(f"{path} may not be used:  {JOIN}") from exc
        except OSError as exc:
            raise HardwareError(f"{path}, device 0x{address:02x}: {exc}") from exc

    def write(self, register: int, values: bytes) -> None:
        os.write(self._fd, bytes([register]) + values)

    def read(self, register: int) -> int:
        os.write(self._fd, bytes([register]))
        return os.read(self._fd, 1)[0]


class Pca9685:
    """The chip; the drivetrain's thread owns it."""

    def __init__(
        self,
        bus: Bus,
        *,
        where: tuple[int, int],
        hz: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`where` is bus number and address; `hz` holds for all channels."""
        self.hz = hz
        self.where = where
        self._bus = bus
        self._now_ns = now_ns
        self._is_set_up = False
        self._checked_ns = 0

    def set_up(self) -> None:
        """Let it run at `hz`; once is enough."""
        if self._is_set_up:
            return
        prescale = round(OSCILLATOR_HZ / (TICKS * self.hz)) - 1
        mode = self._retry(lambda: self._bus.read(_MODE1))
        if mode & _SLEEP or self._retry(lambda: self._bus.read(_PRESCALE)) != prescale:
            # It takes another period in its sleep only, and wakes with the channels it went to sleep with.
            self._write(_MODE1, _SLEEP | _AUTO_INCREMENT)
            for channel in range(16):
                self.put(channel, 0.0)
            self._write(_PRESCALE, prescale)
        self._write(_MODE1, _AUTO_INCREMENT)
        time.sleep(WAKE_S)
        self._is_set_up = True
        self._checked_ns = self._now_ns()

    def put(self, channel: int, duty: float) -> None:
        ticks = round(duty * TICKS)
        on, off = 0, ticks
        if ticks == 0:
            off = _FULL << 8
        elif ticks >= TICKS:
            on, off = _FULL << 8, 0
        self._write(_LED0 + 4 * channel, on & 0xFF, on >> 8, off & 0xFF, off >> 8)
        if self._is_set_up:
            self._check()  # last: what is to stop is told to first

    def _check(self) -> None:
        now_ns = self._now_ns()
        if now_ns - self._checked_ns >= CHECK_NS:
            self._checked_ns = now_ns
            if self._retry(lambda: self._bus.read(_MODE1)) & _SLEEP:
                raise HardwareError(
                    f"the {self.name} has restarted: its supply dips when the motors start; "
                    "feed them from another one, or buffer it"
                )

    @property
    def name(self) -> str:
        bus, address = self.where
        return f"PCA9685 at 0x{address:02x} of /dev/i2c-{bus}"

    def _write(self, register: int, *values: int) -> None:
        self._retry(lambda: self._bus.write(register, bytes(values)))

    def _retry(self, act: Callable[[], _T]) -> _T:
        for _ in range(TRIES - 1):
            with suppress(OSError):
                return act()
        try:
            return act()
        except OSError as exc:
            raise HardwareError(
                f"the {self.name} does not answer: {exc}; is it there?  i2cdetect -y {self.where[0]}"
            ) from exc


class Pca9685Output:
    """A `ports.Output` on one channel."""

    def __init__(self, chip: Pca9685, channel: int) -> None:
        self._chip = chip
        self._channel = channel
        self.hz = chip.hz

    @property
    def name(self) -> str:
        return f"PCA9685 channel {self._channel}"

    def neutral_write(self, duty: float) -> NeutralWrite:
        bus, address = self._chip.where
        return "pca9685", f"/dev/i2c-{bus}", address << 4 | self._channel, round(duty * TICKS)

    def claim(self, duty: float) -> None:
        self._chip.set_up()
        self.put(duty)

    def put(self, duty: float) -> None:
        self._chip.put(self._channel, duty)

    def close(self) -> None:
        """Nothing to give back: the chip goes on with what it was told last."""
