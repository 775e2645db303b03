"""The child process where other machines can call: its identity, and places nobody can take from E-STOP."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_agent.link import Request, Result, WorkerReady
from pi_agent.procs import EXIT_CONFIG
from pynet_car.messages import EStop, Verdict
from pynet_core.admission import EVERYWHERE
from pynet_core.controller import Controller
from pynet_core.errors import PoolFull, Refused, SubroutineError
from pynet_core.keys import Identity
from pynet_core.pairing_link import ask_pairing
from pynet_core.trust import Trusted, TrustStore
from tests.agent.test_worker import Guardian

OPEN = 'board = "simulated"\n[gateway]\nhost = ""\nmax_poolsize = 12\n'
LAPTOP = Identity.new()
TABLET = Identity.new()
PHONE = Identity.new()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def started(tmp_path: Path, state_dir: Path, settings: str = OPEN) -> Guardian:
    path = tmp_path / "agent.toml"
    path.write_text(settings)
    return Guardian(tmp_path, "--config", str(path), "--port", "0", "--state-dir", str(state_dir))


@pytest.fixture
def car(tmp_path: Path, state_dir: Path) -> Iterator[tuple[Guardian, Identity]]:
    """A worker that listens everywhere and trusts a driver and two viewers."""
    identity = Identity.new()
    identity.save(state_dir)
    store = TrustStore(state_dir / "trusted")
    store.add(Trusted("driver", "laptop", LAPTOP.certificate))
    store.add(Trusted("viewer", "tablet", TABLET.certificate))
    store.add(Trusted("viewer", "phone", PHONE.certificate))
    with contextlib.closing(started(tmp_path, state_dir)) as guardian:
        yield guardian, identity


def controller_of(car: tuple[Guardian, Identity], identity: Identity) -> Controller:
    ready = car[0].hear(WorkerReady)
    assert isinstance(ready, WorkerReady)
    return calling(car, identity, ready.port)


def calling(car: tuple[Guardian, Identity], identity: Identity, port: int, host: str = "") -> Controller:
    trust = TrustStore(devices=[Trusted("gateway", "car", car[1].certificate)])
    return Controller(host, port, identity=identity, trust=trust, name="whatever it says")


def test_without_an_identity_it_does_not_listen_to_others_and_says_how_to_make_one(
    tmp_path: Path, state_dir: Path
) -> None:
    with contextlib.closing(started(tmp_path, state_dir)) as guardian:
        code, said = guardian.ended()
    assert code == EXIT_CONFIG
    assert f"host '{EVERYWHERE}' lets other machines call, which takes an identity; make one:" in said
    assert said.endswith(f"PYNET_HOME={state_dir} pynet key new\n")


def test_for_this_machine_alone_it_needs_none(tmp_path: Path, state_dir: Path) -> None:
    alone = started(tmp_path, state_dir, 'board = "simulated"\n')
    with contextlib.closing(alone) as guardian, guardian.client() as client:
        client.ping()


def test_asked_for_tls_it_takes_an_identity_for_this_machine_alone_too(
    tmp_path: Path, state_dir: Path
) -> None:
    settings = 'board = "simulated"\n[gateway]\ntls = "always"\n'
    with contextlib.closing(started(tmp_path, state_dir, settings)) as guardian:
        code, said = guardian.ended()
    assert code == EXIT_CONFIG
    assert "[gateway]: tls = 'always' takes an identity; make one:" in said
    Identity.new().save(state_dir)
    with contextlib.closing(started(tmp_path, state_dir, settings)) as guardian:
        with pytest.raises(Refused, match="speaks TLS only") as refused:
            guardian.client()
        assert refused.value.code == 401


def test_it_knows_who_presses_and_lets_a_viewer_do_no_more(car: tuple[Guardian, Identity]) -> None:
    client = controller_of(car, TABLET).get_client()
    with pytest.raises(SubroutineError, match="'arm' needs role driver, tablet is viewer"):
        client.send_subroutine_batch("arm")
    client.close()


@pytest.mark.skipif(EVERYWHERE != "::", reason="this machine has no IPv6")
def test_it_is_called_over_ipv6_too(car: tuple[Guardian, Identity]) -> None:
    port = controller_of(car, LAPTOP).port
    with calling(car, LAPTOP, port, "::1").get_client() as client:
        client.ping()


def test_who_is_not_on_its_list_is_refused(car: tuple[Guardian, Identity]) -> None:
    with pytest.raises(Refused, match="is not trusted there: pair"):
        controller_of(car, Identity.new()).get_client()


def test_whoever_takes_all_there_is_takes_no_e_stop_from_others(car: tuple[Guardian, Identity]) -> None:
    guardian = car[0]
    tablet = controller_of(car, TABLET)
    laptop, phone = (calling(car, identity, tablet.port) for identity in (LAPTOP, PHONE))
    with contextlib.ExitStack() as crowd:
        with pytest.raises(PoolFull, match="the pool of 12 is full, but for 2 safety pairs"):
            for _ in range(12):
                crowd.enter_context(tablet.get_client())
        with pytest.raises(PoolFull):
            laptop.get_client(purpose="control")
        client = crowd.enter_context(phone.get_client(purpose="safety"))
        client.timeout_s = 10
        pressed: list[int] = []
        pressing = threading.Thread(target=lambda: pressed.append(client.send_subroutine_batch("e_stop")))
        pressing.start()
        request = guardian.hear(Request)
        assert isinstance(request, Request)
        assert (type(request.event), request.peer_name) == (EStop, "phone")
        guardian.link.send(Result(id=request.id, code=Verdict.TAKEN, reason=""))
        pressing.join()
        assert pressed == [Verdict.TAKEN]


def test_pynet_agent_pair_lets_a_device_into_the_agent_that_runs(
    car: tuple[Guardian, Identity], state_dir: Path, free_port: int
) -> None:
    stranger, trust = Identity.new(), TrustStore()
    port = controller_of(car, TABLET).port
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "pi_agent", "pair", "--state-dir", str(state_dir)),
            *("--role", "viewer", "--port", str(free_port)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as pairing:
        assert pairing.stdout is not None
        _, code = (pairing.stdout.readline() for _ in range(2))
        ask_pairing(stranger, trust, "", code.removeprefix("Code:"), name="new one", port=free_port)
        assert pairing.stdout.read().startswith("paired: new-one is trusted as viewer")
    with Controller("", port, identity=stranger, trust=trust).get_client() as client:
        client.ping()
