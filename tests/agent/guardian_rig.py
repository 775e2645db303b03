"""A Guardian on fake outputs, its clock and the worker's end of its link in our hands."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from msgspec import Struct

from pi_agent.config import AgentConfig, ProximityConfig
from pi_agent.diary import Diary, read_latch
from pi_agent.guardian import Guardian
from pi_agent.link import CameraSeen, GuardianLink, Labelled, Request, Result, ToGuardian, ToWorker
from pi_agent.neutral import NeutralWrite
from pynet_car.messages import (
    Arm,
    DriveCommand,
    Event,
    Lease,
    Odometry,
    Priority,
    Reading,
    ReadingState,
    Scan,
    State,
    Status,
    Verdict,
)
from pynet_core.errors import HardwareError
from tests.agent.failsafe_rig import Ask

MS = 1_000_000
ADA = "ada" * 10
NO_SENSORS = AgentConfig(proximity=ProximityConfig(heads=()))
CONFIG = AgentConfig()


class FakeDrivetrain:
    """In memory; keeps all it was told."""

    describe = "fake"

    def __init__(self) -> None:
        self.puts: list[tuple[float, float]] = []
        self.is_broken = False

    def neutral_writes(self) -> tuple[NeutralWrite, ...]:
        return ()

    def claim(self) -> None:
        self.puts.append((0.0, 0.0))

    def set(self, duty: float, steering: float) -> None:
        if self.is_broken:
            raise HardwareError("broken")
        self.puts.append((duty, steering))

    def neutral(self) -> None:
        self.puts.append((0.0, 0.0))

    def close(self) -> None:
        self.neutral()

    @property
    def duty(self) -> float:
        return self.puts[-1][0]


class GuardianRig:
    """`tick` is 10 ms; between ticks, act as the worker: `send`, `ask`, `drive`."""

    def __init__(self, state_dir: Path, config: AgentConfig = NO_SENSORS) -> None:
        self.drivetrain = FakeDrivetrain()
        self.drivetrain.claim()
        self.diary = Diary(state_dir, retry_s=0.01)
        self._sessions = iter(range(500, 10**6))
        self.guardian = Guardian(
            config,
            self.drivetrain,
            self.diary,
            e_stopped=read_latch(state_dir),
            mint=lambda: next(self._sessions),
        )
        self.now = 100_000 * MS
        self.statuses: list[Status] = []
        self.results: list[Result] = []
        self.events: list[Event] = []
        self._id = 0
        self._seq = 0
        self.sees = True  # the camera works
        self.attach()
        self.tick()

    def attach(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.worker_socket = theirs
        self.worker = GuardianLink(theirs, ToWorker)
        self.guardian.attach(GuardianLink(ours, ToGuardian))

    def close(self) -> None:
        self.guardian.detach(self.now)
        self.worker.close()
        self.diary.close()

    @property
    def status(self) -> Status:
        return self.statuses[-1]

    @property
    def duty(self) -> float:
        return self.drivetrain.duty

    def state(self) -> State:
        return self.status.state

    def send(self, message: Struct) -> None:
        assert self.worker.send(message)

    def tick(self, ms: float = 10) -> None:
        self.now += round(ms * MS)
        if self.sees and self.guardian.link is not None and self.worker_socket.fileno() >= 0:
            self.send(CameraSeen(captured_ns=self.now))
        self.guardian.step(self.now)
        self.listen()

    def listen(self) -> None:
        if self.worker_socket.fileno() < 0 or self.guardian.link is None:
            return
        while (message := self.worker.receive()) is not None:
            match message:
                case Status():
                    self.statuses.append(message)
                case Result():
                    self.results.append(message)
                case Event():
                    self.events.append(message)

    def request(self, event: Ask, peer: str = ADA) -> Request:
        self._id += 1
        return Request(id=self._id, peer=peer, peer_name=peer[:3].title(), event=event)

    def ask(self, event: Ask, peer: str = ADA) -> Result:
        self.send(self.request(event, peer))
        self.tick()
        assert self.results[-1].id == self._id
        return self.results[-1]

    def drive(self, throttle: float, steering: float = 0.0, *, ms: float = 10) -> None:
        self._seq += 1
        command = DriveCommand(
            session=self.status.session,
            seq=self._seq,
            throttle=throttle,
            steering=steering,
            answers_ns=self.status.stamp_ns,
        )
        self.send(Labelled(peer=ADA, command=command))
        self.tick(ms)

    def drive_for(self, ms: int, throttle: float, steering: float = 0.0) -> None:
        for _ in range(ms // 10):
            self.drive(throttle, steering)

    def arm(self, priority: Priority = Priority.HUMAN) -> None:
        assert self.ask(Lease(priority=priority)).code is Verdict.TAKEN
        assert self.ask(Arm(answers_ns=self.status.stamp_ns)).code is Verdict.TAKEN
        self.drive(0.0)
        assert self.state() is State.ARMED

    def scan(self, ranges_m: Sequence[float], *, age_ms: float = 0.0) -> None:
        readings = [
            Reading(
                channel=head.name,
                seq=1,
                captured_ns=self.now - round(age_ms * MS),
                value=range_m,
                unit="m",
                state=ReadingState.OK,
            )
            for head, range_m in zip(CONFIG.proximity.heads, ranges_m, strict=True)
        ]
        self.send(Scan(readings=tuple(readings)))

    def odometry(self, velocity_mps: float) -> None:
        self.send(
            Odometry(
                seq=1,
                captured_ns=self.now,
                left_ticks=0,
                right_ticks=0,
                distance_m=0.0,
                x_m=0.0,
                y_m=0.0,
                heading_rad=0.0,
                velocity_mps=velocity_mps,
                yaw_rate_radps=0.0,
            )
        )


def with_max_throttle(value: float) -> AgentConfig:
    return replace(NO_SENSORS, drive=replace(NO_SENSORS.drive, max_throttle=value))
