"""`./run sim`: what it says is so, and nothing is left of it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pynet_car.world.launch import SimulatedCar, main
from pynet_core.errors import LinkError

SAYS_WHERE = "--runtime-dir "


def test_a_car_is_not_taken_for_somebody_else_who_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"^port {port} of this machine: Address already in use"):
            SimulatedCar(port=port)


@pytest.mark.parametrize("port", ["99999", "-1", "one"])
def test_a_port_that_is_none_is_wrong_use(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--port", port])
    assert "argument --port: " in capsys.readouterr().err


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
