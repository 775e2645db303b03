"""Gateways are found from another machine, over a network that is real but for its cable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.core.shell import PYNET, json_keys
from tests.system.two_machines import Machine, NoNamespaces, two_machines

pytestmark = [pytest.mark.system, pytest.mark.root, pytest.mark.shared]

LATER = "192.0.2.77"
KEY = "a key of this test, and of nothing else"
NAME = "my.rover \x1b[31m"
GATEWAY = f"""
import sys
from pynet_core.gateway import Gateway
with Gateway(1857, name={NAME!r}, announce=True, kind="rover") as gateway:
    print(gateway.fingerprint, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    try:
        with two_machines() as machines:
            yield machines
    except NoNamespaces as exc:
        pytest.skip(str(exc))


class Robot:
    """A gateway on a machine, until `stop`."""

    def __init__(self, machine: Machine) -> None:
        command = [*machine.inside, sys.executable, "-c", GATEWAY]
        environment = {**os.environ, "PYNET_KEY": KEY}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.fingerprint = self._process.stdout.readline().strip()

    def stop(self) -> None:
        self._process.communicate(timeout=20)
        assert self._process.returncode == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def find(machine: Machine, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*machine.inside, *PYNET, "find", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def found(machine: Machine, wanted: int) -> list[dict[str, Any]]:
    """The gateways that are told of there, as soon as so many addresses are."""
    until_s = time.monotonic() + 40.0
    while True:
        done = find(machine, "--json", "--seconds", "1")
        assert done.returncode == (0 if done.stdout else 1), done.stderr
        gateways = [json.loads(line) for line in done.stdout.splitlines()]
        if sum(len(gateway["addresses"]) for gateway in gateways) == wanted:
            return gateways
        assert time.monotonic() < until_s, gateways
        time.sleep(0.2)


def test_a_gateway_is_found_by_ipv6_alone_and_called_by_what_was_told(
    machines: tuple[Machine, Machine],
) -> None:
    there, here = machines
    for machine, address in ((there, "fd00::1"), (here, "fd00::2")):
        ip = [*machine.inside, "ip"]
        subprocess.run([*ip, "-4", "address", "flush", "dev", "eth0"], check=True)
        subprocess.run([*ip, "address", "add", f"{address}/64", "dev", "eth0", "nodad"], check=True)
    robot = Robot(there)
    try:
        assert addresses_that_answer(here, lambda said: said == ["fd00::1"])
        fewer = [*there.inside, "ip", "address", "del", "fd00::1/64", "dev", "eth0"]
        subprocess.run(fewer, check=True)
        assert addresses_that_answer(here, lambda said: said != ["fd00::1"])[0].startswith("fe80::")
        robot.stop()
    finally:
        robot.kill()


def addresses_that_answer(here: Machine, is_wanted: Callable[[list[str]], bool]) -> list[str]:
    """Of the one gateway that is found, as soon as they are so; each has been pinged."""
    until_s = time.monotonic() + 40.0
    while not is_wanted(said := found(here, 1)[0]["addresses"]):
        assert time.monotonic() < until_s, said
    for address in said:
        call = [*here.inside, *PYNET, "ping", f"[{address}]:1857", "--count", "1"]
        subprocess.run(
            call, env={**os.environ, "PYNET_KEY": KEY}, check=True, capture_output=True, timeout=60
        )
    return list(said)


def test_a_gateway_is_found_with_all_it_takes_to_call_it_and_gone_when_it_stops(
    machines: tuple[Machine, Machine],
) -> None:
    there, here = machines
    robot = Robot(there)
    try:
        (gateway,) = found(here, 1)
        assert [set(gateway)] == json_keys("pynet find")
        assert (gateway["name"], gateway["port"], gateway["tls"]) == (NAME, 1857, True)
        assert gateway["addresses"] == [there.address]
        assert gateway["kind"] == "rover"
        assert robot.fingerprint.startswith(gateway["fingerprint"])
        assert len(gateway["fingerprint"]) == 16
        shown = find(here, "--seconds", "1")
        assert shown.stdout.startswith("my.rover \ufffd[31m  rover  "), "it colours nobody's terminal"
        assert f"  {there.address}  1857  TLS  {gateway['fingerprint']}\n" in shown.stdout
        where = f"{gateway['addresses'][0]}:{gateway['port']}"
        call = [*here.inside, *PYNET, "ping", where, "--count", "1"]
        environment = {**os.environ, "PYNET_KEY": KEY}
        subprocess.run(call, env=environment, check=True, capture_output=True, timeout=60)

        more = [*there.inside, "ip", "address", "add", f"{LATER}/24", "dev", "eth0"]
        subprocess.run(more, check=True)
        assert found(here, 2)[0]["addresses"] == [there.address, LATER], "an address that came later"

        robot.stop()
        gone = find(here, "--seconds", "0.5")
        assert (gone.returncode, gone.stdout) == (1, "")
        assert "no gateway has told of itself within 0.5 s; call one by its address" in gone.stderr
    finally:
        robot.kill()
