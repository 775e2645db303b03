"""As much of the Linux kernel as moves a motor: GPIO character devices, /sys/class/pwm and a PCA9685 on I2C.

`FakeKernel.install` puts it under os.open, os.read, os.write, os.close and fcntl.ioctl,
so that adapters and neutral.py do to it exactly what they do to a Pi.  It refuses what
the kernel refuses; its numbers are those of linux/gpio.h and linux/i2c-dev.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

GPIO_GET_CHIPINFO = 0x8044B401
GPIO_V2_GET_LINE = 0xC250B407
I2C_TIMEOUT = 0x0702
I2C_SLAVE = 0x0703
OUTPUT_FLAG = 1 << 3
OUTPUT_VALUES = 2


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Device(Protocol):
    def ioctl(self, request: int, argument: Any) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, count: int) -> bytes: ...


@dataclass
class GpioChip:
    """Lines keep the level they were released with, as on Pi OS."""

    label: str = "pinctrl-bcm2711"
    levels: dict[int, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)  # by another program

    def ioctl(self, request: int, argument: Any) -> None:
        if request == GPIO_GET_CHIPINFO:
            struct.pack_into("=32s32sI", argument, 0, b"gpiochip0", self.label.encode(), 58)
            return
        if request != GPIO_V2_GET_LINE or len(argument) != 592:
            raise refuse(errno.ENOTTY)
        (line,) = struct.unpack_from("=I", argument, 0)
        flags, attributes = struct.unpack_from("=QI", argument, 288)
        attribute, _, values, mask = struct.unpack_from("=IIQQ", argument, 320)
        (lines,) = struct.unpack_from("=I", argument, 560)
        if lines != 1 or flags != OUTPUT_FLAG or line > 57:
            raise refuse(errno.EINVAL)
        if line in self.held:
            raise refuse(errno.EBUSY)
        assert attributes == 1
        assert attribute == OUTPUT_VALUES
        self.levels[line] = values & mask & 1
        struct.pack_into("=i", argument, 588, os.open(os.devnull, os.O_RDONLY))

    def write(self, data: bytes) -> None:
        raise refuse(errno.EINVAL)

    def read(self, count: int) -> bytes:
        raise refuse(errno.EINVAL)


@dataclass
class PwmFile:
    """One file of /sys/class/pwm, in a real folder so that it can be looked at too."""

    path: Path
    open: Any  # the real os.open, ...
    pwrite: Any

    def ioctl(self, request: int, argument: Any) -> None:
        raise refuse(errno.ENOTTY)

    def read(self, count: int) -> bytes:
        return self.path.read_bytes()[:count]

    def write(self, data: bytes) -> None:
        value = data.decode().strip()
        if self.path.name == "export":
            self._export(self.path.parent / f"pwm{int(value)}")
            return
        state = {name: (self.path.parent / name).read_text() for name in PWM_ATTRIBUTES}
        was_enabled = state["enable"] == "1"
        if self.path.name == "polarity" and was_enabled:
            raise refuse(errno.EBUSY)
        state[self.path.name] = value
        # Kernel 6.1: pwm_apply_state refuses a period of zero, even to switch off.
        period, duty = int(state["period"]), int(state["duty_cycle"])
        if period <= 0 or not 0 <= duty <= period:
            raise refuse(errno.EINVAL)
        self._put(self.path, value)

    def _export(self, folder: Path) -> None:
        if int(folder.name.removeprefix("pwm")) >= int((self.path.parent / "npwm").read_text()):
            raise refuse(errno.ENODEV)
        if folder.exists():
            raise refuse(errno.EBUSY)
        folder.mkdir()
        for name, value in PWM_ATTRIBUTES.items():
            self._put(folder / name, value)

    def _put(self, path: Path, text: str) -> None:
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.pwrite(fd, text.encode(), 0)
        os.close(fd)


PWM_ATTRIBUTES = {"period": "0", "duty_cycle": "0", "polarity": "normal", "enable": "0"}


def make_pwm_chip(pwm_class: Path, device: str = "fe20c000.pwm", name: str = "pwmchip0") -> Path:
    """A chip as sysfs shows it."""
    (pwm_class / "platform" / device).mkdir(parents=True)
    chip = pwm_class / name
    chip.mkdir()
    (chip / "device").symlink_to(pwm_class / "platform" / device)
    (chip / "npwm").write_text("2")
    (chip / "export").write_text("")
    return chip


def pwm_pulse_ns(chip: Path, channel: int) -> int:
    """The pulses that come out, 0 for none."""
    folder = chip / f"pwm{channel}"
    if not folder.exists() or (folder / "enable").read_text() != "1":
        return 0
    return int((folder / "duty_cycle").read_text())


class Pca9685Chip:
    """Its registers; in its sleep no channel puts anything out."""

    def __init__(self) -> None:
        self.faults = 0  # of the next transfers, how many fail
        self.sleeps = 0  # how often it was put to sleep
        self.restarts = 0  # how often it was told to go on with what it did before
        self.power_on()

    def power_on(self) -> None:
        self.registers = bytearray(256)
        self.registers[0] = 0x11
        self.registers[0xFE] = 30
        for channel in range(16):
            self.registers[0x06 + 4 * channel + 3] = 0x10
        self._pointer = 0

    def ioctl(self, request: int, argument: Any) -> None:
        if request == I2C_TIMEOUT:
            return
        if request != I2C_SLAVE:
            raise refuse(errno.ENOTTY)
        if argument != 0x40:
            raise refuse(errno.EREMOTEIO)

    def write(self, data: bytes) -> None:
        self._transfer()
        self._pointer = data[0]
        for value in data[1:]:
            is_asleep = bool(self.registers[0] & 0x10)
            if self._pointer == 0:
                self.restarts += bool(value & 0x80)
                self.sleeps += bool(value & 0x10) and not is_asleep
            if self._pointer != 0xFE or is_asleep:  # the prescaler can be set in its sleep only
                self.registers[self._pointer] = value
            if self.registers[0] & 0x20:
                self._pointer += 1

    def read(self, count: int) -> bytes:
        self._transfer()
        return bytes(self.registers[self._pointer : self._pointer + count])

    def _transfer(self) -> None:
        if self.faults:
            self.faults -= 1
            raise refuse(errno.EREMOTEIO)

    @property
    def hz(self) -> float:
        return 25e6 / (4096 * (self.registers[0xFE] + 1))

    def ticks(self, channel: int) -> int:
        """Of 4096: how long its pulses are."""
        on_low, on_high, off_low, off_high = self.registers[0x06 + 4 * channel : 0x0A + 4 * channel]
        if self.registers[0] & 0x10 or off_high & 0x10:
            return 0
        if on_high & 0x10:
            return 4096
        return ((off_high << 8 | off_low) - (on_high << 8 | on_low)) % 4096


class FakeKernel:
    """What stands under /dev and /sys/class/pwm of a Pi."""

    def __init__(self, root: Path) -> None:
        self.gpio = GpioChip()
        self.pca9685 = Pca9685Chip()
        self.pwm_class = root / "pwm"
        self.pwm_class.mkdir()
        self.pwm = make_pwm_chip(self.pwm_class)
        self.devices: dict[str, Device] = {"/dev/gpiochip0": self.gpio, "/dev/i2c-1": self.pca9685}
        self._open: dict[int, Device] = {}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in for the kernel until `patch` is undone."""
        real_open, real_write, real_read, real_ioctl = os.open, os.write, os.read, fcntl.ioctl
        real_close, real_pwrite = os.close, os.pwrite

        def open_(path: Any, flags: int, mode: int = 0o777, **rest: Any) -> int:
            device = self.devices.get(str(path))
            if device is None and Path(path).is_relative_to(self.pwm_class):
                Path(path).stat()
                device = PwmFile(Path(path), real_open, real_pwrite)
            if device is None:
                return real_open(path, flags, mode, **rest)
            fd = real_open(os.devnull, os.O_RDWR)
            self._open[fd] = device
            return fd

        def write(fd: int, data: bytes) -> int:
            device = self._open.get(fd)
            if device is None:
                return real_write(fd, data)
            device.write(bytes(data))
            return len(data)

        def read(fd: int, count: int) -> bytes:
            device = self._open.get(fd)
            return real_read(fd, count) if device is None else device.read(count)

        def close(fd: int) -> None:
            self._open.pop(fd, None)
            real_close(fd)

        def ioctl(fd: int, request: int, argument: Any = 0, *rest: Any) -> Any:
            device = self._open.get(fd)
            if device is None:
                return real_ioctl(fd, request, argument, *rest)
            return device.ioctl(request, argument)

        for module, name, stand_in in (
            (os, "open", open_),
            (os, "write", write),
            (os, "read", read),
            (os, "close", close),
            (fcntl, "ioctl", ioctl),
        ):
            patch.setattr(module, name, stand_in)
