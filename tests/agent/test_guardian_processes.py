"""Real processes: a guardian, a worker that drives, and a board that we look at."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pi_agent import neutral
from pynet_car.world.board import Board

pytestmark = [pytest.mark.system, pytest.mark.promise]
FORWARD = 12


class Agent:
    """A process under test, with its board and a stand-in for systemd."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.folder = folder
        self.board = Board.open(folder / "board")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.settimeout(10.0)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        program = [sys.executable, "-m", *command]
        self.process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.board.close()
        self._notify.close()

    @property
    def duty(self) -> float:
        return self.board.output(FORWARD)[0]

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def worker(self) -> int:
        wait_for(lambda: bool(self.children()))
        return self.children()[0]

    def drive(self) -> None:
        wait_for(lambda: self.duty == 1.0)

    def hear(self, what: str) -> str:
        """The next message to systemd that begins so."""
        while True:
            message = self._notify.recv(4096).decode()
            if message.startswith(what):
                return message

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


def wait_for(is_so: Callable[[], bool], timeout_s: float = 10.0) -> float:
    """How long it took, in seconds."""
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < timeout_s, "it never came"
        time.sleep(0.0005)
    return time.monotonic() - start


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    agents: list[Agent] = []

    def make(*command: str) -> Agent:
        agents.append(Agent(tmp_path, *command))
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


@pytest.fixture
def driving(start: Callable[..., Agent], tmp_path: Path) -> Agent:
    agent = start("tests.agent.dummy_agent", "agent", str(tmp_path))
    agent.drive()
    return agent


def test_pins_are_neutral_within_50_ms_of_the_workers_death_and_a_new_one_drives(driving: Agent) -> None:
    dead = driving.worker()
    os.kill(dead, signal.SIGKILL)
    assert wait_for(lambda: driving.duty == 0.0) <= 0.05
    assert "killed by signal 9" in driving.hear("STATUS=The worker")
    wait_for(lambda: bool(driving.children()) and driving.worker() != dead)
    driving.drive()
    driving.hear("STATUS=Dummy drives.")


def test_pins_are_neutral_within_250_ms_of_the_worker_being_stopped(driving: Agent) -> None:
    os.kill(driving.worker(), signal.SIGSTOP)
    try:
        assert wait_for(lambda: driving.duty == 0.0) <= 0.25
        driving.hear("STATUS=No fresh command")
        assert driving.duty == 0.0
    finally:
        os.kill(driving.worker(), signal.SIGCONT)
    driving.drive()  # the same worker, and the link still in step


def test_the_worker_dies_with_the_guardian_and_neutral_py_stops_the_motor(driving: Agent) -> None:
    worker = driving.worker()
    driving.process.kill()
    assert wait_for(lambda: not is_alive(worker)) <= 1.0
    assert driving.duty == 1.0  # outputs latch
    subprocess.run([sys.executable, "-I", "-S", neutral.__file__, str(driving.folder)], check=True)
    assert driving.duty == 0.0


def test_sigterm_stops_the_motor_at_once_and_a_stubborn_worker_with_all_its_children(
    start: Callable[..., Agent], tmp_path: Path
) -> None:
    agent = start("tests.agent.dummy_agent", "agent", str(tmp_path), "stubborn")
    agent.drive()
    worker = agent.worker()
    (child,) = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    agent.process.send_signal(signal.SIGTERM)
    assert wait_for(lambda: agent.duty == 0.0) <= 0.05
    code, _ = agent.end()
    assert code == 0
    assert not is_alive(worker)
    assert not is_alive(int(child))
    assert agent.duty == 0.0


# the daemon itself


def daemon(folder: Path, *more: str) -> list[str]:
    return ["pi_agent", "run", "--runtime-dir", str(folder), "--state-dir", str(folder / "state"), *more]


def test_the_daemon_says_ready_status_and_watchdog_and_ends_in_peace(
    start: Callable[..., Agent], tmp_path: Path
) -> None:
    agent = start(*daemon(tmp_path, "--port", "0"))
    assert agent.hear("STATUS=") == "STATUS=SIMULATED CAR: Just started: take the lease and arm to drive."
    agent.hear("READY=1")
    assert "Gateway on port" in agent.hear("STATUS=")
    agent.hear("WATCHDOG=1")
    start_s = time.monotonic()
    for _ in range(4):
        agent.hear("WATCHDOG=1")
    assert time.monotonic() - start_s >= 0.9
    worker = agent.worker()
    assert (tmp_path / neutral.PLAN_FILE).exists()
    code, errors = agent.end()
    assert code == 0, errors
    assert "SIMULATED CAR" in errors
    assert "Traceback" not in errors
    assert not is_alive(worker)


def test_a_second_daemon_on_the_same_pins_is_refused(start: Callable[..., Agent], tmp_path: Path) -> None:
    agent = start(*daemon(tmp_path, "--port", "0"))
    agent.hear("READY=1")
    command = [sys.executable, "-m", *daemon(tmp_path, "--port", "0")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert second.returncode == 1
    assert second.stderr.splitlines() == [f"agent: another agent runs in {tmp_path}; stop it first"]


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        ("[drive]\nlifespan_ms = 5000\n", 78, "lifespan_ms"),
        ('board = "pi"\n', 1, "no header of a Raspberry Pi in /dev"),
    ],
)
def test_what_a_person_must_mend_is_one_clear_error(
    tmp_path: Path, settings: str, code: int, says: str
) -> None:
    (tmp_path / "agent.toml").write_text(settings)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        *daemon(tmp_path, "--config", str(tmp_path / "agent.toml")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert says in line


def test_a_setting_only_the_worker_can_judge_ends_the_daemon_as_wrong_settings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", *daemon(tmp_path, "--port", "99999999")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 78
    assert "worker: [gateway]: port must be 0 to 65535, got 99999999" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told_with_the_workers_own_exit_code(
    start: Callable[..., Agent], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        agent = start(*daemon(tmp_path, "--port", str(other.getsockname()[1])))
        agent.hear("STATUS=SIMULATED CAR: The worker ended with exit code 1; it is started again in ")


def test_an_e_stop_on_disk_is_there_when_the_daemon_starts(
    start: Callable[..., Agent], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "e_stop").write_text("E-stop pressed by Grace\n")
    agent = start(*daemon(tmp_path, "--port", "0"))
    assert "E-stop pressed by Grace: reset it" in agent.hear("STATUS=")


def test_what_an_agent_with_other_settings_left_running_is_stopped_first(
    start: Callable[..., Agent], tmp_path: Path
) -> None:
    with Board.open(tmp_path / "board") as board:
        board.set_output(5, 0.7, 100.0)
        neutral.save_plan(tmp_path, [("board", str(board.path), Board.duty_offset(5), 0.0)])
        agent = start(*daemon(tmp_path, "--port", "0"))
        agent.hear("STATUS=")
        assert board.output(5)[0] == 0.0


def test_a_motor_that_may_still_run_keeps_the_daemon_from_forgetting_it(tmp_path: Path) -> None:
    neutral.save_plan(tmp_path, [("board", str(tmp_path / "gone"), 0, 0.0)])
    command = [sys.executable, "-m", *daemon(tmp_path, "--port", "0")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert f"{tmp_path}/gone may still run" in done.stderr
    assert f"rm {tmp_path / neutral.PLAN_FILE}" in done.stderr
    assert "gone" in (tmp_path / neutral.PLAN_FILE).read_text()
