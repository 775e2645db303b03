"""Drives steadily and can be killed: `python -m pi_agent.selftest.driver HOST PORT HOME THROTTLE`.

HOST '' is this machine; HOME a folder with the identity to show and the robot
to believe, '' where none is asked for.  SIGUSR1 hangs its loop while all its
other threads live on.  Exit code 3: the robot would not have it; stderr says why.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pi_agent.procs import die_with_parent
from pynet_car.messages import Priority
from pynet_car.operator import Operator
from pynet_core.errors import PynetError
from pynet_core.keys import Identity
from pynet_core.trust import TRUST_FILE, TrustStore

PERIOD_S: Final = 0.02
NAME: Final = "selftest driver"
DEVICE: Final = "selftest"  # who looks on, and what the robot trusts both as
EXIT_REFUSED: Final = 3


@dataclass(frozen=True, slots=True)
class Door:
    """How to get in to the robot on this machine."""

    host: str  # '' is this machine
    port: int
    home: str  # a folder with identity and trust; '' where the robot asks for none

    def open(self, name: str, priority: Priority) -> Operator:
        """One more operator.

        Raises:
            LinkError: It does not let us in.
        """
        identity = Identity.load(Path(self.home)) if self.home else None
        trust = TrustStore(Path(self.home) / TRUST_FILE) if self.home else None
        return Operator(self.host, self.port, name=name, priority=priority, identity=identity, trust=trust)


def drive(door: Door, throttle: float) -> None:
    with door.open(NAME, Priority.SCRIPT) as car:  # a script: any person may take over
        car.arm()
        while True:
            car.wish(throttle, 0.0)
            time.sleep(PERIOD_S)


def _freeze(number: int, frame: object) -> None:
    time.sleep(3600)


if __name__ == "__main__":
    die_with_parent()
    signal.signal(signal.SIGUSR1, _freeze)
    host, port, home, throttle = sys.argv[1:]
    try:
        drive(Door(host, int(port), home), float(throttle))
    except PynetError as exc:
        print(f"{NAME}: {exc}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
