"""The whole daemon, guardian and worker, on what it takes for a Pi: as `systemctl start` has it there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pynet_car.operator import Operator
from pynet_core.errors import LinkError

pytestmark = [pytest.mark.system, pytest.mark.shared]
HERE = Path(__file__).parent
L293D = HERE.parents[1] / "examples/l293d/agent.toml"
FORWARD = ("9", "17")
BACKWARD = ("10", "27")


def wait_for(is_so: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


class PiDaemon:
    def __init__(self, folder: Path, port: int, lacks: str) -> None:
        self.folder = folder
        self.port = port
        (folder / "agent.toml").write_text('board = "pi"\n' + L293D.read_text())
        paths = [str(HERE / "pi"), str(HERE.parents[1])]
        command = ["-m", "pi_agent", "run", "--config", f"{folder}/agent.toml", "--port", str(port)]
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, *command, "--runtime-dir", str(folder), "--state-dir", str(folder)],
            stderr=self.log.open("w"),
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(paths),
                "PYNET_FAKE_PI": str(folder),
                "PYNET_FAKE_PI_LACKS": lacks,
            },
        )

    def duties(self, *lines: str) -> list[float]:
        try:
            pwm = json.loads((self.folder / "pwm.json").read_text())
        except FileNotFoundError:
            return []
        return [round(pwm[line][1], 1) if line in pwm else -1.0 for line in lines]

    def connect(self) -> Operator:
        deadline = time.monotonic() + 20
        while True:
            try:
                return Operator("127.0.0.1", self.port)
            except LinkError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.1)

    def drive(self, car: Operator, throttle: float, steering: float, *, until: list[float]) -> None:
        """Hold the stick there until the motors get these duties, in percent."""

        def has_come() -> bool:
            car.drive(throttle, steering)
            return self.duties(*FORWARD, *BACKWARD) == until

        wait_for(has_come)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        finally:
            self.process.kill()


@pytest.fixture
def start(tmp_path: Path, free_port: int) -> Iterator[Callable[..., PiDaemon]]:
    started: list[PiDaemon] = []

    def make(lacks: str = "") -> PiDaemon:
        started.append(PiDaemon(tmp_path, free_port, lacks))
        return started[-1]

    yield make
    for daemon in started:
        daemon.close()


def test_the_example_of_an_l293d_board_drives_its_two_motors_and_shows_its_camera(
    start: Callable[..., PiDaemon],
) -> None:
    daemon = start()
    wait_for(lambda: daemon.duties(*FORWARD, *BACKWARD) == [0.0] * 4)
    pictures: list[bytes] = []
    with daemon.connect() as car:
        described = car.describe()
        assert (described.simulated, described.has_camera) == (False, True)
        states = {info.name: info.state for info in described.streams}
        assert "no encoders" in states["encoder"]
        assert "no heads" in states["proximity"]
        car.on_frame(lambda frame: pictures.append(frame.jpeg))
        wait_for(lambda: pictures)
        car.arm()
        daemon.drive(car, 1.0, 0.0, until=[60.0, 60.0, 0.0, 0.0])
        daemon.drive(car, 1.0, 0.5, until=[0.0, 60.0, 0.0, 0.0])
        daemon.drive(car, -1.0, 0.0, until=[0.0, 0.0, 60.0, 60.0])
        car.e_stop()
        wait_for(lambda: daemon.duties(*FORWARD, *BACKWARD) == [0.0] * 4)
    plan = json.loads((daemon.folder / "neutral.json").read_text())
    assert [(step["kind"], step["place"], step["value"]) for step in plan["writes"]] == [
        ("gpio", 9, 0),
        ("gpio", 10, 0),
        ("gpio", 17, 0),
        ("gpio", 27, 0),
    ]
    assert {step["path"] for step in plan["writes"]} == {"/dev/gpiochip0"}


@pytest.mark.parametrize(
    ("lacks", "says"), [("camera", "no camera is found"), ("picamera2", "sudo apt install python3-picamera2")]
)
def test_without_a_camera_it_drives_and_says_what_is_missing(
    start: Callable[..., PiDaemon], lacks: str, says: str
) -> None:
    daemon = start(lacks)
    with daemon.connect() as car:
        wait_for(lambda: says in {info.name: info.state for info in car.describe().streams}["camera"])
        car.arm()
        # Nobody sees where it goes, so it creeps: 0.15 of full.
        daemon.drive(car, 1.0, 0.0, until=[15.0, 15.0, 0.0, 0.0])
        car.disarm()


def test_without_lgpio_it_ends_for_good_and_says_what_to_type(start: Callable[..., PiDaemon]) -> None:
    daemon = start("lgpio")
    assert daemon.process.wait(20) == 78
    assert "sudo apt install python3-lgpio" in daemon.log.read_text()
    assert len(daemon.log.read_text().splitlines()) == 1
