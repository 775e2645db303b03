"""The installed service, seen from outside its container: files, processes, settings."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pynet_car.world import BOARD_FILE
from tests.system.container import Container

UNIT: Final = "pynet-agent.service"
PATIENCE_S: Final = 25.0


class Robot:
    """Process ids here are the host's."""

    def __init__(self, box: Container) -> None:
        self.box = box
        self.runtime_dir = box.path("/run/pynet-agent")
        self.state_dir = box.path("/var/lib/pynet-agent")
        self.board_path = self.runtime_dir / BOARD_FILE

    def show(self, name: str) -> str:
        """A property of the unit, as `systemctl show` has it."""
        return self.box.show(UNIT, name)[name]

    @property
    def guardian(self) -> int:
        """Raises ProcessLookupError: there is none at the moment."""
        return self.box.pid(int(self.show("MainPID")))

    @property
    def worker(self) -> int:
        """Raises ProcessLookupError: there is none at the moment."""
        guardian = self.guardian
        for child in Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split():
            if b"pi_agent.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise ProcessLookupError("the guardian has no worker at the moment")

    def processes(self) -> set[int]:
        """All of the unit's, by their numbers in there."""
        group = self.show("ControlGroup")
        return set(map(int, self.box.run(f"cat /sys/fs/cgroup{group}/cgroup.procs").stdout.split()))


def is_alive(pid: int) -> bool:
    """Whether this process of the host runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def send(pid: int, number: signal.Signals) -> int:
    """The monotonic ns just before."""
    before_ns = time.monotonic_ns()
    os.kill(pid, number)
    return before_ns


def wait_for(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Raises TimeoutError."""
    deadline_s = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what}: not within {patience_s:g} s")
        time.sleep(0.02)
