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

from pi_agent.procs import run_before_others
from pynet_car.world.board import Board

PERIOD_S: Final = 0.0004
FORWARD_PIN: Final = 12
BACKWARD_PIN: Final = 13


class Sample(msgspec.Struct, array_like=True):
    """The outputs from this moment on, and how fast the car truly went then."""

    ns: int  # monotonic
    duty: float  # forward minus backward, [-1, 1]
    velocity_mps: float
    distance_m: float  # true odometer


class Log(msgspec.Struct):
    samples: list[Sample]
    looks_hz: float
    worst_gap_ms: float


def watch(board_path: Path) -> Log:
    board = Board.open(board_path)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    looks, worst_ns = 0, 0
    started_ns = before_ns = time.monotonic_ns()
    duty, pose = board.output(FORWARD_PIN)[0] - board.output(BACKWARD_PIN)[0], board.read_pose()
    samples = [Sample(started_ns, duty, pose.velocity_mps, pose.distance_m)]
    print("watching", flush=True)
    while not stopping:
        now_ns = time.monotonic_ns()
        looks += 1
        worst_ns, before_ns = max(worst_ns, now_ns - before_ns), now_ns
        seen = board.output(FORWARD_PIN)[0] - board.output(BACKWARD_PIN)[0]
        # The world writes it 100 times a second, may be preempted in the midst, and we do not wait.
        moved = (board.peek_pose() if looks % 8 == 0 else None) or pose
        if seen != duty or moved.velocity_mps != pose.velocity_mps:
            duty, pose = seen, moved
            samples.append(Sample(now_ns, duty, pose.velocity_mps, pose.distance_m))
        time.sleep(PERIOD_S)
    seconds = (time.monotonic_ns() - started_ns) / 1e9
    return Log(samples, looks / seconds, worst_ns / 1e6)


if __name__ == "__main__":
    run_before_others()  # as root; else it looks when it can
    log = watch(Path(sys.argv[1]))
    sys.stdout.buffer.write(msgspec.json.encode(log))
