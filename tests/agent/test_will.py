"""An agent that no systemd looks after: what it leaves behind stops its motors once it is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pi_agent.neutral import save_plan
from pi_agent.report import REPORT_SOCKET
from pynet_car.world.board import Board

pytestmark = pytest.mark.system
PIN = 12
# As much of a guardian as turns a motor and does not stop it.
RECKLESS = """
import contextlib, pathlib, sys, time
from pi_agent.procs import adopt_orphans, leave_will
from pynet_car.world.board import Board
folder = pathlib.Path(sys.argv[1])
with contextlib.ExitStack() as ending, Board.open(folder / "board") as board:
    leave_will(folder, ending)
    adopt_orphans()
    board.set_output(12, 0.9, 100.0)
    print("turning", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_motors_of_an_agent_that_was_killed_are_stopped_without_systemd(
    tmp_path: Path, number: signal.Signals
) -> None:
    with Board.open(tmp_path / "board") as board:
        save_plan(tmp_path, [("board", str(board.path), Board.duty_offset(PIN), 0.0)])
        command = [sys.executable, "-c", RECKLESS, str(tmp_path)]
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert agent.stdout is not None
        assert agent.stdout.readline() == "turning\n"
        time.sleep(0.05)
        assert board.output(PIN)[0] == 0.9, "only after its death"
        killed_s = time.monotonic()
        agent.send_signal(number)
        while board.output(PIN)[0]:
            assert time.monotonic() - killed_s < 1.0
            time.sleep(0.001)
        _, errors = agent.communicate(timeout=10)  # returns when that process has gone too
        assert errors == ""


def test_the_daemon_leaves_that_process_behind_only_where_no_systemd_does_it(tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in os.environ.keys() - {"NOTIFY_SOCKET"}}
    with Board.open(tmp_path / "board") as board:
        command = [sys.executable, "-m", "pi_agent", "run", "--port", "0"]
        command += ["--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path / "state")]
        agent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        deadline_s = time.monotonic() + 20
        while not (tmp_path / REPORT_SOCKET).exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        board.set_output(PIN, 0.9, 100.0)
        agent.kill()
        killed_s = time.monotonic()
        while board.output(PIN)[0]:
            assert time.monotonic() - killed_s < 1.0
            time.sleep(0.001)
        agent.communicate(timeout=10)
