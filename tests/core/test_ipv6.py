"""IPv6 from end to end: gateways, what they make of a caller's address, pairing, and addresses as typed."""

from __future__ import annotations

import queue
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from pynet_core.admission import plain_ip
from pynet_core.cli_gateway import split_address
from pynet_core.controller import Controller
from pynet_core.keys import Identity
from pynet_core.pairing_link import ask_pairing, host_pairing
from pynet_core.trust import TrustStore
from tests.core.loopback import serving
from tests.core.shell import PYNET


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return socket.has_dualstack_ipv6()
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
IDENTITY = Identity.from_secret("a secret of these tests, and of nothing else")


@pytest.mark.parametrize("identity", [None, IDENTITY])
def test_a_gateway_listens_on_ipv6(identity: Identity | None) -> None:
    with (
        serving(host="::1", identity=identity) as gateway,
        Controller("::1", gateway.port, identity=identity).get_client() as client,
    ):
        assert client.ping("over IPv6").rtt_ns > 0


def test_one_that_listens_everywhere_hears_both_and_knows_who_is_near() -> None:
    with serving(identity=IDENTITY) as gateway:
        for host in ("127.0.0.1", "::1"):
            with Controller(host, gateway.port, identity=IDENTITY).get_client() as client:
                assert client.ping().rtt_ns > 0
                (address,) = (handler.ip for handler in gateway.pool.live)
                assert address == host


@pytest.mark.parametrize(
    ("ip", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1%eth0")],
)
def test_an_address_of_ipv4_is_one_whatever_socket_it_came_to(ip: str, plain: str) -> None:
    assert plain_ip(ip) == plain


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_devices_pair_over_ipv6_too(host: str) -> None:
    shown: queue.Queue[tuple[str, int]] = queue.Queue()
    car, laptop = Identity.new(), Identity.new()
    lists = TrustStore(), TrustStore()

    def show(code: str, port: int) -> None:
        shown.put((code, port))

    def pair() -> None:
        host_pairing(car, lists[0], show, name="car", role="driver", port=0, timeout_s=20.0)

    hosting = threading.Thread(target=pair)
    hosting.start()
    code, port = shown.get(timeout=20)
    paired = ask_pairing(laptop, lists[1], host, code, name="laptop", port=port)
    hosting.join()
    assert (paired.gateway.name, paired.role) == ("car", "driver")
    assert [device.name for device in lists[0].devices] == ["laptop"]


@pytest.mark.parametrize(
    ("typed", "where"),
    [
        ("[::1]:19000", ("::1", 19000)),
        ("[fe80::1%wlan0]:1857", ("fe80::1%wlan0", 1857)),
        ("fe80::1%wlan0", ("fe80::1%wlan0", None)),
        ("::1", ("::1", None)),
    ],
)
def test_an_address_of_ipv6_can_be_typed(typed: str, where: tuple[str, int | None]) -> None:
    assert split_address(typed) == where


def test_a_link_local_address_is_called_through_the_interface_it_names() -> None:
    """Every interface may have the same one."""
    own = _link_local()
    if not own:
        pytest.skip("no interface here has a link-local address")
    with (
        serving(identity=IDENTITY) as gateway,
        Controller(own[0], gateway.port, identity=IDENTITY).get_client() as client,
    ):
        assert client.ping().rtt_ns > 0


def _link_local() -> list[str]:
    found = []
    table = Path("/proc/net/if_inet6")
    for line in table.read_text().splitlines() if table.exists() else ():
        address, _, _, scope, _, name = line.split()
        if scope == "20":
            found.append(":".join(address[at : at + 4] for at in range(0, 32, 4)) + f"%{name}")
    return found


@pytest.mark.slow
def test_the_command_line_reaches_a_gateway_over_ipv6() -> None:
    with serving(host="::1") as gateway:
        command = [*PYNET, "ping", f"[::1]:{gateway.port}", "--count", "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
