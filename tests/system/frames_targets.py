"""What wrong frames are thrown at: a gateway, one under TLS, a simulated car that somebody holds armed.

Each is a process, or several, of its own.  `visit` is what an honest peer
does there between the attacks, `harm` says what has come of them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from pynet_car.messages import Arm, CameraFrame, Description, DriveCommand, State, decode, encode
from pynet_car.operator import CarRefused, Operator
from pynet_car.world.board import Board
from pynet_car.world.launch import SimulatedCar
from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import PynetError
from pynet_core.keys import SECRET_VARIABLE, Identity
from pynet_core.transfer.messages import Query, Tree
from pynet_core.wire import Frame, Kind, pack_body
from tests.core.file_frames import END, file_node, found, pack, pull_of, store
from tests.core.hostile_frames import Conversation
from tests.core.loopback import collected, counting, hello, request
from tests.system.hostile_target import LARGE

PING: Final = Frame(Kind.PING, 0, b"ping")
CREDIT: Final = Frame(Kind.CREDIT, 1)
CANCEL: Final = Frame(Kind.CANCEL)
CLOSE: Final = Frame(Kind.CLOSE_HANDLER)


class Target(Protocol):
    name: str
    port: int
    pids: Mapping[str, int]  # whose threads and descriptors are counted
    tls: ssl.SSLContext | None
    conversations: Sequence[Conversation]

    def hello(self) -> Frame: ...

    def visit(self) -> None:
        """Be an honest peer; fails when one is not served."""

    def harm(self) -> list[str]:
        """What is not as it should be, whatever peers have done."""

    def report(self) -> str:
        """What has been watched all the while."""


class GatewayTarget:
    """A gateway with a secret beside what it gives away, and a peer that streams all the while."""

    def __init__(self, folder: Path, gateway: subprocess.Popen[str], *, key: str = "") -> None:
        self.name = "gateway under TLS" if key else "gateway"
        self.pids: Mapping[str, int] = {"gateway": gateway.pid}
        assert gateway.stdout is not None
        self.port = int(gateway.stdout.readline())
        self.tls: ssl.SSLContext | None = None
        self._controller_id = bytes(16)
        identity = Identity.from_secret(key) if key else None
        if identity is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE
            identity.put_into(self.tls)
            self._controller_id = bytes.fromhex(identity.fingerprint)[:8] + bytes(8)
        self._controller = Controller(port=self.port, download_dir=str(folder / "down"), identity=identity)
        self._folder = folder
        self._process = gateway
        for name in ("root/file", "root/sub/file", "secret"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(os.urandom(1000))
        (folder / "root/link").symlink_to(folder / "secret")
        self._before = _contents(folder)
        self.conversations: Sequence[Conversation] = [*CALLS, *FEEDS, *file_conversations(folder)]
        self._got: list[int] = []
        self._listener = self._controller.get_client()
        self._listening = self._listener.subscribe("own", lambda _, ident, __: self._got.append(ident))

    def hello(self) -> Frame:
        return hello(controller_id=self._controller_id)

    def client(self) -> Client:
        """An honest one."""
        return self._controller.get_client(timeout_s=5.0)

    def visit(self) -> None:
        with self.client() as client:
            assert client.ping("hello").message == "hello"
            assert client.get_subroutine_batch("large") == LARGE
            assert client.send_subroutine_batch("take", b"x") == 0
            assert collected(client, "count", 10) == list(counting(10))
            file = self._folder / "root/file"
            (arrived,) = client.get_files_from_gateway(files=[str(file)])
            assert Path(arrived).read_bytes() == file.read_bytes()
            client.send_files_to_gateway("honest", [str(file)])
            assert (self._folder / "up/honest/file").read_bytes() == file.read_bytes()
        Path(arrived).unlink()

    def harm(self) -> list[str]:
        found = [f"part file left: {path}" for path in self._folder.rglob("*.part")]
        if self._process.poll() is not None:
            found.append(f"the gateway has ended with {self._process.returncode}")
        if _contents(self._folder) != self._before:
            found.append(f"changed outside the folder for uploads: {_contents(self._folder)}")
        got = list(self._got)  # it grows while we look
        if got != list(range(len(got))) or self._listening.error is not None:
            found.append(f"the peer that listens all the while has missed something: {self._listening.error}")
        return found

    def report(self) -> str:
        return f"a peer that listened all the while got {len(self._got)} items and missed none"

    def close(self) -> None:
        self._listening.stop()
        self._listener.close()


class RobotTarget:
    """A simulated car whose driver holds it armed and at rest: any wrong command would move it."""

    def __init__(self, car: SimulatedCar, board: Board, driver: Operator) -> None:
        self.name = "robot"
        self.port = car.port
        self.tls: ssl.SSLContext | None = None
        self.pids: Mapping[str, int] = {"guardian": car.guardian_pid, "worker": car.worker_pid}
        self._car = car
        self._board = board
        self._driver = driver
        self._ending = threading.Event()
        self.rearmed = -1
        self._holding = threading.Thread(target=self._hold, daemon=True)
        self._holding.start()
        until_s = time.monotonic() + 10.0
        while driver.status.state is not State.ARMED and time.monotonic() < until_s:
            time.sleep(0.01)
        assert driver.status.state is State.ARMED
        self._begun_m = board.read_pose().distance_m
        status = driver.status
        # Everything right but who sends it: a robot says its session to all.
        wishes = [
            encode(
                DriveCommand(session=status.session, seq=seq, throttle=1.0, steering=1.0, answers_ns=at_ns)
            )
            for seq in (status.last_seq + 10, 2**62)
            for at_ns in (status.stamp_ns, status.stamp_ns + 10**12)
        ]
        self.conversations: Sequence[Conversation] = [
            [PING, request(Kind.BATCH, "describe")],
            [request(Kind.BUFFER, "arm", buffer=encode(Arm(answers_ns=status.stamp_ns))), PING],
            *([request(Kind.BUFFER, "drive", buffer=wish), PING] for wish in wishes),
            [request(Kind.SINK, "drive"), *(Frame(Kind.PUT, 0, wish) for wish in wishes), END],
            *(
                [request(Kind.STREAM, name), CREDIT, CREDIT, CANCEL]
                for name in ("status", "camera", "proximity")
            ),
            [request(Kind.STREAM, "events"), CANCEL],
            [Frame(Kind.LIST, 0, pack_body(Query(folder=b"/"))), Frame(Kind.FETCH), END],
            [store("sub"), *_upload()],
        ]

    def _hold(self) -> None:
        while not self._ending.wait(0.02):
            try:
                self._driver.drive(0.0, 0.0)
            except CarRefused:
                with contextlib.suppress(PynetError):
                    self._driver.arm()
                    self.rearmed += 1
            except PynetError:
                pass

    def hello(self) -> Frame:
        return hello()

    def visit(self) -> None:
        with Controller(port=self.port).get_client(timeout_s=5.0) as client:
            assert decode(client.get_subroutine_batch("describe"), Description).simulated

            def look(name: str, ident: int, picture: bytes) -> bool:
                assert decode(picture, CameraFrame).jpeg
                return False

            client.get_subroutine_stream("camera", look)

    def harm(self) -> list[str]:
        found = [f"part file left: {path}" for path in self._car.runtime_dir.rglob("*.part")]
        moved_m = self._board.read_pose().distance_m - self._begun_m
        if moved_m or self._driver.status.duty:
            found.append(f"the car has moved {moved_m} m, its duty is {self._driver.status.duty}")
        if self.pids != {"guardian": self._car.guardian_pid, "worker": self._car.worker_pid}:
            found.append("guardian or worker has been started again")
        if not self._driver.has_lease:
            found.append(f"the driver has lost its lease to {self._driver.status.holder_name!r}")
        return found

    def report(self) -> str:
        return f"the car stood armed and still; {self._driver.status.counters}, armed again: {self.rearmed}"

    def close(self) -> None:
        self._ending.set()
        self._holding.join()


CALLS: Final[list[Conversation]] = [
    [PING, PING],
    [request(Kind.BATCH, "large"), PING],
    [request(Kind.BATCH, "take", 1, [2, {"three": 4.0}], None, key="value"), PING],
    [request(Kind.BUFFER, "take", "argument", buffer=b"x" * 1000), PING],
    [request(Kind.SINK, "take"), Frame(Kind.PUT, 0, b"one"), Frame(Kind.PUT, 0, b"x" * 500), END, PING],
    [PING, CLOSE],
]
FEEDS: Final[list[Conversation]] = [
    [request(Kind.STREAM, "count", 5), PING],
    [request(Kind.STREAM, "own"), CANCEL, PING],
    [request(Kind.STREAM, "newest"), CREDIT, CREDIT, CANCEL],
    [request(Kind.STREAM, "shared"), CANCEL, PING],
    [request(Kind.STREAM, "camera"), CREDIT, CANCEL],
]


def file_conversations(folder: Path) -> list[Conversation]:
    def pull(name: str, *, packed: bool = False) -> Frame:
        return pull_of(folder / name, packed=packed)

    root = os.fsencode(folder / "root")
    return [
        [Frame(Kind.LIST, 0, pack_body(Query(files=[root + b"/file", root + b"/link"]))), PING],
        [Frame(Kind.LIST, 0, pack_body(Query(folder=root, regex=".+file", recursive=True))), PING],
        [Frame(Kind.TREE, 0, pack_body(Tree(sources=[root + b"/"], links=True))), PING],
        [Frame(Kind.FETCH), pull("root/file"), pull("root/sub/file", packed=True), END],
        [Frame(Kind.FETCH), pull("secret"), pull("root/link", packed=True), pull("root/file"), END, PING],
        [store("sub"), *_upload(), PING],
    ]


def _upload() -> list[Frame]:
    """Two files; the PULL that is answered is not awaited."""
    return [found(file_node(b"7", 7), file_node(b"5", 5)), END, pack(b"abcdefg", b"hello"), END]


def _contents(folder: Path) -> dict[str, bytes | None]:
    """Everything in it but uploads, and what an honest peer has fetched."""
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for top in folder.iterdir()
        if top.name not in ("up", "down", "log")
        for path in (top, *top.rglob("*"))
    }


# Starting them


@contextlib.contextmanager
def gateway_target(key: str = "") -> Iterator[GatewayTarget]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log, _gateway(folder, log, key) as process:
            target = GatewayTarget(folder, process, key=key)
            yield target
            target.close()
        said = (folder / "log").read_text(errors="replace")
        assert process.returncode == 0
        # A thread of ours that ends with an exception says so here, and nowhere else.
        assert "Exception in thread" not in said, said[said.index("Exception in thread") :][:5000]
        assert "Exception ignored" not in said, said[said.index("Exception ignored") :][:5000]


@contextlib.contextmanager
def _gateway(folder: Path, log: IO[bytes], key: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.system.hostile_target", str(folder)],
        env={**os.environ, SECRET_VARIABLE: key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        yield process
        process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()


def tls_target() -> contextlib.AbstractContextManager[GatewayTarget]:
    return gateway_target(secrets.token_urlsafe())


@contextlib.contextmanager
def robot_target() -> Iterator[RobotTarget]:
    with (
        tempfile.TemporaryFile() as log,
        SimulatedCar(log=log) as car,
        Board.open(car.board_path) as board,
        Operator(port=car.port, name="driver") as driver,
    ):
        target = RobotTarget(car, board, driver)
        yield target
        target.close()


TARGETS: Final[dict[str, Callable[[], contextlib.AbstractContextManager[Target]]]] = {
    "gateway": gateway_target,
    "tls": tls_target,
    "robot": robot_target,
}
