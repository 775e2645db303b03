"""Start the simulated car: the world and the agent as processes of their own, in a folder of their own.

For the demo, the proofs and tests; `python -m pynet_car.world.launch` runs one
until Ctrl-C.  The world is started here and not by the
agent's guardian, so that it outlives a killed guardian, as a real one would.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final, Self

from pynet_car.messages import DEFAULT_PORT
from pynet_car.world import BOARD_FILE
from pynet_car.world.board import Board
from pynet_car.world.memory import memory_folder
from pynet_car.world.options import MAX_SEED, within
from pynet_core.errors import ConfigError, LinkError, PynetError
from pynet_core.keys import SECRET_VARIABLE, Identity
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class SimulatedCar:
    """A world and an agent that run until `close`.

    `runtime_dir` holds the board, the camera's socket and what the agent keeps
    while it runs; by default a temporary folder, in memory.  `state_dir` is what the agent
    keeps over restarts; by default in the other one.  `port` is where the agent
    listens; a free one by default.  With `tls` only devices on its list get in,
    on this machine too: `let_in` makes one.  `log` gets what both print; by
    default it goes where our own output goes.
    """

    def __init__(
        self,
        *,
        runtime_dir: Path | None = None,
        state_dir: Path | None = None,
        port: int | None = None,
        tls: bool = False,
        world_arguments: Sequence[str] = (),
        agent_arguments: Sequence[str] = (),
        log: IO[bytes] | None = None,
    ) -> None:
        self._folder = contextlib.ExitStack()
        if runtime_dir is None:
            made = tempfile.TemporaryDirectory(prefix="pynet-car-", dir=memory_folder())
            runtime_dir = Path(self._folder.enter_context(made))
        self.runtime_dir = runtime_dir
        self.state_dir = state_dir or runtime_dir / "state"
        self._held = self._folder.enter_context(hold_port(port or 0))
        self.port: int = self._held.getsockname()[1]
        self._tls = tls
        self._agent_arguments = tuple(agent_arguments)
        self._log = log
        self.world: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            where = ("--runtime-dir", str(runtime_dir))
            begun_ns = time.monotonic_ns()
            self.world = self._start("pynet_car.world", *where, *world_arguments)
            if tls:  # now: it takes no longer than the world does
                self._agent_arguments = (*self._prepare_tls(), *self._agent_arguments)
            self._wait(lambda: self._world_runs_since(begun_ns), "the world does not move")
            self.start_agent()
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def board_path(self) -> Path:
        return self.runtime_dir / BOARD_FILE

    def let_in(self, name: str) -> Path:
        """Make a device that may drive this car; the folder with its identity and its list, as PYNET_HOME.

        Raises:
            ConfigError: It cannot be written, or the car speaks no TLS.
        """
        car = Identity.load(self.state_dir)
        if car is None:
            raise ConfigError(f"{self.state_dir} holds no identity: start the car with tls=True")
        device, folder = Identity.new(), self.runtime_dir / name
        device.save(folder)
        TrustStore(folder / TRUST_FILE).add(Trusted("gateway", "simulated-car", car.certificate))
        TrustStore(self.state_dir / TRUST_FILE).add(Trusted("driver", name, device.certificate))
        return folder

    def _prepare_tls(self) -> tuple[str, str]:
        """Give the car an identity, if it has none, and its agent the settings to use it."""
        if Identity.load(self.state_dir) is None:
            Identity.new().save(self.state_dir)
        settings = self.runtime_dir / "agent.toml"
        settings.write_text('[gateway]\ntls = "always"\n', encoding="utf-8")
        return "--config", str(settings)

    def start_agent(self) -> None:
        """Start the guardian, which starts its worker; for tests that have ended the last one."""
        self.agent = self._start(
            "pi_agent",
            "run",
            "--runtime-dir",
            str(self.runtime_dir),
            "--state-dir",
            str(self.state_dir),
            "--port",
            str(self.port),
            *self._agent_arguments,
        )

    def wait_until_ready(self) -> None:
        """Return once the agent's gateway listens.

        Raises:
            LinkError: It does not within 20 s, or a process has ended.
        """
        self._wait(self._agent_listens, f"the agent does not listen on port {self.port}")

    def _wait(self, is_so: Callable[[], bool], otherwise: str) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not is_so():
            for name, process in (("world", self.world), ("agent", self.agent)):
                if process is not None and process.poll() is not None:
                    raise LinkError(f"the {name} ended with exit code {process.returncode}; it has said why")
            if time.monotonic() > deadline_s:
                raise LinkError(f"{otherwise} after {START_TIMEOUT_S:g} s")
            time.sleep(0.01)

    def _world_runs_since(self, begun_ns: int) -> bool:
        with Board.open(self.board_path) as board:
            return board.read_pose().ns > begun_ns

    def _agent_listens(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            return True
        return False

    @property
    def guardian_pid(self) -> int:
        assert self.agent is not None
        return self.agent.pid

    @property
    def worker_pid(self) -> int:
        """The worker there is now.

        Raises:
            LinkError: There is none.
        """
        pid = self.guardian_pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            raise LinkError("the guardian has no worker at the moment")
        return int(children[0])

    @property
    def world_pid(self) -> int:
        assert self.world is not None
        return self.world.pid

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, *arguments]
        environment = dict(os.environ)
        if self._tls:
            environment.pop(SECRET_VARIABLE, None)  # it would stand in for the car's own identity
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            # Ctrl-C is for us, who end them in order: a driver in this process can disarm the car before.
            process_group=0,
            preexec_fn=_end_with_us,  # one system call, no lock: safe beside threads
        )

    def close(self) -> None:
        """End agent and world; idempotent."""
        for process in (self.agent, self.world):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)  # a test may have stopped it
                process.terminate()
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._folder.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run sim", description="run the simulated car until Ctrl-C")
    parser.add_argument(
        "--port",
        type=within(0, 65535),
        default=DEFAULT_PORT,
        help="to listen on, 0 is a free one (%(default)s)",
    )
    parser.add_argument("--seed", type=within(0, MAX_SEED), help="of the track")
    parser.add_argument("--tls", action="store_true", help="let in only whom it has been paired with")
    parser.add_argument(
        "--state-dir", type=Path, help="what it keeps: e-stop, identity, trusted devices (a new folder)"
    )
    options = parser.parse_args(arguments)
    world = () if options.seed is None else ("--seed", str(options.seed))
    end_as_by_ctrl_c()
    try:
        with SimulatedCar(
            port=options.port, state_dir=options.state_dir, tls=options.tls, world_arguments=world
        ) as car:
            print(f"The simulated car listens on port {car.port} of this machine. Ctrl-C ends it.")
            print(f"How it is:  {sys.executable} -m pi_agent status --runtime-dir {car.runtime_dir}")
            if options.tls:
                pair = f"{sys.executable} -m pi_agent pair --state-dir {shlex.quote(str(car.state_dir))}"
                print(f"To let a device in:  {pair}")
            sys.stdout.flush()
            assert car.agent is not None
            return car.agent.wait()
    except (PynetError, OSError) as exc:
        print(f"sim: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def end_as_by_ctrl_c() -> None:
    """SIGTERM, and a closed terminal, are a KeyboardInterrupt from now on: what was made is removed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, signal.default_int_handler)


def cpu_s(pid: int) -> float:
    """Processor time that this process has used so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _end_with_us() -> None:
    """In the child: SIGTERM when whoever launched it is killed, so that no car is left running."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def hold_port(port: int) -> socket.socket:
    """This one if nobody listens there, any for 0: an answer there is to be that of our own agent.

    Bound until it is closed, so that no connection is given this port while the agent starts, or starts anew:
    not even that of who asks there whether it listens yet, and would be answered by itself.

    Raises:
        LinkError: Somebody listens there.
    """
    held = socket.socket()
    # What has ended a moment ago is no matter; and the agent, which asks for the same, may bind it too.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", port))
    except OSError as exc:
        held.close()
        raise LinkError(f"port {port} of this machine: {exc.strerror}; choose another one") from exc
    return held


if __name__ == "__main__":
    sys.exit(main())
