"""Where files are moved: this machine, or two namespaces with a link that is slow, far or poor."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.moving.running import Place
from tests.system.link import ROBOT_IP, Link
from tests.system.relay import Way
from tests.system.two_machines import Machine, NoNamespaces, two_machines

NETNS: Final = Path("/run/netns")
CONGESTION: Final = "/proc/sys/net/ipv4/tcp_congestion_control"


@dataclass(frozen=True, slots=True)
class Wire:
    """A link between two machines; the same both ways."""

    name: str
    mbit_per_s: float
    rtt_ms: float = 10.0
    loss: float = 0.0  # [0, 1], of packets each way
    mtu: int = 1500  # bytes; larger ones where our relay, in Python, could not keep up
    congestion: str = "reno"  # what TCP does about loss; Linux's own default, cubic, is in no new namespace

    def way(self) -> Way:
        return Way(delay_s=self.rtt_ms / 2000, loss=self.loss, rate_bps=self.mbit_per_s * 1e6)


@contextlib.contextmanager
def loopback() -> Iterator[Place]:
    yield Place()


@contextlib.contextmanager
def over(wire: Wire) -> Iterator[Place]:
    """Raises:
    NoNamespaces: Not here, says why.
    """
    with contextlib.ExitStack() as stack:
        server, mover = stack.enter_context(two_machines())
        near, far = (NETNS / machine.inside[-1] for machine in (server, mover))
        link = stack.enter_context(Link(near, far, mtu=wire.mtu))
        link.shape(wire.way())
        for machine in (server, mover):
            _set_congestion(machine, wire.congestion)
        yield Place(ROBOT_IP, server.inside, mover.inside)


def _set_congestion(machine: Machine, name: str) -> None:
    try:
        subprocess.run(
            [*machine.inside, "tee", CONGESTION], input=name, text=True, check=True, capture_output=True
        )
    except subprocess.CalledProcessError as exc:
        raise NoNamespaces(f"no TCP {name} here: {exc.stderr.strip()}") from exc
