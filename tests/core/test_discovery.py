"""What a gateway tells the network of itself; `tests/system/test_find.py` has the network."""

from __future__ import annotations

import sys
import threading

import pytest
from click.testing import CliRunner

from pi_agent.worker import can_announce
from pynet_core.cli import pynet
from pynet_core.discovery import MAX_LABEL_BYTES, Announcement, find_gateways, label_of, own_addresses
from pynet_core.errors import ConfigError
from pynet_core.gateway import Gateway
from tests.core.loopback import controller_of, serving

MACHINE = ["127.0.0.1", "192.0.2.7", "198.51.100.1", ("fe80::1", 0, 2)]


@pytest.fixture
def without_zeroconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("0.0.0.0", ["192.0.2.7", "198.51.100.1"]),
        ("::", ["192.0.2.7", "198.51.100.1"]),
        ("198.51.100.1", ["198.51.100.1"]),
        ("127.0.0.1", []),
        ("203.0.113.1", []),
        ("fe80::1", []),
    ],
)
def test_addresses_are_told_under_which_others_can_call(host: str, told: list[str]) -> None:
    assert own_addresses(host, MACHINE) == told


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("pynet car", "pynet car"),
        ("my.rover  \x1b[31m", "my rover [31m"),
        ("", "gateway"),
        ("...", "gateway"),
        ("größe", "größe"),
        ("é" * 99, "é" * 29),
    ],
)
def test_any_name_becomes_a_label(name: str, label: str) -> None:
    assert label_of(name) == label
    assert len(label.encode()) < MAX_LABEL_BYTES


def test_a_gateway_that_only_this_machine_can_call_is_never_announced() -> None:
    with serving(announce=True) as gateway:
        assert gateway.host == "127.0.0.1"
        assert "pynet announce" not in {thread.name for thread in threading.enumerate()}
    Announcement("x", "127.0.0.1", 1857).stop()


def test_without_the_library_asking_for_it_is_an_error_that_says_what_to_type(without_zeroconf: None) -> None:
    with pytest.raises(ConfigError, match="pip install zeroconf"):
        Gateway(0, announce=True)
    with pytest.raises(ConfigError, match="pip install zeroconf"):
        find_gateways(0.0)
    assert "pip install zeroconf" in str(CliRunner().invoke(pynet, ["find"]).exception)


def test_without_the_library_all_else_works_and_a_robot_drives(
    without_zeroconf: None, caplog: pytest.LogCaptureFixture
) -> None:
    with serving() as gateway, controller_of(gateway).get_client() as client:
        client.ping()
    assert not can_announce()
    assert "not announced: " in caplog.text
