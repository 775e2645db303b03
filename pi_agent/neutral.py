"""Make every output neutral, whoever else is dead: `python3 -I -S neutral.py RUNTIME_DIR`.

A released line keeps its level and a PWM chip runs on, so the guardian leaves
`neutral.json` behind before it takes a pin: the exact writes that stop what
can move the car.  This file carries them out, as ExecStartPre and
ExecStopPost, with the standard library alone, as often as you like.
Steering is not among them: it moves nothing by itself, and a servo that jumps
while nobody watches helps nobody.

Exit code 0: all is neutral, or no pin was ever taken.  1: something may still
run; stderr says what.  2: wrong use.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable

# No Final here, and no dataclass: `typing` and `dataclasses` would double the time this takes.
PLAN_FILE = "neutral.json"  # in the runtime directory
VERSION = 1
KNOWN_KINDS = ("board",)  # an 8-byte word in the file of a simulated board

# (kind, path, offset in bytes, value): put `value` at `offset` of the file `path`.
NeutralWrite = tuple[str, str, int, bytes]


def save_plan(runtime_dir: str | os.PathLike[str], writes: Iterable[NeutralWrite]) -> None:
    """Leave the writes behind: the whole new plan or the whole old one, whenever we die.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    path = os.path.join(runtime_dir, PLAN_FILE)  # noqa: PTH118  # pathlib takes as long as all the rest
    steps = [{"kind": k, "path": p, "offset": o, "hex": v.hex()} for k, p, o, v in writes]
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"version": VERSION, "writes": steps}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)  # noqa: PTH105


def load_plan(runtime_dir: str) -> list[NeutralWrite]:
    """The writes left behind; none where no pin was ever taken.

    Raises:
        OSError, ValueError, RecursionError: There is a plan and it cannot be read.
    """
    try:
        with open(os.path.join(runtime_dir, PLAN_FILE), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            plan = json.load(file)
    except FileNotFoundError:
        return []
    if not isinstance(plan, dict) or plan.get("version") != VERSION:
        raise ValueError(f"is not a plan of version {VERSION}")
    steps = plan.get("writes")
    if not isinstance(steps, list):
        raise ValueError("has no list of writes")
    return [_step(step) for step in steps]


def _step(step: object) -> NeutralWrite:
    if isinstance(step, dict):
        kind, path, offset, digits = (step.get(key) for key in ("kind", "path", "offset", "hex"))
        if not (isinstance(kind, str) and isinstance(path, str) and isinstance(digits, str)):
            raise ValueError(f"has a step without kind, path and hex: {step!r:.80}")
        if isinstance(offset, int) and offset >= 0:
            return kind, path, offset, bytes.fromhex(digits)
    raise ValueError(f"has a step that is none: {step!r:.80}")


def carry_out(write: NeutralWrite) -> None:
    """Do one write, whether it was done before or not.

    Raises:
        OSError, ValueError: It could not be done.
    """
    kind, path, offset, value = write
    if kind not in KNOWN_KINDS:
        raise ValueError(f"kind {kind!r} is unknown here, known: {', '.join(KNOWN_KINDS)}")
    if not os.path.isabs(path):  # noqa: PTH117
        raise ValueError("no absolute path")  # systemd starts us in a folder of its own
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place must not hold us up
    try:
        status = os.fstat(fd)
        # A write past its end would make the file longer, and nothing neutral.
        if not stat.S_ISREG(status.st_mode) or offset + len(value) > status.st_size:
            raise ValueError(f"no byte {offset} to {offset + len(value)} there")
        if os.pwrite(fd, value, offset) != len(value):
            raise OSError("written in part only")
    finally:
        os.close(fd)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("use: python3 -I -S neutral.py RUNTIME_DIR", file=sys.stderr)
        return 2
    try:
        writes = load_plan(arguments[0])
    except (OSError, ValueError, RecursionError) as exc:
        print(f"neutral: {arguments[0]}/{PLAN_FILE}: {exc}", file=sys.stderr)
        return 1
    failed = False
    for write in writes:  # all of them, whatever becomes of one
        try:
            carry_out(write)
        except (OSError, ValueError) as exc:
            print(f"neutral: {write[1]} may still run: {exc}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
