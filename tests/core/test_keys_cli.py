"""`pynet key`: as a person types it on two devices that shall trust each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pynet_core.cli import pynet
from pynet_core.errors import ConfigError
from pynet_core.keys import Identity
from pynet_core.trust import TrustStore
from tests.core.shell import json_keys


class Device:
    """One machine's folder, and its keyboard."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def types(self, *words: str) -> Result:
        self._monkeypatch.setenv("PYNET_HOME", str(self.folder))
        return CliRunner().invoke(pynet, ["key", *words])

    def says(self, *words: str) -> str:
        result = self.types(*words)
        assert result.exit_code == 0, result.output
        return result.output

    def is_told(self, *words: str) -> str:
        """What stands behind "pynet: " when it fails."""
        result = self.types(*words)
        assert isinstance(result.exception, ConfigError)
        return str(result.exception)


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(tmp_path / "laptop", monkeypatch)


@pytest.fixture
def car(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(tmp_path / "car", monkeypatch)


def certificate_in(said: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith("certificate")]
    return line.split()[1]


def test_two_devices_come_to_trust_each_other_by_copying_one_word_each_way(
    laptop: Device, car: Device
) -> None:
    of_laptop, of_car = certificate_in(laptop.says("new")), certificate_in(car.says("new"))
    said = car.says("trust", of_laptop, "--name", "laptop", "--role", "driver")
    identity = Identity.load(laptop.folder)
    assert identity is not None
    assert identity.fingerprint in said
    laptop.says("trust", of_car, "--name", "car", "--role", "gateway")
    assert TrustStore(car.folder / "trusted").find(identity.fingerprint) is not None
    assert laptop.says("list").split()[:2] == ["gateway", "car"]
    assert identity.fingerprint in car.says("list")


def test_show_says_what_new_said_and_never_the_key(laptop: Device) -> None:
    made = laptop.says("new")
    shown = laptop.says("show")
    assert certificate_in(shown) == certificate_in(made)
    assert "PRIVATE" not in made + shown


def test_without_an_identity_show_says_how_to_make_one(laptop: Device) -> None:
    assert laptop.is_told("show").endswith("holds no identity; make one with `pynet key new`")


def test_a_second_new_leaves_the_first_as_it_is(laptop: Device) -> None:
    made = laptop.says("new")
    assert "there is one already" in laptop.is_told("new")
    assert laptop.says("show") in made


def test_who_is_revoked_is_off_the_list(laptop: Device, car: Device) -> None:
    word = certificate_in(laptop.says("new"))
    car.says("trust", word, "--name", "laptop", "--role", "driver")
    assert "laptop is trusted no longer; it was driver" in car.says("revoke", "laptop")
    assert "nobody is trusted yet" in car.types("list").stderr
    assert "no trusted device is called 'laptop'; known: nobody" in car.is_told("revoke", "laptop")


@pytest.mark.parametrize("word", ["", "hello", "AAAA", "MIIBEDCBw6ADAgECAgEBMAUGAytlcDArMSkwJwYDVQQDDCA="])
def test_a_word_that_is_no_certificate_is_not_trusted(car: Device, word: str) -> None:
    assert "not trusted: " in car.is_told("trust", word, "--name", "x", "--role", "viewer")
    assert not (car.folder / "trusted").exists()


def test_a_name_of_two_words_is_refused_before_anything_is_written(laptop: Device, car: Device) -> None:
    word = certificate_in(laptop.says("new"))
    assert "one word" in car.is_told("trust", word, "--name", "my laptop", "--role", "viewer")
    assert not (car.folder / "trusted").exists()


def test_a_role_that_is_none_is_refused_with_those_there_are(laptop: Device) -> None:
    result = laptop.types("trust", "x", "--name", "x", "--role", "boss")
    assert result.exit_code == 2
    assert "'gateway', 'viewer', 'driver', 'admin'," in result.output


def test_a_person_is_told_when_pynet_key_takes_the_place_of_the_identity(
    laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop.says("new")
    monkeypatch.setenv("PYNET_KEY", "sixteen letters or more")
    assert "PYNET_KEY is set" in laptop.types("show").stderr


@pytest.mark.parametrize("port", ["65536", "-1", "door"])
def test_a_port_to_pair_on_that_is_none_is_wrong_use(port: str) -> None:
    done = CliRunner().invoke(pynet, ["pair", "--serve", "--port", port])
    assert (done.exit_code, "Invalid value for '--port'" in done.output) == (2, True), done.output


def test_with_json_every_verb_says_what_the_page_promises(laptop: Device, car: Device) -> None:
    made = json.loads(laptop.says("new", "--json"))
    assert made == json.loads(laptop.says("show", "--json"))
    assert [set(made)] == json_keys("pynet key new") == json_keys("pynet key show")
    device = {"name": "laptop", "role": "driver", "fingerprint": made["fingerprint"]}
    named = ("--name", "laptop", "--role", "driver", "--json")
    assert json.loads(car.says("trust", made["certificate"], *named)) == device
    assert json.loads(car.says("list", "--json")) == device
    assert json.loads(car.says("revoke", "laptop", "--json")) == device
    for verb in ("trust", "list", "revoke"):
        assert json_keys(f"pynet key {verb}") == [set(device)]
