"""How soon a car stopped, as an observer process saw it at the pins."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.world.board import Board
from tests.system.observer import Log

DRIVING_MPS: Final = 0.5
AT_REST_MPS: Final = 0.02
UP_TO_SPEED_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What one fault led to, as the observer saw it."""

    fault: str
    neutral_ms: float  # from the fault to neutral for good
    rest_s: float  # from the fault to less than 0.02 m/s for good; inf if not while watched
    rolled_m: float  # from the fault to the end of the watch
    speed_mps: float  # when it happened
    looks_hz: float
    worst_gap_ms: float


class Observing:
    """Somebody who looks at the board, in a process of its own."""

    def __init__(self, observer: subprocess.Popen[bytes]) -> None:
        self._observer = observer
        self._watches = False

    def await_watching(self) -> None:
        """Return once it looks; it takes half a second to start."""
        if not self._watches:
            assert self._observer.stdout is not None
            self._observer.stdout.readline()
            self._watches = True

    def stop(self) -> Log:
        """What was seen."""
        self.await_watching()
        self._observer.terminate()
        output, _ = self._observer.communicate(timeout=20)
        return msgspec.json.decode(output, type=Log)


@contextlib.contextmanager
def observing(board_path: Path) -> Iterator[Observing]:
    """An observer of this board, until the block ends."""
    with process("tests.system.observer", str(board_path)) as observer:
        yield Observing(observer)


@contextlib.contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.kill()


def await_speed(board: Board, steadily_s: float = 0.5, *, patience_s: float = UP_TO_SPEED_S) -> None:
    """Until the car drives at more than 0.6 m/s, steadily.

    Raises:
        TimeoutError: It does not.
    """
    deadline_s = time.monotonic() + patience_s
    since_s = time.monotonic()
    while time.monotonic() - since_s < steadily_s:  # steadily, not at the peak of a jolt
        if board.read_pose().velocity_mps < DRIVING_MPS + 0.1:
            since_s = time.monotonic()
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the car does not reach {DRIVING_MPS} m/s within {patience_s:g} s")
        time.sleep(0.01)


def judge(fault: str, log: Log, fault_ns: int, speed_mps: float) -> Trial:
    moving_until_ns = fault_ns
    fast_until_ns = fault_ns
    for sample, following in zip(log.samples, [*log.samples[1:], None], strict=True):
        until_ns = following.ns if following is not None else sys.maxsize
        if until_ns > fault_ns and sample.duty != 0.0:
            moving_until_ns = until_ns
        if until_ns > fault_ns and abs(sample.velocity_mps) >= AT_REST_MPS:
            fast_until_ns = until_ns
    endless = float("inf")
    before = [sample.distance_m for sample in log.samples if sample.ns <= fault_ns]
    return Trial(
        fault,
        endless if moving_until_ns == sys.maxsize else (moving_until_ns - fault_ns) / 1e6,
        endless if fast_until_ns == sys.maxsize else (fast_until_ns - fault_ns) / 1e9,
        log.samples[-1].distance_m - before[-1],
        speed_mps,
        log.looks_hz,
        log.worst_gap_ms,
    )
