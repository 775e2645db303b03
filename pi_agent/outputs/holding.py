"""One guardian to a motor, where the kernel does not see to it itself.

A line of a GPIO chip has one owner.  The channels of kernel PWM and of a
PCA9685 have none: two agents with runtime directories of their own, the
service's and one that was started by hand, would both turn that motor, and
the e-stop of one would mean nothing to the other.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from pi_agent.neutral import NeutralWrite
from pynet_core.errors import HardwareError


def hold(writes: Iterable[NeutralWrite], ending: ExitStack) -> None:
    """Be the only one who has the outputs of these writes, until `ending`, or our death, lets go of them.

    Raises:
        HardwareError: Another agent has one of them.
    """
    for kind, path, place, _ in writes:
        if kind not in ("pwm", "pca9685"):
            continue
        # An abstract name is nobody's file: it needs no folder that two users may write, and dies with us.
        what = hashlib.sha256(f"{kind} {path} {place}".encode()).hexdigest()[:32]
        name = ending.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            name.bind(f"\0pynet-agent-output-{what}")
        except OSError as exc:
            raise HardwareError(
                f"another agent has the motor on {kind} {place} of {path}; stop it first "
                "(the service:  sudo systemctl stop pynet-agent)"
            ) from exc
