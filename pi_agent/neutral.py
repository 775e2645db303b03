"""Make every output neutral, whoever else is dead: `python3 -I -S neutral.py RUNTIME_DIR [--after FD]`.

A released line keeps its level and a PWM chip runs on, so the guardian leaves
`neutral.json` behind before it takes a pin: the exact writes that stop what
can move the car.  This file carries them out, as ExecStartPre and
ExecStopPost, with the standard library alone, as often as you like, and
beside a living agent too: it can only stop something.
Steering is not among them: it moves nothing by itself, and a servo that jumps
while nobody watches helps nobody.

With --after it leaves a process behind that does so once the other end of that
pipe is closed: where no systemd looks after the agent, the agent starts it.

Exit code 0: all is neutral, or no pin was ever taken.  1: something may still
run; stderr says what.  2: wrong use.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterable

# No Final here, and no dataclass: `typing` and `dataclasses` would double the time this takes.
PLAN_FILE = "neutral.json"  # in the runtime directory
VERSION = 2

# (kind, path, place, value): what to put where.
#   board    a simulated board's file  byte offset of a word     duty
#   gpio     /dev/gpiochipN            line                      level, 0 or 1
#   pwm      /sys/class/pwm/pwmchipN   channel                   length of the pulses, ns
#   pca9685  /dev/i2c-N                address << 4 | channel    length of the pulses, 4096ths of a period
NeutralWrite = tuple[str, str, int, float]

# linux/gpio.h: one output line requested from the chip, its level with it.
GPIO_V2_GET_LINE_IOCTL = 0xC250B407
_LINE_REQUEST_BYTES = 592
_FLAGS, _ATTRIBUTES, _FIRST_ATTRIBUTE, _LINES, _FD = 288, 296, 320, 560, 588
_OUTPUT = 1 << 3
_OUTPUT_VALUES = 2

# linux/i2c-dev.h, and the data sheet of NXP's PCA9685
I2C_SLAVE = 0x0703
_MODE1 = 0x00
_RESTART, _AUTO_INCREMENT, _SLEEP = 0x80, 0x20, 0x10
_LED0 = 0x06  # four registers a channel: on low, on high, off low, off high
_FULL_OFF = 0x10  # in the last of them; weighs more than all else there
_TRIES = 3  # motors disturb the bus
AFTER_S = 1.0  # a process that dies closes its pipe before, or after, it gives back its lines
_AGAIN_S = 0.02


def save_plan(runtime_dir: str | os.PathLike[str], writes: Iterable[NeutralWrite]) -> None:
    """Leave the writes behind: the whole new plan or the whole old one, whenever we die.

    Raises:
        OSError: The runtime directory cannot be written.
    """
    path = os.path.join(runtime_dir, PLAN_FILE)  # noqa: PTH118  # pathlib takes as long as all the rest
    # A line for each: of a spoilt file, those that are whole can still be done.
    steps = [json.dumps({"kind": k, "path": p, "place": o, "value": v}) for k, p, o, v in writes]
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f'{{"version": {VERSION}, "writes": [\n' + ",\n".join(steps) + "\n]}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)  # noqa: PTH105


def load_plan(runtime_dir: str) -> tuple[list[NeutralWrite], list[str]]:
    """(the writes left behind, what is wrong with the plan); neither where no pin was ever taken."""
    try:
        with open(os.path.join(runtime_dir, PLAN_FILE), encoding="utf-8", errors="replace") as file:  # noqa: PTH118, PTH123
            text = file.read()
    except FileNotFoundError:
        return [], []
    except OSError as exc:
        return [], [str(exc)]
    faults: list[str] = []
    try:
        plan = json.loads(text)
    except (ValueError, RecursionError) as exc:
        faults.append(f"is spoilt, only its whole lines are done: {exc}")
        steps = _whole_lines(text)
    else:
        if not isinstance(plan, dict) or plan.get("version") != VERSION:
            return [], [f"is not a plan of version {VERSION}"]
        if not isinstance(plan.get("writes"), list):
            return [], ["has no list of writes"]
        steps = plan["writes"]
    writes = []
    for step in steps:
        try:
            writes.append(_step(step))
        except ValueError as exc:
            faults.append(str(exc))
    return writes, faults


def _whole_lines(text: str) -> list[object]:
    if not text.startswith(f'{{"version": {VERSION},'):
        return []
    steps = []
    for line in text.splitlines()[1:]:
        try:
            steps.append(json.loads(line.rstrip(",")))
        except (ValueError, RecursionError):
            continue  # told already
    return steps


def _step(step: object) -> NeutralWrite:
    if isinstance(step, dict):
        kind, path, place, value = (step.get(key) for key in ("kind", "path", "place", "value"))
        if not (isinstance(kind, str) and isinstance(path, str)):
            raise ValueError(f"has a step without kind and path: {step!r:.80}")
        if isinstance(place, int) and isinstance(value, int | float) and place >= 0 and 0 <= value <= 1e9:
            return kind, path, place, value
    raise ValueError(f"has a step that is none: {step!r:.80}")


def carry_out(write: NeutralWrite) -> None:
    """Do one write, whether it was done before or not.

    Raises:
        OSError, ValueError: It could not be done.
    """
    kind, path, place, value = write
    act = _ACTS.get(kind)
    if act is None:
        raise ValueError(f"kind {kind!r} is unknown here, known: {', '.join(_ACTS)}")
    if not os.path.isabs(path):  # noqa: PTH117
        raise ValueError("no absolute path")  # systemd starts us in a folder of its own
    act(path, place, value)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place must not hold us up


def _board(path: str, offset: int, duty: float) -> None:
    word = struct.pack("=d", duty)
    fd = _open(path, os.O_WRONLY)
    try:
        status = os.fstat(fd)
        # A write past its end would make the file longer, and nothing neutral.
        if not stat.S_ISREG(status.st_mode) or offset + len(word) > status.st_size:
            raise ValueError(f"no byte {offset} to {offset + len(word)} there")
        if os.pwrite(fd, word, offset) != len(word):
            raise OSError("written in part only")
    finally:
        os.close(fd)


def _gpio(path: str, line: int, level: float) -> None:
    """Take the line as an output of this level and give it back: it keeps the level, or becomes an input."""
    request = bytearray(_LINE_REQUEST_BYTES)
    struct.pack_into("=I", request, 0, line)
    request[256:263] = b"neutral"
    struct.pack_into("=Q", request, _FLAGS, _OUTPUT)
    struct.pack_into("=I", request, _ATTRIBUTES, 1)
    struct.pack_into("=IIQQ", request, _FIRST_ATTRIBUTE, _OUTPUT_VALUES, 0, int(level), 1)
    struct.pack_into("=I", request, _LINES, 1)
    chip = _open(path, os.O_RDWR)
    try:
        fcntl.ioctl(chip, GPIO_V2_GET_LINE_IOCTL, request)
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            raise OSError(f"another program holds line {line}; if that is the agent, stop it") from exc
        raise
    finally:
        os.close(chip)
    os.close(struct.unpack_from("=i", request, _FD)[0])


def _pwm(path: str, channel: int, pulse_ns: float) -> None:
    folder = f"{path}/pwm{channel}"
    if not os.path.isdir(folder):  # noqa: PTH112
        os.stat(path)  # noqa: PTH116
        return  # never exported, so never taken; it stays exported when its user dies
    # EINVAL: it has no period yet, or a shorter one, so was not set up whole: off, which stops an ESC too.
    if not _accepts(f"{folder}/duty_cycle", str(int(pulse_ns))):
        _accepts(f"{folder}/enable", "0")


def _accepts(path: str, text: str) -> bool:
    try:
        write_text(path, text)
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            return False
        raise
    return True


def write_text(path: str, text: str) -> None:
    """Put a value into a file of /sys, in one write."""
    fd = _open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _pca9685(path: str, place: int, ticks: float) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            fd = _open(path, os.O_RDWR)
            try:
                fcntl.ioctl(fd, I2C_SLAVE, place >> 4)
                _put_channel(fd, place & 15, int(ticks))
            finally:
                os.close(fd)
        except OSError:
            if attempt == _TRIES:
                raise
        else:
            return


def _put_channel(fd: int, channel: int, ticks: int) -> None:
    first = _LED0 + 4 * channel
    if ticks == 0:
        os.write(fd, bytes([first + 3, _FULL_OFF]))
        return
    os.write(fd, bytes([_MODE1]))
    mode = os.read(fd, 1)[0]
    if mode & _SLEEP:
        return  # it has lost its power: no pulses, and if it woke they would be of another length
    if not mode & _AUTO_INCREMENT:
        os.write(fd, bytes([_MODE1, (mode | _AUTO_INCREMENT) & ~_RESTART]))
    os.write(fd, bytes([first, 0, 0, ticks & 0xFF, ticks >> 8 & 0x0F]))


_ACTS: dict[str, Callable[[str, int, float], None]] = {
    "board": _board,
    "gpio": _gpio,
    "pwm": _pwm,
    "pca9685": _pca9685,
}


def stop_all(runtime_dir: str) -> list[str]:
    """Carry out the plan left behind there; what may still run, in words."""
    writes, faults = load_plan(runtime_dir)
    problems = [f"{runtime_dir}/{PLAN_FILE} {fault}" for fault in faults]
    for write in writes:  # all of them, whatever becomes of one
        try:
            carry_out(write)
        except (OSError, ValueError, OverflowError, struct.error) as exc:
            problems.append(f"{write[0]} {write[2]} of {write[1]} may still run: {exc}")
    return problems


def stop_all_after(fd: int, runtime_dir: str) -> list[str]:
    """`stop_all` in a process left behind, once the other end of this pipe is closed."""
    if os.fork():
        os._exit(0)  # so that it is nobody's child, and nobody's to bury
    os.read(fd, 1)
    until_s = time.monotonic() + AFTER_S
    while (problems := stop_all(runtime_dir)) and time.monotonic() < until_s:
        time.sleep(_AGAIN_S)
    is_known = os.path.exists(os.path.join(runtime_dir, PLAN_FILE))  # noqa: PTH110, PTH118
    return problems if is_known else []  # all was thrown away together, simulated motors and plan


def main(arguments: list[str]) -> int:
    match arguments:
        case [runtime_dir]:
            problems = stop_all(runtime_dir)
        case [runtime_dir, "--after", fd]:
            problems = stop_all_after(int(fd), runtime_dir)
        case _:
            print("use: python3 -I -S neutral.py RUNTIME_DIR [--after FD]", file=sys.stderr)
            return 2
    level = "<3>" if "JOURNAL_STREAM" in os.environ else ""  # systemd started us: an error, sd-daemon(3)
    for problem in problems:
        print(f"{level}neutral: {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
