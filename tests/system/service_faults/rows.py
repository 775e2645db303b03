"""All rows of the table, in an order that lets the worker's pauses grow short again between its deaths."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Final

from tests.system.service_faults.fault import Fault
from tests.system.service_faults.of_link import LINK_FAULTS
from tests.system.service_faults.of_processes import DRIVER_FAULTS, GUARDIAN_FAULTS, WORKER_FAULTS
from tests.system.service_faults.of_system import SYSTEM_FAULTS

GROUPS: Final = (WORKER_FAULTS, LINK_FAULTS, GUARDIAN_FAULTS, DRIVER_FAULTS, SYSTEM_FAULTS)
FAULTS: Final[dict[str, Fault]] = {fault.name: fault for fault in chain(*GROUPS)}
IN_TURN: Final = tuple(fault for fault in chain(*zip_longest(*GROUPS)) if fault is not None)

# What the robot promises to whoever stands near it, and the faults that try it.
PROMISES: Final = {
    "e-stop": ("e-stop",),
    "the driver's window is frozen": ("driver's loop frozen",),
    "the driver is dead": ("driver SIGKILL", "driver SIGSTOP"),
    "the link is gone, or one way": ("link dead", "link: commands lost", "link: status lost"),
    "the link stalls, or breaks": (
        "link stalls, then a burst of old commands",
        "link: every connection reset",
        "link: half open, the driver vanished",
    ),
    "the worker is killed": ("worker SIGKILL", "plugin has forked and hangs, worker SIGKILL"),
    "the worker hangs": ("worker SIGSTOP",),
    "the guardian is killed": ("guardian SIGKILL", "guardian SIGKILL, worker ignores SIGTERM"),
    "the guardian hangs": ("guardian SIGSTOP",),
}
