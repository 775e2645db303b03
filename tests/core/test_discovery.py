"""What a gateway tells the network of itself; `tests/system/test_find.py` has the network."""

from __future__ import annotations

import sys
import threading

import pytest
from click.testing import CliRunner

from pi_agent.worker import can_announce
from pynet_core.cli import pynet
from pynet_core.discovery import (
    MAX_LABEL_BYTES,
    Announcement,
    find_gateways,
    label_of,
    own_addresses,
    told_addresses,
)
from pynet_core.errors import ConfigError
from pynet_core.gateway import Gateway
from tests.core.loopback import controller_of, serving

LINK = ("fe80::1", 0, 2)  # as ifaddr has it
MACHINE: list[str | tuple[str, int, int]] = [
    "127.0.0.1",
    ("::1", 0, 0),
    LINK,
    ("fd00::7", 0, 0),
    "192.0.2.7",
    "198.51.100.1",
]


@pytest.fixture
def without_zeroconf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("0.0.0.0", ["192.0.2.7", "198.51.100.1"]),
        ("::", ["192.0.2.7", "198.51.100.1", "fd00::7"]),
        ("fd00::7", ["fd00::7"]),
        ("198.51.100.1", ["198.51.100.1"]),
        ("127.0.0.1", []),
        ("::1", []),
        ("203.0.113.1", []),
        ("rover.local", []),
        ("fe80::1%eth0", ["fe80::1"]),
    ],
)
def test_addresses_are_told_under_which_others_can_call(host: str, told: list[str]) -> None:
    assert own_addresses(host, MACHINE) == told


def test_a_link_local_address_is_told_where_there_is_no_other() -> None:
    assert own_addresses("::", [("::1", 0, 0), LINK]) == ["fe80::1"]
    assert own_addresses("::", [LINK, ("fd00::7", 0, 0)]) == ["fd00::7"]
    assert own_addresses("0.0.0.0", [LINK]) == []


def test_a_link_local_address_is_worth_nothing_without_its_interface() -> None:
    heard = ["fe80::1", "fe80::2%3", "fd00::7", "192.0.2.7", "192.0.2.7"]
    assert told_addresses(heard) == ["192.0.2.7", "fd00::7", "fe80::2%3"]


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
