"""A car without a motor: a real gateway that offers what the agent offers, and remembers what it was told.

No failsafe and no lease rules, on purpose: what the Operator sends and when is
what is looked at here.  The real rules meet the real Operator in tests/system.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace

from pynet_car.messages import (
    Arm,
    DriveCommand,
    DrivePath,
    Lease,
    State,
    Status,
    Verdict,
    decode,
    decode_command,
    encode,
)
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity
from pynet_core.subroutines import caller
from pynet_core.trust import TrustStore

PERIOD_S = 0.02


@dataclass
class Told:
    """One DriveCommand, when it came, and on which pair."""

    command: DriveCommand
    at_s: float
    pair_id: str


@dataclass
class FakeCar:
    port: int = 0
    verdict: Verdict = Verdict.TAKEN  # the answer to every request
    is_silent: bool = False  # sends no Status
    arms_at_once: bool = True
    lease_takes_s: float = 0.0
    told: list[Told] = field(default_factory=list)
    paths: list[tuple[DrivePath, str]] = field(default_factory=list)  # and on which pair
    asked: list[str] = field(default_factory=list)
    brought: dict[str, bytes] = field(
        default_factory=dict
    )  # what the newest request of each name had with it
    identity: Identity | None = None  # with one it speaks TLS, and believes `trust`
    trust: TrustStore | None = None
    garbage: bytes = b""  # sent as one more Status when set

    def __post_init__(self) -> None:
        self.status = Status(
            boot=1, stamp_ns=time.monotonic_ns(), state=State.DISARMED, reason="just started"
        )
        self._lock = threading.Lock()
        self.gateway = Gateway(
            self.port, max_poolsize=64, host="127.0.0.1", identity=self.identity, trust=self.trust
        )
        add = self.gateway.add_subroutine
        add("status", self._statuses, keep="latest")
        add("drive", self._drive)
        for name in ("lease", "release", "arm", "disarm", "reset", "e_stop"):
            add(name, getattr(self, f"_{name}", None) or self._note(name))
        self.gateway.start()
        self.port = self.gateway.port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.stop()

    def set(self, **changes: Any) -> None:
        """Change what the next Status says."""
        with self._lock:
            self.status = replace(self.status, **changes)

    def commands(self) -> list[DriveCommand]:
        """Distinct commands, in order of seq."""
        return [by_seq for _, by_seq in sorted({t.command.seq: t.command for t in self.told}.items())]

    def _statuses(self) -> Iterator[bytes]:
        while self.gateway.is_running:  # else a silent one would outlive it, and its thread with it
            if not self.is_silent:
                if self.garbage:
                    yield self.garbage
                self.set(stamp_ns=time.monotonic_ns())
                yield encode(self.status)
            time.sleep(PERIOD_S)

    def _drive(self, buffer: bytes) -> int:
        command = decode_command(buffer)
        if isinstance(command, DriveCommand):
            self.told.append(Told(command, time.monotonic(), caller().pair_id))
        else:
            self.paths.append((command, caller().pair_id))
        if self.status.state is State.ARMING and self.arms_at_once:
            self.set(state=State.ARMED, reason="driving")
        return 0

    def _lease(self, buffer: bytes) -> int:
        decode(buffer, Lease)
        self.asked.append("lease")
        time.sleep(self.lease_takes_s)
        if self.verdict is Verdict.TAKEN:
            self.set(holder=caller().controller_id, holder_name=caller().name, session=77)
        return self.verdict

    def _arm(self, buffer: bytes) -> int:
        decode(buffer, Arm)
        self.asked.append("arm")
        if self.verdict is Verdict.TAKEN:
            self.set(state=State.ARMING, reason="arming")
        return self.verdict

    def _note(self, name: str) -> Any:
        becomes = {"disarm": State.DISARMED, "reset": State.DISARMED, "e_stop": State.E_STOP}

        def note(buffer: bytes = b"") -> int:
            self.brought[name] = buffer
            self.asked.append(name)
            if name in becomes and self.verdict is Verdict.TAKEN:
                self.set(state=becomes[name], reason=name)
            return self.verdict

        return note
