"""Watch the motor outputs from outside, 1,000 times a second and more.

    python -m pi_agent.selftest.observer RUNTIME_DIR

A process of its own, so that nothing the agent or the test does can delay or
colour what is seen.  It writes a line `NS MOVING` for every change, and each
100 ms `NS MOVING LOOKS WORST_GAP_NS`; ends when its reader has gone.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pi_agent.procs import die_with_parent, run_before_others
from pi_agent.selftest.outputs import load_writes, readers

PERIOD_S: Final = 0.0004
BEAT_NS: Final = 100_000_000
PULSES_NS: Final = 50_000_000  # a pin that was up within this is at work: PWM is down most of the time


@dataclass(frozen=True, slots=True)
class Look:
    """What stood at the outputs from this moment on."""

    ns: int  # monotonic
    moving: bool


def neutral_after_ms(looks: list[Look], fault_ns: int) -> float:
    """From the fault to the moment since which nothing moves; inf while something does."""
    until_ns = fault_ns
    for look, following in zip(looks, [*looks[1:], None], strict=True):
        if look.moving:
            if following is None:
                return float("inf")
            until_ns = max(until_ns, following.ns)
    return (until_ns - fault_ns) / 1e6


def was_moving_at(looks: list[Look], ns: int) -> bool:
    """Whether something moved then, or a PWM period before."""
    before = [look for look in looks if look.ns <= ns]
    return bool(before) and (before[-1].moving or ns - before[-1].ns < PULSES_NS)


class Observer:
    """The process, and what it has seen so far.  `close` ends it."""

    def __init__(self, runtime_dir: Path) -> None:
        command = [sys.executable, "-m", "pi_agent.selftest.observer", str(runtime_dir)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self._lock = threading.Lock()
        self._looks: list[Look] = []
        self._last = Look(0, False)
        self._looked = 0
        self.worst_gap_ms = 0.0
        self._thread = threading.Thread(target=self._read, name="observer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_awake(self) -> bool:
        return time.monotonic_ns() - self._last.ns < 5 * BEAT_NS

    @property
    def looks_hz(self) -> float:
        """On average."""
        seconds = (self._last.ns - self._looks[0].ns) / 1e9 if self._looks else 0.0
        return self._looked / seconds if seconds > 0 else 0.0

    def is_moving(self) -> bool:
        """Whether something moves, or did a PWM period ago."""
        with self._lock:
            newest = self._looks[-1:]
        # The first look is no change: nothing has moved yet.
        return was_moving_at(newest, time.monotonic_ns()) and len(self._looks) > 1

    def seen(self) -> list[Look]:
        """All changes so far."""
        with self._lock:
            return list(self._looks)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            words = [int(word) for word in line.split()]
            look = Look(words[0], bool(words[1]))
            with self._lock:
                if not self._looks or look.moving != self._looks[-1].moving:
                    self._looks.append(look)
                if len(words) == 4:
                    self._looked += words[2]
                    self.worst_gap_ms = max(self.worst_gap_ms, words[3] / 1e6)
                self._last = look


def watch(runtime_dir: Path) -> None:
    outputs, _ = readers(load_writes(runtime_dir))
    looks, worst_ns, was = 0, 0, None
    beat_ns = before_ns = time.monotonic_ns()
    while True:
        now_ns = time.monotonic_ns()
        looks += 1
        worst_ns, before_ns = max(worst_ns, now_ns - before_ns), now_ns
        moving = any(is_moving() for is_moving in outputs)
        if moving != was:
            was = moving
            print(now_ns, int(moving), flush=True)
        if now_ns - beat_ns >= BEAT_NS:
            print(now_ns, int(moving), looks, worst_ns, flush=True)
            beat_ns, looks, worst_ns = now_ns, 0, 0
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    die_with_parent()
    run_before_others()  # where it may: as root
    try:
        watch(Path(sys.argv[1]))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
