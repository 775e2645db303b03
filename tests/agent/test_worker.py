"""The child process as the guardian starts it: real, on a board with no world, with its guardian played."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from pi_agent.link import GuardianLink, Labelled, Request, Result, ToGuardian, WorkerReady
from pi_agent.procs import EXIT_CONFIG
from pi_agent.worker import EXIT_CRASH, EXIT_ERROR
from pynet_car.messages import (
    Description,
    DriveCommand,
    ReadingState,
    Scan,
    State,
    Status,
    Verdict,
    decode,
    encode,
)
from pynet_core.client import Client
from pynet_core.controller import Controller

STATUS = Status(boot=1, stamp_ns=1, state=State.DISARMED, reason="")


class Guardian:
    """Starts one worker and reads what it says."""

    def __init__(self, runtime_dir: Path, *arguments: str) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "pi_agent.worker", "--link-fd", str(far.fileno())]
        self.process = subprocess.Popen(
            [*command, "--runtime-dir", str(runtime_dir), *arguments],
            pass_fds=[far.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        far.close()
        self.link = GuardianLink(near, ToGuardian)
        self._poll = select.poll()
        self._poll.register(self.link, select.POLLIN)

    def hear(self, kind: type[Struct], timeout_s: float = 30) -> Struct:
        """The next message of this kind; others are dropped."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if self._poll.poll(left * 1000) and isinstance(message := self.link.receive(), kind):
                return message
        raise AssertionError(f"no {kind.__name__} within {timeout_s} s")

    def client(self) -> Client:
        ready = self.hear(WorkerReady)
        assert isinstance(ready, WorkerReady)
        return Controller("", ready.port, name="tester").get_client()

    def ended(self) -> tuple[int, str]:
        """Its exit code and all it said."""
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said

    def close(self) -> None:
        self.link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Guardian]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Guardian] = []

    def start(*arguments: str, settings: str = 'board = "simulated"\n') -> Guardian:
        path = tmp_path / "agent.toml"
        path.write_text(settings)
        made.append(Guardian(tmp_path, "--config", str(path), "--port", "0", *arguments))
        return made[-1]

    yield start
    for guardian in made:
        guardian.close()


def test_it_serves_its_guardians_word_and_its_sensors_until_the_link_closes(start: Start) -> None:
    guardian = start()
    with guardian.client() as client:
        description = decode(client.get_subroutine_batch("describe"), Description)
        assert (description.simulated, description.has_camera) == (True, True)
        assert {info.name for info in description.streams} >= {"camera", "proximity", "encoder"}
        assert description.top_speed_mps == 2.92, "of the simulated car it is known without a setting"

        dead = decode(first_item(client, "proximity"), Scan).readings
        assert len(dead) == 4
        assert {reading.state for reading in dead} <= {
            ReadingState.FAULT,
            ReadingState.STALE,
        }  # no world there

        enough = threading.Event()
        speaker = threading.Thread(target=lambda: speak(guardian.link, enough))
        speaker.start()
        assert decode(first_item(client, "status"), Status) == STATUS
        enough.set()
        speaker.join()
    guardian.link.close()
    code, said = guardian.ended()
    assert code == 0
    assert "Traceback" not in said


def first_item(client: Client, name: str) -> bytes:
    items: list[bytes] = []

    def take(_: str, ident: int, item: bytes) -> bool:
        items.append(item)
        return False

    client.get_subroutine_stream(name, take)
    return items[0]


def speak(link: GuardianLink, enough: threading.Event) -> None:
    while not enough.wait(0.02):
        link.send(STATUS)


def test_commands_and_events_reach_the_guardian(start: Start) -> None:
    guardian = start()
    command = DriveCommand(session=3, seq=1, throttle=0.1, steering=0.0, answers_ns=1)
    with guardian.client() as client:
        assert client.send_subroutine_batch("drive", encode(command)) == Verdict.NO_LEASE
        labelled = guardian.hear(Labelled)
        assert isinstance(labelled, Labelled)
        assert labelled.command == command

        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(client.send_subroutine_batch("disarm")))
        asking.start()
        request = guardian.hear(Request)
        assert isinstance(request, Request)
        guardian.link.send(Result(id=request.id, code=Verdict.LIMITED, reason=""))
        asking.join()
        assert answers == [Verdict.LIMITED]
        assert request.peer_name == "tester"

        guardian.link.close()  # while a driver is connected
        code, said = guardian.ended()
        assert code == 0
        assert "Traceback" not in said


def test_a_broken_plugin_is_described_and_the_rest_runs(start: Start) -> None:
    guardian = start(settings='board = "simulated"\n[sensors.encoder]\nticks = 3\n')
    with guardian.client() as client:
        description = decode(client.get_subroutine_batch("describe"), Description)
        state = {info.name: info.state for info in description.streams}
        assert state["encoder"] == "ConfigError: encoder is set up in [encoder], not in [sensors.encoder]"
        assert state["proximity"] == "ok"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("[gateway]\nprot = 1\n", "agent.toml:2: gateway.prot: no such setting; did you mean 'port'?"),
        ('board = "simulated"\n[gateway]\nhost = ""\n', "PYNET_HOME=STATE_DIR pynet key new"),
    ],
)
def test_wrong_settings_are_one_line_and_the_exit_code_for_it(
    start: Start, settings: str, complaint: str
) -> None:
    code, said = start(settings=settings).ended()
    assert code == EXIT_CONFIG
    (line,) = said.splitlines()
    assert line.startswith("worker: ")
    assert complaint in line


def test_a_port_that_is_taken_is_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = start("--port", str(port)).ended()
    assert code == EXIT_ERROR
    assert said.splitlines()[-1].startswith(f"worker: cannot listen on 127.0.0.1 port {port}: ")
    assert "Traceback" not in said


def test_a_closed_gateway_ends_the_worker_so_that_it_is_started_anew(start: Start) -> None:
    guardian = start()
    guardian.client().close_gateway()
    code, said = guardian.ended()
    assert code == 0
    assert "a peer has closed the gateway" in said


def test_a_thread_that_dies_ends_the_process_with_its_traceback() -> None:
    program = (
        "import threading, time; from pi_agent import worker\n"
        "threading.excepthook = worker._end_process\n"
        "threading.Thread(target=lambda: 1 / 0, name='sensor x').start()\n"
        "time.sleep(30)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert run.returncode == EXIT_CRASH
    assert "thread 'sensor x' died; the worker ends" in run.stderr
    assert "ZeroDivisionError" in run.stderr
