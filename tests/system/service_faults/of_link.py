"""Faults of the link between the robot and whoever drives it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from pynet_car.messages import PATH_REACH_M, Priority
from tests.system.link import To
from tests.system.relay import Way
from tests.system.service_faults.fault import Fault, driver, signals, somebody_new
from tests.system.service_faults.rig import AIR, Broken, Rig
from tests.system.service_faults.robot import wait_for

DEAD: Final = Way(is_dead=True)
STALLED: Final = Way(is_stalled=True)
POOR: Final = Way(delay_s=0.02, jitter_s=0.005, loss=0.2)
POOR_S: Final = 0.1
SENDER_DIES_S: Final = 0.3
BURST_S: Final = 0.6  # after the stall began


def turns(way: Way, to: To | None = None) -> Callable[[Rig], int]:
    def make(rig: Rig) -> int:
        before_ns = time.monotonic_ns()
        rig.link.shape(way, to)
        return before_ns

    return make


def is_well(rig: Rig) -> None:
    rig.link.shape(AIR)


def is_well_for_somebody_new(rig: Rig) -> None:
    is_well(rig)
    somebody_new(rig)


def resets(rig: Rig) -> int:
    before_ns = time.monotonic_ns()
    rig.link.reset_connections()
    return before_ns


def vanishes(rig: Rig) -> int:
    """The laptop's battery is empty: nobody tells the robot, its connections stay open."""
    before_ns = time.monotonic_ns()
    rig.link.shape(DEAD)
    rig.end_remote()
    return before_ns


def dies_on_a_poor_link(rig: Rig) -> int:
    rig.link.shape(POOR)
    time.sleep(POOR_S)  # before the failsafe takes the car's speed
    return signals(driver, signal.SIGKILL)(rig)


def stalls_then_bursts(rig: Rig) -> int:
    """Fresh commands are held; whoever sent them is dead when they come, all at once."""
    before_ns = time.monotonic_ns()
    rig.link.shape(STALLED, "robot")
    time.sleep(SENDER_DIES_S)
    rig.end_remote()
    time.sleep(BURST_S - SENDER_DIES_S)
    rig.link.shape(AIR)
    return before_ns


def goes_dead_on_a_path(rig: Rig) -> int:
    rig.remembered["mm"] = round(1000 * rig.pose.distance_m)
    rig.remembered["off track"] = rig.pose.off_track
    return turns(DEAD)(rig)


def stands_within_its_path(rig: Rig) -> None:
    wait_for(lambda: rig.velocity_mps == 0.0, "the car rolls on", 5.0)
    rolled_m = rig.pose.distance_m - rig.remembered["mm"] / 1000
    if rolled_m > PATH_REACH_M:
        raise Broken(f"it went {rolled_m:.2f} m, its path was {PATH_REACH_M:g} m long")
    if rig.pose.off_track > rig.remembered["off track"]:
        raise Broken("it left the lane that its path was in")


LINK_FAULTS: Final = (
    Fault(name="link dead", promise_ms=250, make=turns(DEAD), undo=is_well),
    Fault(name="link: commands lost", promise_ms=250, make=turns(DEAD, "robot"), undo=is_well),
    Fault(name="link: status lost", promise_ms=250, make=turns(DEAD, "driver"), undo=is_well),
    Fault(
        name="link dead while a path drives",
        promise_ms=1550,
        make=goes_dead_on_a_path,
        after=stands_within_its_path,
        undo=is_well,
        priority=Priority.NETWORK,
        word="follow",
    ),
    Fault(
        name="link stalls, then a burst of old commands",
        promise_ms=250,
        make=stalls_then_bursts,
        undo=somebody_new,
    ),
    Fault(name="link: every connection reset", promise_ms=250, make=resets),
    Fault(
        name="link: half open, the driver vanished",
        promise_ms=250,
        make=vanishes,
        undo=is_well_for_somebody_new,
    ),
    Fault(
        name="driver SIGKILL at 20 % loss, 20 ms",
        promise_ms=250,
        make=dies_on_a_poor_link,
        undo=is_well_for_somebody_new,
    ),
)
