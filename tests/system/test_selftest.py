"""`pynet-agent selftest` on an agent that really runs, and lets in known devices only."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_agent.selftest.driver import Door
from pi_agent.selftest.stops import STOPS, Examiner
from pynet_car.operator import Operator
from pynet_car.world.launch import SimulatedCar
from pynet_core.keys import Identity
from pynet_core.trust import TrustStore

pytestmark = [pytest.mark.system, pytest.mark.shared]


@pytest.fixture(scope="module")
def open_car() -> Iterator[SimulatedCar]:
    """One that asks for no identity."""
    with SimulatedCar() as car:
        yield car


@pytest.fixture
def car(tmp_path: Path) -> Iterator[SimulatedCar]:
    Identity.new().save(tmp_path / "state")
    settings = tmp_path / "agent.toml"
    settings.write_text('[gateway]\ntls = "always"\n')
    with SimulatedCar(runtime_dir=tmp_path, agent_arguments=("--config", str(settings))) as car:
        yield car


def selftest(car: SimulatedCar, *words: str) -> subprocess.CompletedProcess[str]:
    where = ["--runtime-dir", str(car.runtime_dir), "--state-dir", str(car.state_dir)]
    command = [sys.executable, "-m", "pi_agent", "selftest", *where, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL
    )


def test_it_finds_the_robot_whole_makes_faults_and_measures_the_stops(car: SimulatedCar) -> None:
    only = [word for name in ("e-stop", "worker killed") for word in ("--only", name)]
    done = selftest(car, "--stop", "--wheels-up", "--trials", "1", "--json", *only)
    assert done.stdout, done.stderr
    seen = json.loads(done.stdout)
    assert [finding for finding in seen["findings"] if finding["level"] == "problem"] == []
    assert {finding["check"] for finding in seen["findings"]} == {
        "outputs",
        "camera",
        "encoder",
        "proximity",
        "encoders",
    }
    trials = {trial["stop"]: trial for trial in seen["trials"]}
    assert set(trials) == {"e-stop by a second client", "worker killed"}
    for trial in trials.values():
        assert trial["seen_at"] == "outputs"
        assert trial["neutral_ms"] is not None, "it did not stop while watched"
    assert seen["not_tried"] == {}
    # The promises themselves are for `test_faults`; here a late stop on a busy machine must be told, too.
    late = any(trial["neutral_ms"] > trial["promised_ms"] for trial in trials.values())
    assert done.returncode == int(late), done.stderr
    assert TrustStore(car.state_dir / "trusted").devices == ()


def test_where_outputs_cannot_be_read_it_goes_by_the_agents_word_and_says_so(
    open_car: SimulatedCar,
) -> None:
    (killed,) = [stop for stop in STOPS if stop.name == "driver killed"]
    trial = Examiner(Door("", open_car.port, ""), open_car.runtime_dir, None, 0.2).try_one(killed)
    assert trial.seen_at == "Status"
    assert 0 < trial.neutral_ms < 1000


def test_it_leaves_a_robot_alone_that_somebody_drives(open_car: SimulatedCar) -> None:
    with Operator(port=open_car.port, name="laptop") as driver:
        driver.lease()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = pool.submit(selftest, open_car, "--stop", "--wheels-up")
            while not running.done():
                driver.wish(0.0, 0.0)  # a lease lapses 2.5 s after the last command
                time.sleep(0.02)
        assert running.result().returncode == 1
        assert "laptop drives this robot" in running.result().stderr
        assert driver.has_lease
