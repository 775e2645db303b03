"""Faults of the machine under the service: clock, disk, memory, camera, settings, port; and a restart."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pynet_car.messages import DEFAULT_PORT, Priority
from tests.system.service_faults.fault import Fault, is_replaced, signals, worker
from tests.system.service_faults.of_processes import has_same_guardian, sabotages
from tests.system.service_faults.rig import CLOCK_OFFSET, TRIGGER, WORLD_UNIT, Broken, Rig
from tests.system.service_faults.robot import UNIT, is_alive, send, wait_for

HOUR_S: Final = 3600
STILL_DRIVING_MPS: Final = 0.3
MEMORY_BYTES: Final = 256 * 1024 * 1024  # on top of what it has
MEMORY_GROUPS: Final = Path("/sys/fs/cgroup/memory")
FILLER: Final = "/root/filler"
LATCH: Final = "e_stop"


# The clock: whoever drives notices nothing, and an e-stop is as quick as ever.


def set_clock(rig: Rig, seconds: int) -> None:
    with rig.box.path(CLOCK_OFFSET).open("r+b") as file:
        file.write(struct.pack("q", seconds))


def steps_clock(seconds: int) -> Callable[[Rig], int]:
    def make(rig: Rig) -> int:
        set_clock(rig, seconds)
        return goes_on_then_e_stop(rig)

    return make


def goes_on_then_e_stop(rig: Rig) -> int:
    time.sleep(0.6)
    if rig.velocity_mps < STILL_DRIVING_MPS:
        raise Broken(f"the car stopped by itself: {rig.ask('look').reason}")
    return rig.ask("e_stop").ns


def steps_back(rig: Rig) -> None:
    """For somebody who connects at the false time: certificates have no date that matters."""
    rig.start_remote()
    rig.ask("look")
    set_clock(rig, 0)


# The disk.


def fills_disk(rig: Rig) -> int:
    room = os.statvfs(rig.box.path("/root"))
    rig.box.run(f"fallocate -l {room.f_bavail * room.f_frsize} {FILLER}; echo x >>{FILLER}", check=False)
    with contextlib.suppress(OSError):
        (rig.robot.state_dir / "probe").write_text("full?")
        (rig.robot.state_dir / "probe").unlink()
        raise Broken("the disk is not full")
    return goes_on_then_e_stop(rig)


def keeps_e_stop_in_memory(rig: Rig) -> None:
    if rig.ask("look").state != "E_STOP":
        raise Broken("the e-stop did not hold")


def frees_disk(rig: Rig) -> None:
    """The e-stop is written down as soon as there is room."""
    rig.box.path(FILLER).unlink()
    wait_for(lambda: (rig.robot.state_dir / LATCH).exists(), "the e-stop is never written down", 5.0)


# Memory: the kernel chooses whom to kill.


def runs_out_of_memory(rig: Rig) -> int:
    """The worker alone gets a group: else chance may choose, where nobody may shield the guardian."""
    group = MEMORY_GROUPS / rig.box.name
    group.mkdir()
    old = rig.robot.worker
    (group / "cgroup.procs").write_text(str(old))
    (group / "memory.limit_in_bytes").write_text(str(MEMORY_BYTES))
    sabotages("hog_memory")(rig)
    wait_for(lambda: not is_alive(old), "the worker outlives a lack of memory", 10.0)
    return int(rig.box.path(TRIGGER + ".ns").read_text())


def is_killed_alone(rig: Rig) -> None:
    """By the kernel, which is told whom to take first."""
    is_replaced(rig)
    has_same_guardian(rig)
    guardian, worker = (
        int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (rig.robot.guardian, rig.robot.worker)
    )
    if not guardian <= 0 < worker:
        raise Broken(f"oom_score_adj of the guardian {guardian}, of the worker {worker}")


def frees_memory(rig: Rig) -> None:
    group = MEMORY_GROUPS / rig.box.name
    wait_for(lambda: not (group / "cgroup.procs").read_text(), "the memory group does not empty", 2.0)
    group.rmdir()


# The camera.


def world(rig: Rig) -> int:
    return rig.box.pid(int(rig.box.show(WORLD_UNIT, "MainPID")["MainPID"]))


def sees_again(rig: Rig) -> None:
    send(world(rig), signal.SIGUSR1)


# Settings, port, restart.


def restarts(rig: Rig) -> int:
    before_ns = time.monotonic_ns()
    rig.box.run(f"systemctl restart --no-block {UNIT}")
    return before_ns


def spoils_settings(rig: Rig) -> int:
    rig.write_settings("[drive]\nlifespan_ms = 5000\n")
    return restarts(rig)


def says_what_is_wrong(rig: Rig) -> None:
    """Once: wrong settings are the same in half a second."""
    wait_for(lambda: rig.robot.show("ActiveState") == "failed", "the service does not give up", 5.0)
    if rig.robot.show("ExecMainStatus") != "78":
        raise Broken(f"exit code {rig.robot.show('ExecMainStatus')}, promised is 78")
    starts = rig.robot.show("NRestarts")
    time.sleep(1.0)
    if rig.robot.show("NRestarts") != starts:
        raise Broken("it is restarted though its settings are wrong")
    log = rig.box.run(f"journalctl -u {UNIT} -n 20 -o cat").stdout
    if "lifespan_ms" not in log or "100 to 1000" not in log:
        raise Broken("the log does not say which setting is wrong and what is allowed")


def mends_settings(rig: Rig) -> None:
    rig.write_settings()
    rig.restart()


SQUATTER: Final = f"""
import socket, time
while True:
    try:
        taken = socket.create_server(("0.0.0.0", {DEFAULT_PORT}))
    except OSError:
        time.sleep(0.002)  # not as a second fault: a processor that is never free
    else:
        time.sleep(3600)
