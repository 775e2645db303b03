"""What a fault is, and what faults are made of."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass

from pynet_car.messages import Priority
from tests.system.service_faults.rig import Broken, Rig
from tests.system.service_faults.robot import is_alive, send, wait_for


def nothing(rig: Rig) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table.

    `make` gives the monotonic ns just before it happened; `after` raises Broken
    or TimeoutError where something does not hold; `undo` lets the car be driven
    again, which the next trial does.
    """

    name: str
    promise_ms: float  # from the fault to neutral at the pins, for good
    make: Callable[[Rig], int]
    after: Callable[[Rig], None] = nothing
    undo: Callable[[Rig], None] = nothing
    priority: Priority = Priority.HUMAN
    word: str = "drive"  # what the driver is told; or "follow", to send paths


def signals(who: Callable[[Rig], int], number: signal.Signals) -> Callable[[Rig], int]:
    """To a process of the host's; `remembered` keeps which."""

    def make(rig: Rig) -> int:
        pid = rig.remembered["pid"] = who(rig)
        return send(pid, number)

    return make


def goes_on(rig: Rig) -> None:
    """What was stopped runs again, if nobody has killed it meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        send(rig.remembered["pid"], signal.SIGCONT)


def worker(rig: Rig) -> int:
    return rig.robot.worker


def guardian(rig: Rig) -> int:
    rig.remembered["worker"] = rig.robot.worker
    return rig.robot.guardian


def driver(rig: Rig) -> int:
    assert rig.remote is not None
    return rig.remote.pid


def somebody_new(rig: Rig) -> None:
    rig.start_remote()


def is_replaced(rig: Rig) -> None:
    """The worker of before is gone, and another listens; a hung one is seen after 5 s."""
    old = rig.remembered["pid"]

    def is_new() -> bool:
        with contextlib.suppress(ProcessLookupError, OSError):
            return rig.robot.worker != old and "Gateway on port" in rig.robot.show("StatusText")
        return False

    wait_for(is_new, "no new worker", 20.0)
    if is_alive(old):
        raise Broken("the old worker lives on")
