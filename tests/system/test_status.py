"""`pynet-agent status` of an agent that really runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pi_agent.report import ask_report
from pynet_car.messages import State
from pynet_car.operator import Operator
from pynet_car.world.launch import SimulatedCar

pytestmark = [pytest.mark.system, pytest.mark.shared]


def status(car: SimulatedCar) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pi_agent", "status", "--runtime-dir", str(car.runtime_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_status_shows_the_driver_the_rates_and_a_worker_that_is_gone() -> None:
    with SimulatedCar() as car:
        with Operator(port=car.port, name="laptop") as driver:
            driver.arm()
            until_s = time.monotonic() + 3.0
            while time.monotonic() < until_s:
                driver.drive(0.0, 0.5)
                time.sleep(0.02)
            report = ask_report(car.runtime_dir)
            assert report.status is not None
            assert report.status.state is State.ARMED
            assert report.status.holder_name == "laptop"
            assert report.peers == {"laptop (admin)": 6}
            rates = {stream.name: stream.per_s for stream in report.streams}
            assert rates["camera"] > 15
            assert rates["encoder"] > 25
            assert 0 < report.uptime_s < 60
            assert (report.guardian_pid, report.worker_pid) == (car.guardian_pid, car.worker_pid)
        shown = status(car)
        assert shown.returncode == 0, shown.stderr
        assert "SIMULATED CAR" in shown.stdout
        assert "nobody has the lease" in shown.stdout

        os.kill(car.worker_pid, signal.SIGSTOP)
        shown = status(car)
        assert shown.returncode == 1
        assert f"guardian {car.guardian_pid}), but its worker does not answer" in shown.stderr
