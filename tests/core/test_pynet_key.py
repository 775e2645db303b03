"""PYNET_KEY and a device's own identity: scripts that change no line, and what is open to whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pynet_core.admission import EVERYWHERE, is_loopback
from pynet_core.controller import Controller
from pynet_core.errors import ConfigError, Refused
from pynet_core.gateway import Gateway
from pynet_core.trust import Trusted, TrustStore
from tests.core.loopback import serving
from tests.core.trusting import CAR, LAPTOP, trusting

SECRET = "sixteen letters or more"

# One secret, unchanged scripts

SERVER = """
import sys
from pynet import Gateway
gateway = Gateway(int(sys.argv[1]))
gateway.add_subroutine('double', lambda number: (number, b'%d' % (2 * number)))
gateway.start()
print(gateway.host, flush=True)
sys.stdin.read()
gateway.stop()
"""
CALLER = """
import sys
from pynet import Controller
with Controller(sys.argv[2], int(sys.argv[1])).get_client() as client:
    print(client.get_subroutine_batch('double', [21]).decode())
"""


def scripts(
    port: int, host: str, server_key: str, caller_key: str
) -> tuple[str, subprocess.CompletedProcess[str]]:
    """What the unchanged gateway listens on, and what the unchanged controller makes of it."""

    def environment(key: str) -> dict[str, str]:
        return {**os.environ, "PYNET_KEY": key}

    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(server_key),
    ) as server:
        assert server.stdout is not None
        listens_on = server.stdout.readline().strip()
        called = subprocess.run(
            [sys.executable, "-c", CALLER, str(port), host],
            capture_output=True,
            text=True,
            env=environment(caller_key),
        )
        assert server.stdin is not None
        server.stdin.close()
    return listens_on, called


@pytest.mark.slow
def test_unchanged_scripts_that_share_pynet_key_talk_over_the_network(
    own_address: str, free_port: int
) -> None:
    listens_on, called = scripts(free_port, own_address, SECRET, SECRET)
    assert (listens_on, called.stdout) == (EVERYWHERE, "42\n")


@pytest.mark.slow
def test_unchanged_scripts_that_share_pynet_key_talk_on_one_machine(free_port: int) -> None:
    assert scripts(free_port, "", SECRET, SECRET)[1].stdout == "42\n"


@pytest.mark.slow
def test_unchanged_scripts_without_a_key_talk_on_one_machine_only(own_address: str, free_port: int) -> None:
    listens_on, called = scripts(free_port, "", "", "")
    assert (listens_on, called.stdout) == ("127.0.0.1", "42\n")
    assert "no gateway at" in scripts(free_port, own_address, "", "")[1].stderr


@pytest.mark.slow
def test_another_key_does_not_fit(free_port: int) -> None:
    _, called = scripts(free_port, "", SECRET, SECRET + "!")
    assert "Refused: refused with 401" in called.stderr


@pytest.mark.slow
@pytest.mark.parametrize("keys", [(SECRET, ""), ("", SECRET)])
def test_a_key_at_one_end_only_is_told(free_port: int, keys: tuple[str, str]) -> None:
    _, called = scripts(free_port, "", *keys)
    assert "PYNET_KEY" in called.stderr.splitlines()[-1]


# Where to listen, and whom to call


def test_an_identity_given_opens_a_gateway_to_all_interfaces() -> None:
    assert Gateway(0, identity=CAR, trust=TrustStore()).host == EVERYWHERE
    assert Gateway(0, host="localhost", identity=CAR, trust=TrustStore()).host == "127.0.0.1"
    assert Gateway(0, host="192.0.2.7", identity=CAR, trust=TrustStore()).host == "192.0.2.7"


def test_a_device_that_has_an_identity_opens_only_what_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path))
    CAR.save(tmp_path)
    plain, opened = Gateway(0), Gateway(0, host="0.0.0.0")
    assert (plain.host, plain.admission.credentials) == ("127.0.0.1", None)
    assert opened.admission.credentials is not None
    assert opened.admission.credentials.identity == CAR


def test_a_damaged_identity_keeps_a_gateway_shut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path))
    CAR.save(tmp_path).write_text("garbage")
    with pytest.raises(ConfigError, match=r"identity\.pem: damaged"):
        Gateway(0, host="0.0.0.0")
    with serving() as gateway, Controller(port=gateway.port).get_client() as client:
        client.ping()  # on this machine nobody needs it


def test_a_list_without_an_identity_is_an_error() -> None:
    for kind in (Gateway, Controller):
        with pytest.raises(ConfigError, match="trust was given, but no identity"):
            kind(trust=TrustStore())


def test_a_key_that_can_be_guessed_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNET_KEY", "guess me")
    for kind in (Gateway, Controller):
        with pytest.raises(ConfigError, match="PYNET_KEY has 8 characters"):
            kind()


class Elsewhere:
    """A socket that is connected to another machine and must not be used."""

    def getpeername(self) -> tuple[str, int]:
        return "192.0.2.99", 1857


def test_nothing_is_said_in_plain_to_another_machine() -> None:
    with pytest.raises(Refused, match="car port 1857 is another machine, and this one has no identity") as e:
        Controller("car")._credentials_for(Elsewhere(), "car port 1857")  # type: ignore[arg-type]
    assert e.value.code == 401


def test_a_device_with_an_identity_uses_it_for_other_machines_and_not_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_address: str
) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path))
    LAPTOP.save(tmp_path)
    TrustStore(tmp_path / "trusted").add(Trusted("gateway", "car", CAR.certificate))
    with serving(host=own_address, identity=CAR, trust=trusting(LAPTOP="viewer")) as gateway:
        client = Controller(own_address, gateway.port).get_client()
        client.ping()
        client.close()
    with serving() as gateway, Controller(port=gateway.port).get_client() as client:
        client.ping()


def test_the_address_of_this_machine_is_told_from_others() -> None:
    for own in ("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(own)
    for other in ("192.168.1.5", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1", "localhost.example", ""):
        assert not is_loopback(other)
