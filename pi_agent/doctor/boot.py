"""What config.txt and the kernel's command line do to the pins before the agent runs.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEADER_PINS: Final = 28


@dataclass(frozen=True, slots=True)
class Bus:
    """Something that takes pins for itself."""

    name: str
    pins: frozenset[int]  # BCM
    where: str
    off: str  # the command that switches it off


def settings(config_txt: str) -> Iterator[str]:
    """The lines that count, without comments; those under [none] do not.

    Other filters ([pi4], [cm5]) are taken to hold: better to warn once too often.
    """
    counts = True
    for line in config_txt.splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            counts = text.lower() != "[none]"
        elif text and counts:
            yield text


def held_low(config_txt: str) -> frozenset[int]:
    """Pins that the firmware pulls or drives low: `gpio=5,6=op,dl`, `gpio=0-8=pd`."""
    low: set[int] = set()
    for line in settings(config_txt):
        found = re.fullmatch(r"gpio=([\d,\-]+)=([\w,]+)", line)
        if found:
            options = set(found[2].lower().split(","))
            pins = set(_pins(found[1]))
            if "pd" in options or {"op", "dl"} <= options:
                low |= pins
            elif options & {"pu", "pn", "dh"}:
                low -= pins  # the last line wins
    return frozenset(low)


def _pins(words: str) -> Iterator[int]:
    for word in words.split(","):
        first, dash, last = word.partition("-")
        if first.isdecimal() and (last.isdecimal() or not dash):
            yield from range(int(first), min(int(last or first), _HEADER_PINS) + 1)


def buses(config_txt: str, command_line: str) -> list[Bus]:
    """What is switched on and takes pins of the header."""
    lines = list(settings(config_txt))
    where = "/boot/firmware/config.txt"
    found = []
    parameters = [part for line in lines if line.startswith("dtparam=") for part in line[8:].split(",")]
    if _last(parameters, "spi") in ("on", "true", ""):
        found.append(Bus("SPI", frozenset(range(7, 12)), where, "sudo raspi-config nonint do_spi 1"))
    if "on" in (_last(parameters, "i2c_arm"), _last(parameters, "i2c")):
        found.append(Bus("I2C", frozenset({2, 3}), where, "sudo raspi-config nonint do_i2c 1"))
    if _last(parameters, "i2s") == "on":
        found.append(Bus("I2S", frozenset(range(18, 22)), where, f"remove dtparam=i2s=on from {where}"))
    for line in lines:
        if line.startswith("dtoverlay=w1-gpio"):
            named = re.search(r"gpiopin=(\d+)", line)
            pins = frozenset({int(named[1]) if named else 4})
            found.append(Bus("1-Wire", pins, where, "sudo raspi-config nonint do_onewire 1"))
    if (
        "console=serial0" in command_line
        or "console=ttyAMA0" in command_line
        or "console=ttyS0" in command_line
    ):
        off = "sudo raspi-config nonint do_serial_cons 1"
        found.append(Bus("the serial console", frozenset({14, 15}), "/proc/cmdline", off))
    elif _last(lines, "enable_uart") == "1":
        found.append(
            Bus("the serial port", frozenset({14, 15}), where, "sudo raspi-config nonint do_serial_hw 1")
        )
    return found


def _last(lines: list[str], key: str) -> str | None:
    """The value that the last of `key=value` gives; None without one."""
    values = [
        value.strip() for name, sep, value in (line.partition("=") for line in lines) if name.strip() == key
    ]
    return values[-1] if values else None
