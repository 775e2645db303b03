"""Reads back what stands at the motor outputs now, past the agent: where neutral.json says they are.

The guardian leaves in that plan what makes each output neutral, so an output
whose value is another one is turning something.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pi_agent.neutral import PLAN_FILE
from pynet_core.errors import HardwareError

_WORD: Final = struct.Struct("=d")
# A Pi's pin levels, one bit a pin, in the registers that /dev/gpiomem maps: Pi 0 to 4 (GPLEV0) and
# Pi 5 (RIO_IN of the RP1).  Reading them disturbs nobody.
_LEVELS: Final = (("gpiomem0", 0x10008), ("gpiomem", 0x34))

IsMoving = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One output and its neutral value."""

    kind: str
    path: str
    place: int
    value: float


def load_steps(runtime_dir: Path) -> list[Step]:
    """The motor outputs of the agent that runs there.

    Raises:
        HardwareError: There is no plan to read them from.
    """
    path = runtime_dir / PLAN_FILE
    try:
        plan = json.loads(path.read_text("utf-8"))
        return [_step(step) for step in plan["writes"]]
    except (OSError, ValueError, KeyError, TypeError, struct.error) as exc:
        raise HardwareError(f"{path}: does not tell where the motors are: {exc}") from exc


def _step(step: dict[str, object]) -> Step:
    if "hex" in step:
        (value,) = _WORD.unpack(bytes.fromhex(str(step["hex"])))
        return Step(str(step["kind"]), str(step["path"]), int(str(step["offset"])), value)
    return Step(str(step["kind"]), str(step["path"]), int(str(step["place"])), float(str(step["value"])))


def reader_of(step: Step, dev: Path = Path("/dev")) -> IsMoving | str:
    """Tells whether this output is away from neutral; or why that cannot be read here."""
    try:
        if step.kind == "board":
            return _board(step)
        if step.kind == "gpio":
            return _level(step, dev)
        if step.kind == "pwm":
            return _pulse(step)
    except (OSError, ValueError) as exc:
        return f"{step.path}: {exc}"
    return f"an output of kind {step.kind!r} cannot be read back"


def readers(steps: Sequence[Step], dev: Path = Path("/dev")) -> tuple[list[IsMoving], list[str]]:
    """(what can be read, why the rest cannot)."""
    made = [reader_of(step, dev) for step in steps]
    return [one for one in made if not isinstance(one, str)], [one for one in made if isinstance(one, str)]


def _board(step: Step) -> IsMoving:
    fd = os.open(step.path, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(fd).st_size < step.place + _WORD.size:
        os.close(fd)
        raise ValueError(f"has no word at {step.place}")
    return lambda: _WORD.unpack(os.pread(fd, _WORD.size, step.place))[0] != step.value


def _level(step: Step, dev: Path) -> IsMoving:
    for name, offset in _LEVELS:
        try:
            with (dev / name).open("rb") as file:
                memory = mmap.mmap(
                    file.fileno(), mmap.PAGESIZE * (1 + offset // mmap.PAGESIZE), prot=mmap.PROT_READ
                )
        except FileNotFoundError:
            continue
        levels, bit = memoryview(memory).cast("I"), 1 << step.place
        neutral = bit if step.value else 0
        return lambda: levels[offset // 4] & bit != neutral
    raise ValueError("its level cannot be read: there is no gpiomem")


def _pulse(step: Step) -> IsMoving:
    path = f"{step.path}/pwm{step.place}/duty_cycle"
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return lambda: int(os.pread(fd, 32, 0)) != int(step.value)
