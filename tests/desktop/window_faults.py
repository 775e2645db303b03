"""Hold Up in the real window, make each fault happen, and measure at the pins how soon the car stops.

`python -m tests.desktop.window_faults [--trials N] [NAME ...]` repeats them;
the tests run one trial of each.  As in `tests.system.faults`, but what drives
is the window itself, in an X server, with a real key held down.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.desktop.window_rig import SOON_S, Rig, rig, turn
from tests.desktop.xserver import X, missing, x_server
from tests.system.faults import AT_REST_WITHIN_S, WATCH_S
from tests.system.stops import Trial, judge

# At the pins.  One send is at most one 20 ms tick; release at once; 50 ms toward zero.
FOLDER: Final = Path("out/window-faults")  # what the window keeps, and log.txt
LET_GO_MS: Final = 20 + 20 + 50
SETTLED_S: Final = 0.8  # three times what any budget is


@dataclass(frozen=True, slots=True)
class Fault:
    """How to make it happen; returns the monotonic ns just before it did."""

    name: str
    budget_ms: float
    make: Callable[[Rig], int]
    uses_pad: bool = False
    state: str = ""  # that the window must say afterwards


def run(fault: Fault, x: X, folder: Path) -> Trial:
    """One trial of one fault; its turn ends when all it does is to look whether the car stays at rest."""
    with contextlib.ExitStack() as measuring, contextlib.ExitStack() as driving:
        measuring.enter_context(turn())
        found = driving.enter_context(rig(x, folder))
        if fault.uses_pad:
            for command in ("pad", "axis leftx 0"):
                found.window.tell(command)
        found.arm()
        try:
            speed_mps = _drive_off(found, uses_pad=fault.uses_pad)
            fault_ns = fault.make(found)
            time.sleep(SETTLED_S)
            measuring.close()
            time.sleep(WATCH_S - SETTLED_S)
        finally:
            x.release("Up")
        log = found.stop_watching()
        if fault.state:
            found.window.wait_for(f"state {fault.state}", timeout_s=1.0)
    return judge(fault.name, log, fault_ns, speed_mps)


def _drive_off(found: Rig, *, uses_pad: bool) -> float:
    """Hold what makes it drive; returns how fast it goes.

    Again, where the window got no turn for so long that what is held has to be let go first.
    """

    def hold(is_held: bool) -> None:
        if uses_pad:
            found.window.tell(f"button leftshoulder {int(is_held)}")
            found.window.tell(f"trigger righttrigger {int(is_held)}")
        elif is_held:
            found.x.press("Up")
        else:
            found.x.release("Up")

    for _ in range(2):
        hold(True)
        with contextlib.suppress(TimeoutError):
            return found.await_speed(SOON_S / 4)
        hold(False)
        found.await_hands()
    hold(True)
    return found.await_speed()


def _signal(number: signal.Signals) -> Callable[[Rig], int]:
    def make(found: Rig) -> int:
        before_ns = time.monotonic_ns()
        os.kill(found.window.process.pid, number)
        return before_ns

    return make


def _tell(command: str, answer: str) -> Callable[[Rig], int]:
    """The window itself says when it happened, on the same clock."""

    def make(found: Rig) -> int:
        found.window.tell(command)
        return int(found.window.wait_for(answer))

    return make


def _let_go_unseen(found: Rig) -> int:
    """While another program has the keyboard, for a moment: the window never sees the release."""
    before_ns = time.monotonic_ns()
    found.x.take_keyboard()
    found.x.release("Up")
    found.x.give_keyboard()
    return before_ns


FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault("key up", LET_GO_MS, lambda found: found.x.release("Up")),
        Fault("key up in a hotkey of another program", LET_GO_MS, _let_go_unseen),
        Fault("focus lost", LET_GO_MS, lambda found: found.x.focus(0)),
        Fault("gamepad unplugged", LET_GO_MS, _tell("unplug", "unplugged"), uses_pad=True, state="DISARMED"),
        Fault("Space", 50, lambda found: found.x.tap("space"), state="E_STOP"),
        Fault("gamepad's B", 50 + 20, _tell("button b 1", "button-b"), uses_pad=True, state="E_STOP"),
        Fault("Qt's loop blocked", 150, _tell("block 3000", "blocked")),
        Fault("exception in a slot", LET_GO_MS, _tell("fail", "failed"), state="DISARMED"),
        Fault("window closed", LET_GO_MS, _tell("close", "closing")),
        Fault("desktop SIGKILL", 250, _signal(signal.SIGKILL)),
        Fault("desktop SIGSTOP", 250, _signal(signal.SIGSTOP)),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="NAME", help=f"of: {', '.join(FAULTS)}; all by default")
    parser.add_argument("--trials", type=int, default=10)
    options = parser.parse_args()
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        parser.error(f"no fault called {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    if missing():
        parser.error(missing())
    failed = False
    print(f"{'fault':38} trials  p50 ms  p99 ms  max ms  budget  at rest s  slowest look")
    with x_server() as x:
        for fault in [FAULTS[name] for name in options.faults or FAULTS]:
            trials = [run(fault, x, FOLDER) for _ in range(options.trials)]
            times = sorted(trial.neutral_ms for trial in trials)
            rest_s = max(trial.rest_s for trial in trials)
            p99 = times[min(len(times) - 1, round(0.99 * len(times)))]
            verdict = "ok" if times[-1] <= fault.budget_ms and rest_s <= AT_REST_WITHIN_S else "OVER BUDGET"
            failed |= verdict != "ok"
            print(
                f"{fault.name:38} {len(trials):6} {statistics.median(times):7.1f} {p99:7.1f}"
                f" {times[-1]:7.1f} {fault.budget_ms:7.0f} {rest_s:10.2f}"
                f" {min(t.looks_hz for t in trials):6.0f} Hz  {verdict}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
