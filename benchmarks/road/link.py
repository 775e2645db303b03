"""The link: two namespaces, and the tests' relay between them, which makes it thin, far or poor.

It is thin in the middle, not in the sender's own kernel (by tbf, say): there
TCP would see its own queue and keep it short, which it cannot in an access point.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.system.link import ROBOT_IP, Link
from tests.system.relay import Way
from tests.system.two_machines import NoNamespaces, two_machines

NETNS: Final = Path("/run/netns")
# Fills every queue, as cubic does, which a new namespace does not have.
CONGESTION: Final = "reno"


@dataclass(frozen=True, slots=True)
class Road:
    """Two machines at its ends: prefixes and files of their namespaces."""

    robot: Path
    driver: Path
    link: Link
    host: str = ROBOT_IP

    def at(self, namespace: Path) -> tuple[str, ...]:
        """Before a command: run it there."""
        return ("ip", "netns", "exec", namespace.name)


@contextlib.contextmanager
def road(way: Way) -> Iterator[Road]:
    """Like this both ways; `Road.link` changes it.

    Raises:
        NoNamespaces: Not here, says why.
    """
    with contextlib.ExitStack() as stack:
        robot, driver = (NETNS / machine.inside[-1] for machine in stack.enter_context(two_machines()))
        made = Road(robot, driver, stack.enter_context(Link(robot, driver)))
        for namespace in (robot, driver):
            _run(*made.at(namespace), "sysctl", "-qw", f"net.ipv4.tcp_congestion_control={CONGESTION}")
        made.link.shape(way)
        yield made


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as exc:
        raise NoNamespaces(f"needs {exc.filename}") from exc
    except subprocess.CalledProcessError as exc:
        raise NoNamespaces(f"{' '.join(command)}: {exc.stderr.strip()}") from exc
