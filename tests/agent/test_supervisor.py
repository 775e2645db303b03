"""The supervisor and a worker process that does not do what it should; the clock is in our hands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_agent.supervisor import SILENT_TICKS, STARTING_TICKS, Supervisor
from tests.agent.guardian_rig import MS, GuardianRig

pytestmark = pytest.mark.promise

MUTE = "import time; time.sleep(100)"
SPEAKS_ONCE = f"""if True:
    import socket, sys
    from pi_agent.link import GuardianLink, ToWorker, WorkerReady
    link = GuardianLink(socket.socket(fileno=int(sys.argv[-1])), ToWorker)
    link.send(WorkerReady(port=1))
    {MUTE}
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[GuardianRig]:
    rig = GuardianRig(tmp_path)
    rig.guardian.detach(rig.now)
    yield rig
    rig.close()


def ticks_until_killed(rig: GuardianRig, program: str, *, heard: bool) -> int:
    """How many ticks a worker has that says nothing, counted from when it was `heard` to listen."""
    supervisor = Supervisor(rig.guardian, rig.diary, [sys.executable, "-c", program])
    ticks = 0
    try:
        while not supervisor.trouble:
            rig.now += 10 * MS
            supervisor.tend(rig.now)
            rig.guardian.step(rig.now)
            if heard and rig.guardian.gateway_port is None and not supervisor.trouble:
                supervisor.wait(0.01)  # a real process takes real time to start, and to die
                continue
            ticks += 1
            supervisor.wait(0.0 if ticks <= (SILENT_TICKS if heard else STARTING_TICKS) else 0.02)
        assert "The worker hung and was killed; it is started again in 0.5 s." in supervisor.trouble
    finally:
        supervisor.end()
    return ticks


def test_a_worker_that_falls_silent_is_replaced_after_5_s(rig: GuardianRig) -> None:
    assert ticks_until_killed(rig, SPEAKS_ONCE, heard=True) == pytest.approx(SILENT_TICKS, abs=20)


def test_one_that_never_gets_ready_is_replaced_after_a_minute(rig: GuardianRig) -> None:
    assert ticks_until_killed(rig, MUTE, heard=False) == pytest.approx(STARTING_TICKS, abs=20)


def test_systemd_waits_longer_for_the_first_worker_than_the_guardian_does() -> None:
    unit = (Path(__file__).parents[2] / "systemd/pynet-agent.service").read_text()
    (start_s,) = re.findall(r"^TimeoutStartSec=(\d+)s$", unit, re.MULTILINE)
    assert int(start_s) > STARTING_TICKS / 100 + 10
