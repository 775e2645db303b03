"""Reads back what stands at the motor outputs now, past the agent: where neutral.json says they are.

The guardian leaves in that plan what makes each output neutral, so an output
whose value is another one is turning something.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pi_agent.neutral import PLAN_FILE, NeutralWrite, load_plan
from pynet_core.errors import HardwareError

_WORD: Final = struct.Struct("=d")
# A Pi's pin levels, one bit a pin, in the registers that /dev/gpiomem maps: Pi 0 to 4 (GPLEV0) and
# Pi 5 (RIO_IN of the RP1).  Reading them disturbs nobody.
_LEVELS: Final = (("gpiomem0", 0x10008), ("gpiomem", 0x34))

IsMoving = Callable[[], bool]


def load_writes(runtime_dir: Path) -> list[NeutralWrite]:
    """The motor outputs of the agent that runs there, and the value that makes each neutral.

    Raises:
        HardwareError: There is no plan to read them from.
    """
    writes, faults = load_plan(str(runtime_dir))
    if faults or not writes:
        why = "; ".join(faults) or "there is none"
        if not os.access(runtime_dir / PLAN_FILE, os.R_OK) and (runtime_dir / PLAN_FILE).exists():
            why = "this user may not read it; use sudo"
        raise HardwareError(f"{runtime_dir / PLAN_FILE} does not tell where the motors are: {why}")
    return writes


def reader_of(write: NeutralWrite, dev: Path = Path("/dev")) -> IsMoving | str:
    """Tells whether this output is away from neutral; or why that cannot be read here."""
    kind, path, place, neutral = write
    try:
        if kind == "board":
            return _board(path, place, neutral)
        if kind == "gpio":
            return _level(dev, place, neutral)
        if kind == "pwm":
            return _pulse(f"{path}/pwm{place}/duty_cycle", neutral)
    except (OSError, ValueError) as exc:
        return f"{path}: {exc}"
    return f"an output of kind {kind!r} cannot be read back"


def readers(writes: Sequence[NeutralWrite], dev: Path = Path("/dev")) -> tuple[list[IsMoving], list[str]]:
    """(what can be read, why the rest cannot)."""
    made = [reader_of(write, dev) for write in writes]
    return [one for one in made if not isinstance(one, str)], [one for one in made if isinstance(one, str)]


def _board(path: str, place: int, neutral: float) -> IsMoving:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(fd).st_size < place + _WORD.size:
        os.close(fd)
        raise ValueError(f"has no word at {place}")
    return lambda: _WORD.unpack(os.pread(fd, _WORD.size, place))[0] != neutral


def _level(dev: Path, pin: int, neutral: float) -> IsMoving:
    for name, offset in _LEVELS:
        try:
            with (dev / name).open("rb") as file:
                size = mmap.PAGESIZE * (1 + offset // mmap.PAGESIZE)
                memory = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
        except FileNotFoundError:
            continue
        levels, bit = memoryview(memory).cast("I"), 1 << pin
        low_or_high = bit if neutral else 0
        return lambda: levels[offset // 4] & bit != low_or_high
    raise ValueError(f"the level of pin {pin} cannot be read: there is no gpiomem")


def _pulse(path: str, neutral: float) -> IsMoving:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return lambda: int(os.pread(fd, 32, 0)) != int(neutral)
