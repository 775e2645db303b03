"""This laptop's keys as the window uses them: read when needed, made when first paired, forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.keyring import Keyring
from pynet_core.errors import ConfigError
from pynet_core.keys import Identity, home
from pynet_core.trust import Trusted, TrustStore

ROBOT = Identity.new()
BOTH = Identity.new()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    store = TrustStore(tmp_path / "trusted")
    store.add(Trusted("gateway", "rover", ROBOT.certificate))
    store.add(Trusted("gateway+driver", "both", BOTH.certificate))
    store.add(Trusted("driver", "tablet", Identity.new().certificate))
    return Keyring(tmp_path)


def test_without_an_identity_there_are_no_keys_until_they_are_made_and_then_they_stay(tmp_path: Path) -> None:
    assert Keyring(tmp_path / "new").load() is None
    made = Keyring(tmp_path / "new").load_or_make()
    assert Keyring(tmp_path / "new").load_or_make().identity == made.identity
    kept = Keyring(tmp_path / "new").load()
    assert kept is not None and kept.identity == made.identity


def test_it_knows_robots_only_and_only_after_it_has_looked(keyring: Keyring, tmp_path: Path) -> None:
    assert not keyring.is_known(ROBOT.fingerprint)
    keyring.look()
    assert keyring.is_known(ROBOT.fingerprint) and keyring.is_known(BOTH.fingerprint)
    for device in TrustStore(tmp_path / "trusted").devices:
        assert keyring.is_known(device.fingerprint) is (device.name != "tablet")
    assert not keyring.is_known("")


def test_a_robot_that_is_forgotten_is_off_the_list_unless_it_may_call_us(
    keyring: Keyring, tmp_path: Path
) -> None:
    for fingerprint in (ROBOT.fingerprint, BOTH.fingerprint, "0" * 64):
        keyring.forget(fingerprint)
    assert {device.name for device in TrustStore(tmp_path / "trusted").devices} == {"both", "tablet"}
    assert not keyring.is_known(ROBOT.fingerprint)


def test_a_list_that_others_can_change_is_no_list_but_looking_does_no_harm(
    keyring: Keyring, tmp_path: Path
) -> None:
    keyring.look()
    (tmp_path / "trusted").chmod(0o666)
    keyring.look()
    assert keyring.is_known(ROBOT.fingerprint), "what was read last"
    with pytest.raises(ConfigError, match="can be changed by others"):
        keyring.load()


def test_by_default_it_is_that_of_pynet_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path / "home"))
    made = Keyring().load_or_make().identity
    assert Identity.load(home()) == made


def test_the_shared_secret_counts_as_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNET_KEY", "sixteen characters and more")
    keyring = Keyring(tmp_path)
    keyring.look()
    assert keyring.is_known(Identity.from_secret("sixteen characters and more").fingerprint)
