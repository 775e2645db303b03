"""The service with one of its guards taken out: each check must see that, or it proves nothing."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.system.service_faults.fault import Fault, guardian, signals
from tests.system.service_faults.of_processes import comes_back_whole
from tests.system.service_faults.rig import Rig
from tests.system.service_faults.robot import UNIT, send
from tests.system.service_faults.rows import FAULTS
from tests.system.service_faults.trials import is_red, say, trial

LIBRARY: Final = "/usr/lib/pynet-agent/pi_agent"
DROP_IN: Final = f"/etc/systemd/system/{UNIT}.d/mutation.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """What is taken out, and the fault that shows it.

    `drop_in` takes away what would help out in its place; with that alone the
    check must still pass.
    """

    name: str
    fault: Fault
    settings: str = ""
    file: str = ""  # in the installed pi_agent
    old: str = ""
    new: str = ""
    drop_in: str = ""


def stop_worker_and_kill_guardian(rig: Rig) -> int:
    make = signals(guardian, signal.SIGKILL)
    send(rig.robot.worker, signal.SIGSTOP)
    return make(rig)


MUTATIONS: Final = (
    Mutation(
        name="a lifespan of 1 s",
        fault=FAULTS["link dead"],
        settings="[drive]\nlifespan_ms = 1000\n",
    ),
    Mutation(
        name="neutral.py does nothing",
        fault=FAULTS["guardian SIGKILL"],
        file="neutral.py",
        old='if __name__ == "__main__":',
        new='if __name__ == "__main__" and sys.exit(0):',
        drop_in="RestartSec=3s",  # the next guardian takes the pins, neutral
    ),
    Mutation(
        name="the guardian does not look at the worker's pidfd",
        fault=FAULTS["plugin has forked and hangs, worker SIGKILL"],
        file="supervisor.py",
        old="watched = [self._worker] if self._worker else []",
        new="watched: list[WorkerProcess] = []",
    ),
    Mutation(
        name="the worker does not ask to die with the guardian",
        fault=Fault(
            name="guardian SIGKILL, worker stopped",
            promise_ms=1000,
            make=stop_worker_and_kill_guardian,
            after=comes_back_whole,
        ),
        file="procs.py",
        old="    parent = os.getppid()\n",
        new="    parent = os.getppid()\n    return\n",
        drop_in="KillMode=process",  # systemd kills what is left
    ),
)


@contextlib.contextmanager
def applied(rig: Rig, mutation: Mutation, *, drop_in_only: bool = False) -> Iterator[None]:
    """The service runs mutated, until the block ends."""
    path = rig.box.path(f"{LIBRARY}/{mutation.file}")
    whole = path.read_text() if mutation.file else ""
    drop_in = rig.box.path(DROP_IN)
    try:
        if mutation.drop_in:
            drop_in.write_text(f"[Service]\n{mutation.drop_in}\n")
        if not drop_in_only:
            rig.write_settings(mutation.settings)
            if mutation.file:
                assert whole.count(mutation.old) == 1, f"{mutation.file} has changed: mend this mutation"
                path.write_text(whole.replace(mutation.old, mutation.new))
        rig.restart()
        yield
    finally:
        rig.write_settings()
        drop_in.unlink(missing_ok=True)
        if mutation.file:
            path.write_text(whole)
        # What a mutation left running is not the next trial's.
        rig.box.run(f"systemctl kill -s KILL {UNIT}")
        rig.restart()


def show_red(rig: Rig, suite: str) -> bool:
    """Apply each, and say what the check said; True if each was seen."""
    held = True
    for mutation in MUTATIONS:
        if mutation.drop_in:
            with applied(rig, mutation, drop_in_only=True):
                record = trial(rig, mutation.fault, suite)
            held &= not is_red(record, mutation.fault)
            print(f"only {mutation.drop_in}: {say(record, mutation.fault)}", flush=True)
        with applied(rig, mutation):
            record = trial(rig, mutation.fault, suite)
        held &= is_red(record, mutation.fault)
        print(f"{mutation.name}: {say(record, mutation.fault)}", flush=True)
    return held
