"""Two machines on one cable, as far as programs can tell: network namespaces and a veth pair."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

ADDRESSES: Final = ("192.0.2.1", "192.0.2.2")  # kept for documents: nobody's


class NoNamespaces(Exception):
    """This machine cannot make them; says why."""


@dataclass(frozen=True, slots=True)
class Machine:
    address: str
    inside: tuple[str, ...]  # before a command: run it there


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Each sees the other and itself, and nothing else.

    Raises:
        NoNamespaces
    """
    if os.geteuid() != 0:
        raise NoNamespaces("needs root: makes network namespaces")
    names = [f"pynet-{os.getpid()}-{end}" for end in "ab"]
    with contextlib.ExitStack() as ending:
        for name in names:
            _ip("netns", "add", name)
            ending.callback(_ip, "netns", "del", name)
        near, far = names
        _ip("-n", near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far)
        for name, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", name, "link", "set", link, "up")
        machines = [Machine(a, ("ip", "netns", "exec", n)) for n, a in zip(names, ADDRESSES, strict=True)]
        yield machines[0], machines[1]


def _ip(*arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError as exc:
        raise NoNamespaces("needs iproute2: apt-get install iproute2") from exc
    except subprocess.CalledProcessError as exc:
        raise NoNamespaces(f"ip {' '.join(arguments)}: {exc.stderr.strip()}") from exc
