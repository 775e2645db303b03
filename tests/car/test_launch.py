"""`./run sim`: what it says is so, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pynet_car.world import demo
from pynet_car.world.launch import SimulatedCar, hold_port, main
from pynet_car.world.program import main as world
from pynet_core.errors import LinkError

SAYS_WHERE = "--runtime-dir "
PATIENCE_S = 30.0


def test_a_car_is_not_taken_for_somebody_else_who_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"^port {port} of this machine: Address already in use"):
            SimulatedCar(port=port)


def test_a_port_that_is_held_is_the_agent_s_alone() -> None:
    """Cars started but did not listen: another program's connection, or their own starter's, had the port."""
    with hold_port(0) as held, socket.socket() as other, socket.socket() as agent:
        where = held.getsockname()
        with pytest.raises(OSError, match="Address already in use"):
            other.bind(where)
        agent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        agent.bind(where)
        agent.listen()
        socket.create_connection(where, 1).close()


@pytest.mark.parametrize("port", ["99999", "-1", "one"])
def test_a_port_that_is_none_is_wrong_use(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--port", port])
    assert "argument --port: " in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "4294967296", "seven"])
@pytest.mark.parametrize(
    "program", [main, demo.main, lambda words: world(["--runtime-dir", "/nowhere", *words])]
)
def test_a_seed_that_is_none_is_wrong_use(
    program: Callable[[list[str]], int], seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        program(["--seed", seed])
    assert "argument --seed: " in capsys.readouterr().err


@pytest.mark.parametrize("place", ["nan", "1e400", "here"])
def test_a_box_that_is_nowhere_is_wrong_use(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        world(["--runtime-dir", "/nowhere", "--box", place])
    assert "argument --box: " in capsys.readouterr().err


@pytest.mark.system
@pytest.mark.shared
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_car_that_is_told_to_end_leaves_nothing(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "pynet_car.world.launch", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as car:
        assert car.stdout is not None
        said = next(line for line in car.stdout if SAYS_WHERE in line)
        folder = Path(said.partition(SAYS_WHERE)[2].strip())
        assert folder.is_dir()
        car.send_signal(number)
        car.wait(20)
    assert not folder.exists()


@pytest.mark.system
@pytest.mark.shared
def test_ctrl_c_in_the_demo_disarms_the_car_before_that_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pynet_car.world.demo", "--headless", "--seconds", "120"]
    log, environment = tmp_path / "out" / "demo.log", {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, process_group=0
    ) as demo:
        until_s = time.monotonic() + PATIENCE_S
        while not (log.exists() and "Armed: demo drives." in log.read_text()):
            assert demo.poll() is None
            assert time.monotonic() < until_s
            time.sleep(0.05)
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to all that were started in it
        _, said = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
    assert said.splitlines() == ["Driving a SIMULATED car for 120 s ..."]
    assert "Disarmed: disarmed by demo." in log.read_text()