"""


def loses_port(rig: Rig) -> int:
    """Somebody waits for the moment in which the port is free."""
    rig.remembered["guardian"] = rig.robot.guardian
    rig.box.path("/root/squatter.py").write_text(SQUATTER)
    rig.box.run("systemd-run -q --unit=squatter python3 /root/squatter.py")
    time.sleep(0.3)
    return signals(worker, signal.SIGKILL)(rig)


def waits_for_port(rig: Rig) -> None:
    wait_for(lambda: "exit code 1" in rig.robot.show("StatusText"), "the service does not tell", 8.0)
    log = rig.box.run(f"journalctl -u {UNIT} -n 40 -o cat").stdout
    if str(DEFAULT_PORT) not in log or "in use" not in log:
        raise Broken("the log does not say that the port is taken")
    has_same_guardian(rig)


def gives_port_back(rig: Rig) -> None:
    rig.box.run("systemctl stop squatter")


SYSTEM_FAULTS: Final = (
    Fault(name="systemctl restart", promise_ms=250, make=restarts),
    Fault(
        name="wrong settings, restart",
        promise_ms=250,
        make=spoils_settings,
        after=says_what_is_wrong,
        undo=mends_settings,
    ),
    Fault(
        name="worker SIGKILL, its port taken",
        promise_ms=50,
        make=loses_port,
        after=waits_for_port,
        undo=gives_port_back,
    ),
    Fault(
        name="camera hangs, a network drives",
        promise_ms=1100,
        make=signals(world, signal.SIGUSR1),
        undo=sees_again,
        priority=Priority.NETWORK,
    ),
    Fault(name="clock 1 h forward, e-stop", promise_ms=50, make=steps_clock(HOUR_S), undo=steps_back),
    Fault(name="clock 1 h back, e-stop", promise_ms=50, make=steps_clock(-HOUR_S), undo=steps_back),
    Fault(
        name="disk full, e-stop",
        promise_ms=50,
        make=fills_disk,
        after=keeps_e_stop_in_memory,
        undo=frees_disk,
    ),
    Fault(
        name="plugin eats the memory",
        promise_ms=250,
        make=runs_out_of_memory,
        after=is_killed_alone,
        undo=frees_memory,
    ),
)
