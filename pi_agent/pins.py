"""Which pins the car is on: those of the simulated board, or the header of a Raspberry Pi.

gpiozero would choose a pin library by what happens to be installed, and
would end up with one that cannot do PWM or does not know the Pi 5.  We take
lgpio, which knows them all, and say so when it is missing.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Final

from gpiozero import Device

from pi_agent.neutral import NeutralWrite
from pi_agent.outputs.gpio import GpioPins
from pi_agent.simulated.pins import BoardFactory
from pynet_car.world.board import Board
from pynet_core.errors import ConfigError, HardwareError

GPIO_GET_CHIPINFO_IOCTL: Final = 0x8044B401  # linux/gpio.h: name[32], label[32], lines
HEADERS: Final = ("pinctrl-rp1", "pinctrl-bcm2")  # labels: Pi 5; all before it
DEV: Final = Path("/dev")
JOIN: Final = "sudo usermod -aG gpio $USER, and log in anew"


def simulated_pins(board: Board) -> GpioPins:
    """The outputs of the simulated board."""
    path = str(board.path.absolute())

    def neutral_write(pin: int, duty: float) -> NeutralWrite:
        return "board", path, Board.duty_offset(pin), duty

    return GpioPins(BoardFactory(board), neutral_write)


def header_pins(runtime_dir: Path) -> GpioPins:
    """The outputs of this Pi's header.

    Raises:
        ConfigError: lgpio is missing; says what to type.
        HardwareError: There is no such header, or it may not be used.
    """
    chip = find_header()
    factory = header_factory(chip, runtime_dir)

    def neutral_write(pin: int, duty: float) -> NeutralWrite:
        return "gpio", str(chip), pin, round(duty)

    return GpioPins(factory, neutral_write)


def use_header(runtime_dir: Path) -> None:
    """Let all of this process's gpiozero devices use this Pi's header.

    Raises:
        ConfigError, HardwareError: As `header_pins`.
    """
    Device.pin_factory = header_factory(find_header(), runtime_dir)


def find_header(dev: Path = DEV) -> Path:
    """The GPIO chip behind the header: its number is another on each kernel.

    Raises:
        HardwareError: There is none, or it may not be used; says what to do.
    """
    seen = []
    for path in sorted(dev.glob("gpiochip*")):
        try:
            label = chip_label(path)
        except PermissionError as exc:
            raise HardwareError(f"{path} may not be used:  {JOIN}") from exc
        except OSError as exc:
            label = str(exc)
        if label.startswith(HEADERS):
            return path
        seen.append(f"{path.name} is {label}")
    raise HardwareError(
        f"no header of a Raspberry Pi in {dev}: {'; '.join(seen) or 'no gpiochip at all'}; "
        'for the simulated car write  board = "simulated"'
    )


def chip_label(path: Path) -> str:
    """What the kernel calls this GPIO chip."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        info = bytearray(68)
        fcntl.ioctl(fd, GPIO_GET_CHIPINFO_IOCTL, info)
    finally:
        os.close(fd)
    return info[32:64].split(b"\0")[0].decode("ascii", "replace")


def header_factory(chip: Path, runtime_dir: Path) -> Any:
    """gpiozero's pin factory on this chip.

    Raises:
        ConfigError: lgpio is missing; says what to type.
        HardwareError: It does not get the chip.
    """
    os.environ.setdefault("LG_WD", str(runtime_dir))  # where lgpio makes a pipe; else where we happen to be
    try:
        from pi_agent.lgpio_pins import FinePins
    except ImportError as exc:
        raise ConfigError(
            f"the pins of a Raspberry Pi need lgpio ({exc}):  sudo apt install python3-lgpio;  "
            'for the simulated car write  board = "simulated"'
        ) from exc
    try:
        return FinePins(int(chip.name.removeprefix("gpiochip")))
    except Exception as exc:  # not ours: lgpio has an error of its own
        raise HardwareError(f"lgpio does not get {chip}: {exc}") from exc
