"""Faults of our processes: the worker and its plugins, the guardian, and whoever drives."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

from tests.system.service_faults.fault import (
    Fault,
    driver,
    goes_on,
    guardian,
    is_replaced,
    signals,
    somebody_new,
    worker,
)
from tests.system.service_faults.rig import TRIGGER, Broken, Rig
from tests.system.service_faults.robot import is_alive, send, wait_for


def sabotages(word: str) -> Callable[[Rig], int]:
    def make(rig: Rig) -> int:
        rig.remembered["pid"] = rig.robot.worker
        rig.remembered["guardian"] = rig.robot.guardian
        return rig.sabotage(word)

    return make


def has_same_guardian(rig: Rig) -> None:
    if rig.robot.guardian != rig.remembered["guardian"]:
        raise Broken("the guardian died as well")


def pauses_between_deaths(rig: Rig) -> None:
    """The guardian outlives them all, and says what it does."""
    wait_for(lambda: "started again in" in rig.robot.show("StatusText"), "the service does not tell", 5.0)
    has_same_guardian(rig)


def stop_sabotage(rig: Rig) -> None:
    rig.box.path(TRIGGER).unlink(missing_ok=True)


def is_replaced_alone(rig: Rig) -> None:
    is_replaced(rig)
    has_same_guardian(rig)


def fork_then_kill(rig: Rig) -> int:
    """The plugin's child has left the process group, holds all sockets and ignores SIGTERM."""
    before = rig.robot.processes()
    pid = rig.remembered["pid"] = rig.robot.worker
    rig.sabotage("fork")
    wait_for(lambda: len(rig.robot.processes() - before) == 1, "the plugin does not fork", 5.0)
    (rig.remembered["child"],) = rig.robot.processes() - before
    return send(pid, signal.SIGKILL)


def leaves_nothing_behind(rig: Rig) -> None:
    is_replaced(rig)
    if rig.remembered["child"] in rig.robot.processes():
        raise Broken("the plugin's child lives on")


def deafen_and_kill(rig: Rig) -> int:
    rig.sabotage("ignore_sigterm")
    return signals(guardian, signal.SIGKILL)(rig)


def comes_back_whole(rig: Rig) -> None:
    """By itself, and without anything of before."""
    wait_for(lambda: rig.robot.show("ActiveState") == "active", "the service does not come back", 20.0)
    if any(is_alive(rig.remembered[who]) for who in ("pid", "worker")):
        raise Broken("guardian or worker of before live on")


def freezes(rig: Rig) -> int:
    return rig.ask("freeze").ns


def presses(rig: Rig) -> int:
    return rig.ask("e_stop").ns


WORKER_FAULTS: Final = (
    Fault(name="worker SIGKILL", promise_ms=50, make=signals(worker, signal.SIGKILL), after=is_replaced),
    Fault(
        name="worker SIGSTOP",
        promise_ms=250,
        make=signals(worker, signal.SIGSTOP),
        undo=goes_on,
    ),
    Fault(
        name="worker stopped for good",
        promise_ms=250,
        make=signals(worker, signal.SIGSTOP),
        after=is_replaced,
    ),
    Fault(
        name="worker aborts again and again",
        promise_ms=250,  # it hangs while it writes down where each of its threads is (faulthandler)
        make=sabotages("again abort"),
        after=pauses_between_deaths,
        undo=stop_sabotage,
    ),
    Fault(
        name="plugin holds the GIL for good",
        promise_ms=250,
        make=sabotages("hog_gil"),
        after=is_replaced_alone,
    ),
    Fault(
        name="plugin has forked and hangs, worker SIGKILL",
        promise_ms=50,
        make=fork_then_kill,
        after=leaves_nothing_behind,
    ),
)
GUARDIAN_FAULTS: Final = (
    Fault(
        name="guardian SIGKILL",
        promise_ms=1000,
        make=signals(guardian, signal.SIGKILL),
        after=comes_back_whole,
    ),
    Fault(
        name="guardian SIGKILL, worker ignores SIGTERM",
        promise_ms=1000,
        make=deafen_and_kill,
        after=comes_back_whole,
    ),
    Fault(
        name="guardian SIGSTOP",
        promise_ms=1500,
        make=signals(guardian, signal.SIGSTOP),
        after=comes_back_whole,
    ),
)
DRIVER_FAULTS: Final = (
    Fault(
        name="driver SIGKILL",
        promise_ms=250,
        make=signals(driver, signal.SIGKILL),
        undo=somebody_new,
    ),
    Fault(
        name="driver SIGSTOP",
        promise_ms=250,
        make=signals(driver, signal.SIGSTOP),
        undo=goes_on,
    ),
    Fault(name="driver's loop frozen", promise_ms=250, make=freezes, undo=somebody_new),
    Fault(name="e-stop", promise_ms=50, make=presses),
)
