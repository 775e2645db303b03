"""Trust, whole: a simulated car that others can call, driven under TLS by a device it knows."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pynet_car.messages import State
from pynet_car.operator import Operator
from pynet_car.world.board import Board
from pynet_car.world.launch import SimulatedCar
from pynet_core.errors import PynetError, Refused, SubroutineError
from pynet_core.keys import Identity
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore
from tests.core.loopback import eventually

pytestmark = pytest.mark.system

CUT_WITHIN_S = 2.0
PATIENCE_S = 20.0
FORWARD_PIN = 12
LAPTOP = Identity.new()


@pytest.fixture
def car(tmp_path: Path) -> Iterator[SimulatedCar]:
    state_dir = tmp_path / "state"
    Identity.new().save(state_dir)
    TrustStore(state_dir / "trusted").add(Trusted("driver", "laptop", LAPTOP.certificate))
    settings = tmp_path / "agent.toml"
    settings.write_text('[gateway]\nhost = ""\n')
    with SimulatedCar(runtime_dir=tmp_path, agent_arguments=("--config", str(settings))) as car:
        yield car


@pytest.mark.shared
def test_a_simulated_car_asked_for_tls_lets_in_whom_it_trusts_and_a_viewer_to_watch(
    tmp_path: Path, free_port: int
) -> None:
    state_dir = tmp_path / "kept"
    command = [sys.executable, "-m", "pynet_car.world.launch", "--tls", "--state-dir", str(state_dir)]
    with subprocess.Popen([*command, "--port", str(free_port)], stdout=subprocess.PIPE, text=True) as sim:
        try:
            said = iter(sim.stdout or ())
            assert any(line.startswith("To let a device in:") and str(state_dir) in line for line in said)
            with pytest.raises(Refused, match="speaks TLS only"):
                Operator(port=free_port)
            TrustStore(state_dir / TRUST_FILE).add(Trusted("viewer", "laptop", LAPTOP.certificate))
            identity = Identity.load(state_dir)
            assert identity is not None
            trust = TrustStore(devices=[Trusted("gateway", "car", identity.certificate)])
            with Operator(port=free_port, identity=LAPTOP, trust=trust) as watching:
                assert watching.car_fingerprint == identity.fingerprint
                with pytest.raises(SubroutineError, match="needs role driver, laptop is viewer"):
                    watching.arm()
                watching.e_stop()
                assert eventually(lambda: watching.status.state is State.E_STOP), watching.status
        finally:
            sim.terminate()


def operator_of(car: SimulatedCar) -> Operator:
    identity = Identity.load(car.state_dir)
    assert identity is not None
    trust = TrustStore(devices=[Trusted("gateway", "car", identity.certificate)])
    return Operator(port=car.port, identity=LAPTOP, trust=trust)


def test_a_driver_that_is_struck_off_while_it_drives_stops_the_car_and_does_not_come_back(
    car: SimulatedCar,
) -> None:
    with Board.open(car.board_path) as board, contextlib.closing(operator_of(car)) as driver:
        driver.arm()
        until = time.monotonic() + PATIENCE_S
        while board.read_pose().velocity_mps < 0.3:
            driver.drive(0.4, 0.0)
            assert time.monotonic() < until, "the car does not move"
            time.sleep(0.02)
        TrustStore(car.state_dir / "trusted").remove("laptop")
        struck_off_s = time.monotonic()
        while board.output(FORWARD_PIN)[0]:
            assert time.monotonic() - struck_off_s < CUT_WITHIN_S, "it drives on"
            with contextlib.suppress(PynetError):
                driver.drive(0.4, 0.0)
            time.sleep(0.01)
        time.sleep(1.0)  # it tries to come back every 0.5 s
        assert board.output(FORWARD_PIN)[0] == 0
        assert isinstance(driver.link_error, Refused)
        assert driver.link_error.code == 401
        with pytest.raises(Refused, match="is not trusted there"):
            operator_of(car)


def test_a_driver_under_tls_sees_and_drives_as_without(car: SimulatedCar) -> None:
    with operator_of(car) as driver:
        frames: list[int] = []
        driver.on_frame(lambda frame: frames.append(frame.captured_ns))
        driver.arm()
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            driver.drive(0.3, 0.0)
            time.sleep(0.02)
        assert driver.status.state is State.ARMED
        assert driver.status.duty > 0.1
        assert len(set(frames)) > 20
