"""The real guardian over the simulated board, with a worker that only drives: for tests with processes.

`python -m tests.agent.dummy_agent agent RUNTIME_DIR [stubborn]` is the guardian,
which starts `... worker [stubborn] --link-fd N`: it arms, then drives at full
throttle for ever.  A stubborn one ignores SIGTERM and has a child.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from pi_agent.config import AgentConfig, ProximityConfig
from pi_agent.diary import Diary
from pi_agent.drivetrain import WiredDrivetrain
from pi_agent.guardian import Guardian
from pi_agent.link import CameraSeen, GuardianLink, Labelled, Request, ToWorker, WorkerAlive, WorkerReady
from pi_agent.neutral import save_plan
from pi_agent.outputs.opening import Outputs
from pi_agent.pins import simulated_pins
from pi_agent.procs import die_with_parent
from pi_agent.supervisor import Supervisor, run
from pi_agent.systemd import Notifier
from pynet_car.messages import Arm, DriveCommand, Lease, Priority, State, Status
from pynet_car.world.board import Board

CONFIG = AgentConfig(proximity=ProximityConfig(heads=()))


def agent(runtime_dir: Path, *modes: str) -> None:
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    with contextlib.ExitStack() as ending:
        board = ending.enter_context(Board.open(runtime_dir / "board"))
        outputs = Outputs(simulated_pins(board), CONFIG.drive.pca9685)
        drivetrain = WiredDrivetrain(CONFIG.drive, outputs.open, "simulated board")
        save_plan(runtime_dir, drivetrain.neutral_writes())
        ending.callback(drivetrain.close)
        drivetrain.claim()
        diary = Diary(runtime_dir)
        ending.callback(diary.close)
        guardian = Guardian(CONFIG, drivetrain, diary)
        command = [sys.executable, "-m", "tests.agent.dummy_agent", "worker", *modes]
        supervisor = Supervisor(guardian, diary, command)
        ending.callback(supervisor.end)
        ending.callback(drivetrain.neutral)
        run(guardian, supervisor, diary, Notifier(), title="", is_stopping=lambda: bool(stopping))


def worker(*arguments: str) -> None:
    die_with_parent()
    if "stubborn" in arguments:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    link = GuardianLink(socket.socket(fileno=int(arguments[-1])), ToWorker)
    link.send(WorkerReady(port=1))
    seq = 0
    while True:
        select.select([link], [], [])
        while (message := link.receive()) is not None:
            if not isinstance(message, Status):
                continue
            link.send(WorkerAlive())
            link.send(CameraSeen(captured_ns=time.monotonic_ns()))
            if not message.session:
                link.send(request(Lease(priority=Priority.HUMAN)))
            elif message.state is State.DISARMED:
                link.send(request(Arm(answers_ns=message.stamp_ns)))
            seq += 1
            command = DriveCommand(
                session=message.session,
                seq=seq,
                throttle=1.0 if message.state is State.ARMED else 0.0,
                steering=0.5,
                answers_ns=message.stamp_ns,
            )
            link.send(Labelled(peer="dummy", command=command))


def request(event: Lease | Arm) -> Request:
    return Request(id=1, peer="dummy", peer_name="Dummy", event=event)


if __name__ == "__main__":
    if sys.argv[1] == "agent":
        agent(Path(sys.argv[2]), *sys.argv[3:])
    else:
        worker(*sys.argv[2:])
