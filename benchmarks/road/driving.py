"""A real daemon at one end of the link, an Operator at the other: how old commands are at the guardian."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.road.link import Road
from benchmarks.road.looking import ROOT
from benchmarks.road.urgency import urgent
from benchmarks.road.ways import use
from pynet_car.messages import State, Status
from pynet_car.operator import Operator
from pynet_car.world.launch import SimulatedCar
from pynet_car.world.memory import memory_folder
from pynet_core.errors import PynetError
from pynet_core.keys import Identity
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore
from tests.system.link import inside

PERIOD_S: Final = 0.02
UPLOAD_BYTES: Final = 64_000_000  # 50 s of 10 Mbit/s; of noise: what is empty or alike takes no link
SETTLE_S: Final = 2.0  # before anything counts


class Driven:
    """A car, and who drives it from the other end of a road."""

    def __init__(self, where: Road, car: SimulatedCar, keys: Path, folder: Path) -> None:
        self._where, self._car, self._keys, self._folder = where, car, keys, folder

    @contextlib.contextmanager
    def operator(self, way: str) -> Iterator[Operator]:
        """Leased and armed, its commands on that way."""
        identity, trust = Identity.load(self._keys), TrustStore(self._keys / TRUST_FILE)
        # Threads stay in the namespace in which they were made, and so do those that they make.
        with inside(self._where.driver):
            car = Operator(self._where.host, self._car.port, name="bench", identity=identity, trust=trust)
            with car:
                use(car, way)
                _arm(car)
                yield car

    @contextlib.contextmanager
    def uploading(self, *, greedy: bool) -> Iterator[None]:
        """A file as large as the link is thin moves to the car meanwhile."""
        # Each of its own name: what is left of the last one may still be on the link.
        handle, name = tempfile.mkstemp(dir=self._folder, prefix="upload-")
        os.close(handle)
        Path(name).write_bytes(os.urandom(UPLOAD_BYTES))
        command = [sys.executable, "-m", "benchmarks.road.uploader", self._where.host, str(self._car.port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYNET_HOME": str(self._keys)}
        with subprocess.Popen(
            [*self._where.at(self._where.driver), *command, name, *(["--greedy"] if greedy else [])],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
        ) as uploader:
            try:
                assert uploader.stdout is not None
                if not uploader.stdout.readline():
                    raise RuntimeError("the uploader has ended; it has said why")
                yield
            finally:
                uploader.kill()


@contextlib.contextmanager
def car_on(where: Road) -> Iterator[Driven]:
    """A simulated car whose daemon listens at the robot's end, under TLS."""
    with tempfile.TemporaryDirectory(prefix="pynet-road-", dir=memory_folder()) as name:
        folder = Path(name)
        robot, laptop, keys = Identity.new(), Identity.new(), folder / "laptop"
        state = folder / "state"
        robot.save(state)
        laptop.save(keys)
        TrustStore(state / TRUST_FILE).add(Trusted("admin", "laptop", laptop.certificate))
        TrustStore(keys / TRUST_FILE).add(Trusted("gateway", "car", robot.certificate))
        settings = folder / "agent.toml"
        settings.write_text('[gateway]\nhost = ""\n')
        with (folder / "log").open("wb") as log:
            with inside(where.robot):
                car = SimulatedCar(
                    runtime_dir=folder,
                    state_dir=state,
                    agent_arguments=("--config", str(settings)),
                    log=log,
                )
            with car, urgent(car.worker_pid):
                yield Driven(where, car, keys, folder)


@dataclass
class Seen:
    """What the guardian said while somebody drove."""

    ages_ms: list[float]
    trips: int


def drive(car: Operator, seconds: float, *, settle_s: float = SETTLE_S) -> Seen:
    """Hold neutral, 50 times a second; arm again whenever the car has disarmed itself."""
    ages_ms: list[float] = []
    _hold(car, settle_s)
    before = car.status.counters.failsafe_trips
    end_s = time.monotonic() + seconds

    def hear(status: Status) -> None:
        if status.command_age_ns >= 0 and time.monotonic() < end_s:
            ages_ms.append(status.command_age_ns / 1e6)

    car.on_status(hear)
    _hold(car, seconds)
    return Seen(ages_ms, car.status.counters.failsafe_trips - before)


def _hold(car: Operator, seconds: float) -> None:
    end_s = next_s = time.monotonic()
    end_s += seconds
    while time.monotonic() < end_s:
        if car.status.state is State.DISARMED and car.is_connected:
            with contextlib.suppress(PynetError):
                car.arm()
        car.wish(0.0, 0.0)
        next_s = max(next_s + PERIOD_S, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))


def _arm(car: Operator) -> None:
    while True:
        try:
            car.arm()
            return
        except PynetError:
            time.sleep(0.1)
