"""Make each fault happen while the car drives, and measure at the pins how soon it stops.

`python -m tests.system.faults [--trials N] [NAME ...]` repeats them and prints
p50, p99 and max; the tests run one trial of each.  Every trial: world and
agent as processes, a driver process that drives at more than 0.5 m/s through
the sockets, an observer process that reads the board at 1 kHz or faster.  The
time runs from just before the fault to the moment from which both motor pins
stay at zero.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynet_car.messages import Priority
from pynet_car.operator import Operator
from pynet_car.world.board import Board
from pynet_car.world.launch import SimulatedCar
from tests.system.stops import Trial, await_speed, judge, observing, process

WATCH_S: Final = 3.2  # after the fault; at rest is promised within 3 s
AT_REST_WITHIN_S: Final = 3.0
LOG_PATH: Final = Path("out/faults.log")
CLONE_NEWNET: Final = 0x40000000


class Rig:
    """A simulated car of its own, someone who drives it, someone who looks on, and someone who watches."""

    def __init__(self, car: SimulatedCar, driver: subprocess.Popen[bytes], onlooker: Operator) -> None:
        self.car = car
        self.driver = driver
        self.onlooker = onlooker


def run(fault: Fault, log_path: Path | None = None) -> Trial:
    """One trial of one fault; what car and world print goes to the end of `log_path`, if there is one."""
    with (
        contextlib.nullcontext() if log_path is None else log_path.open("ab") as log,
        SimulatedCar(log=log) as car,
        Board.open(car.board_path) as board,
        observing(car.board_path) as observer,
        Operator(port=car.port, name="onlooker", priority=Priority.HUMAN) as onlooker,
        process("tests.system.driver", str(car.port), str(car.board_path), *fault.driver) as driver,
    ):
        observer.await_watching()
        await_speed(board)
        speed_mps = board.read_pose().velocity_mps
        fault_ns = fault.make(Rig(car, driver, onlooker))
        time.sleep(WATCH_S)
        seen = observer.stop()
        if fault.mend is not None:
            fault.mend()
    return judge(fault.name, seen, fault_ns, speed_mps)


@dataclass(frozen=True, slots=True)
class Fault:
    """How to make it happen; returns the monotonic ns just before it did."""

    name: str
    budget_ms: float  # promised, at the pins
    make: Callable[[Rig], int]
    mend: Callable[[], object] | None = None  # what outlives the trial
    driver: tuple[str, ...] = ()


def _kill(who: Callable[[Rig], int], number: signal.Signals) -> Callable[[Rig], int]:
    def make(rig: Rig) -> int:
        pid = who(rig)
        before_ns = time.monotonic_ns()
        os.kill(pid, number)
        return before_ns

    return make


def _driver_pid(rig: Rig) -> int:
    return rig.driver.pid


def _worker_pid(rig: Rig) -> int:
    return rig.car.worker_pid


def _e_stop(rig: Rig) -> int:
    before_ns = time.monotonic_ns()
    rig.onlooker.e_stop()
    return before_ns


def _take_lease(rig: Rig) -> int:
    before_ns = time.monotonic_ns()
    rig.onlooker.lease(take=True)
    return before_ns


def _set_link(up: bool) -> int:
    before_ns = time.monotonic_ns()
    subprocess.run(["ip", "link", "set", "lo", "up" if up else "down"], check=True)
    return before_ns


FAULTS: Final = {
    fault.name: fault
    for fault in (
        # The driver's own code hangs: its process lives, its sender repeats the last wish for 0.2 s.
        Fault("wish expired", 250, _kill(_driver_pid, signal.SIGUSR1), driver=("--freeze",)),
        Fault("operator SIGKILL", 250, _kill(_driver_pid, signal.SIGKILL)),
        Fault("operator SIGSTOP", 250, _kill(_driver_pid, signal.SIGSTOP)),
        Fault("worker SIGKILL", 50, _kill(_worker_pid, signal.SIGKILL)),
        Fault("worker SIGSTOP", 250, _kill(_worker_pid, signal.SIGSTOP)),
        Fault("e-stop by a second client", 50, _e_stop),
        Fault("lease lost", 50, _take_lease),
        Fault("link cut", 250, lambda rig: _set_link(False), lambda: _set_link(True)),
    )
}
NEEDS_OWN_NETWORK: Final = frozenset({"link cut"})


def enter_own_network() -> str:
    """Move this process into a network of its own; '' when done, else why not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return f"needs root to make a network of its own: {os.strerror(ctypes.get_errno())}"
    try:
        _set_link(True)
    except (OSError, subprocess.CalledProcessError) as exc:
        return f"needs iproute2: {exc}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove faults", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="NAME", help=f"of: {', '.join(FAULTS)}; all by default")
    parser.add_argument("--trials", type=int, default=10)
    options = parser.parse_args()
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        parser.error(f"no fault called {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    no_network = enter_own_network()
    chosen = [FAULTS[name] for name in options.faults or FAULTS]
    if no_network:
        print(f"left out: {', '.join(NEEDS_OWN_NETWORK)}: {no_network}")
        chosen = [fault for fault in chosen if fault.name not in NEEDS_OWN_NETWORK]
    LOG_PATH.parent.mkdir(exist_ok=True)
    failed = False
    print(f"{'fault':28} trials  p50 ms  p99 ms  max ms  budget  at rest s  rolled m  slowest look")
    for fault in chosen:
        trials = [run(fault, LOG_PATH) for _ in range(options.trials)]
        times = sorted(trial.neutral_ms for trial in trials)
        rest_s = max(trial.rest_s for trial in trials)
        rolled_m = max(trial.rolled_m for trial in trials)
        p99 = times[min(len(times) - 1, round(0.99 * len(times)))]
        verdict = "ok" if times[-1] <= fault.budget_ms and rest_s <= AT_REST_WITHIN_S else "OVER BUDGET"
        failed |= verdict != "ok"
        print(
            f"{fault.name:28} {len(trials):6} {statistics.median(times):7.1f} {p99:7.1f} {times[-1]:7.1f}"
            f" {fault.budget_ms:7.0f} {rest_s:10.2f} {rolled_m:9.2f}"
            f" {min(t.looks_hz for t in trials):6.0f} Hz  {verdict}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
