"""Watch the board from outside, at 1 kHz or faster: `python -m tests.system.observer BOARD`.

A process of its own, so that nothing the daemon does can delay or colour what
is seen.  Prints one line when it watches; on SIGTERM the log as JSON: what
changed and when, and how fast it looked.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.world.board import Board

PERIOD_S: Final = 0.0004
FORWARD_PIN: Final = 12
BACKWARD_PIN: Final = 13


class Sample(msgspec.Struct, array_like=True):
    """The outputs from this moment on, and how fast the car truly went then."""

    ns: int  # monotonic
    duty: float  # forward minus backward, [-1, 1]
    velocity_mps: float


class Log(msgspec.Struct):
    samples: list[Sample]
    looks_hz: float
    worst_gap_ms: float


def watch(board_path: Path) -> Log:
    board = Board.open(board_path)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    print("watching", flush=True)
    samples: list[Sample] = []
    looks, worst_ns = 0, 0
    started_ns = before_ns = time.monotonic_ns()
    duty, velocity_mps = 0.0, 0.0
    while not stopping:
        now_ns = time.monotonic_ns()
        looks += 1
        worst_ns, before_ns = max(worst_ns, now_ns - before_ns), now_ns
        seen = board.output(FORWARD_PIN)[0] - board.output(BACKWARD_PIN)[0]
        moving_mps = board.read_pose().velocity_mps if looks % 8 == 0 else velocity_mps  # world: 100 Hz
        if seen != duty or moving_mps != velocity_mps:
            duty, velocity_mps = seen, moving_mps
            samples.append(Sample(now_ns, duty, velocity_mps))
        time.sleep(PERIOD_S)
    seconds = (time.monotonic_ns() - started_ns) / 1e9
    return Log(samples, looks / seconds, worst_ns / 1e6)


if __name__ == "__main__":
    log = watch(Path(sys.argv[1]))
    sys.stdout.buffer.write(msgspec.json.encode(log))
