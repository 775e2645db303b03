"""A guardian in the simulated world, and somebody who sends it paths over a slow link; no clock runs.

The guardian is the real one, behind its real link; motor and servo are the
board's, its odometry is made of the world's own edges, its rangers hear the
world's walls.  Ten seconds of driving take about one.
"""

from __future__ import annotations

import math
import random
import socket
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from pi_agent.config import AgentConfig
from pi_agent.diary import Diary
from pi_agent.guardian import Guardian
from pi_agent.link import CameraSeen, GuardianLink, Labelled, Request, Result, ToGuardian, ToWorker
from pi_agent.neutral import NeutralWrite
from pynet_car.messages import (
    Arm,
    DriveCommand,
    DrivePath,
    Lease,
    PathPoint,
    Priority,
    Reading,
    ReadingState,
    Scan,
    State,
    Status,
    Verdict,
)
from pynet_car.odometry import Odometer, Wheel
from pynet_car.world.board import Board, EdgeReader, Pose
from pynet_car.world.ranges import sonar_ranges
from pynet_car.world.track import Box, Track
from pynet_car.world.wiring import WIRING
from pynet_car.world.world import STEP_NS, World
from tests.agent.failsafe_rig import Ask

MS: Final = 1_000_000
PEER: Final = "net" * 10
TICK_NS: Final = 2 * STEP_NS
SERVO_HZ: Final = 50.0


class BoardDrivetrain:
    """The simulated car's motor and servo."""

    describe = "board"

    def __init__(self, board: Board) -> None:
        self._board = board
        self.duty = self.steering = 0.0

    def neutral_writes(self) -> tuple[NeutralWrite, ...]:
        return ()

    def claim(self) -> None:
        self.neutral()

    def set(self, duty: float, steering: float) -> None:
        self.duty, self.steering = duty, steering
        self._board.set_output(WIRING.forward_pin, max(0.0, duty), 100.0)
        self._board.set_output(WIRING.backward_pin, max(0.0, -duty), 100.0)
        pulse_s = WIRING.servo_centre_s + WIRING.servo_throw_s * steering
        self._board.set_output(WIRING.steering_pin, pulse_s * SERVO_HZ, SERVO_HZ)

    def neutral(self) -> None:
        self.set(0.0, 0.0)

    def close(self) -> None:
        self.neutral()


@dataclass
class Way:
    """To the car: `delay_ms` and up to `jitter_ms` more, `loss` of what is sent; nothing when dead."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    is_dead: bool = False
    queue: deque[tuple[int, Labelled]] = field(default_factory=deque)


class PathWorld:
    """`run` lets time pass; what happens meanwhile is asked of `guardian`, `pose` and `status`."""

    def __init__(
        self,
        folder: Path,
        track: Track,
        way: Way | None = None,
        *,
        config: AgentConfig | None = None,
        seed: int = 1,
    ) -> None:
        self.track, self.way = track, way or Way()
        self._walls = track.obstacles
        self._random = random.Random(seed)
        self._board = Board.open(folder / "board")
        self._edges = EdgeReader(self._board)
        self.drivetrain = BoardDrivetrain(self._board)
        self.drivetrain.claim()
        self.world = World(self._board, track, start_ns=100_000 * MS)
        self._diary = Diary(folder)
        sessions = iter(range(500, 10**6))
        self.config = config or AgentConfig()
        self.guardian = Guardian(self.config, self.drivetrain, self._diary, mint=lambda: next(sessions))
        self.attach()
        encoder = self.config.encoder
        self._odometer = Odometer(ticks_per_m=encoder.ticks_per_m, track_width_m=encoder.track_width_m)
        self._discs = {
            WIRING.left_encoder_pins[0]: (Wheel.LEFT, WIRING.left_encoder_pins[1]),
            WIRING.right_encoder_pins[0]: (Wheel.RIGHT, WIRING.right_encoder_pins[1]),
        }
        self._levels = dict.fromkeys((*WIRING.left_encoder_pins, *WIRING.right_encoder_pins), True)
        self.status: Status | None = None
        self._seq = 0
        self._ticks = 0
        self.encoders_count = True  # else they are silent: what is published says that the car stands
        self.dead_wheel: Wheel | None = None  # or one of them alone is
        self.swapped: frozenset[Wheel] = frozenset()  # whose two wires are: it counts backward
        self.publishes = True  # else the odometry grows stale
        self.sees = True  # the camera works
        self.results: list[Result] = []
        self.newest_picture_ns = 0  # of the paths that came
        self.published_ns = 0  # the newest odometry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.guardian.detach(self.world.ns)
        self.worker.close()
        self._diary.close()
        self._board.close()

    def attach(self) -> None:
        """A worker, or another one."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.worker = GuardianLink(theirs, ToWorker)
        self.guardian.attach(GuardianLink(ours, ToGuardian))

    def add_box(self, box: Box) -> None:
        """Somebody puts a carton on the track; the rangers hear it, and the car may run into it."""
        self._walls = np.vstack([self._walls, box.sides])
        self.world._boxes = (*self.world._boxes, box)

    @property
    def pose(self) -> Pose:
        return self.world.pose

    @property
    def now(self) -> Status:
        assert self.status is not None
        return self.status

    def tick(self) -> None:
        """10 ms: the world, the worker's sensors, what comes over the link, the guardian."""
        for _ in range(TICK_NS // STEP_NS):
            self.world.step()
        self._ticks += 1
        now_ns = self.world.ns
        self._count()
        if self._ticks % 2 == 0 and self.publishes:
            self.published_ns = now_ns
            self.worker.send(self._odometer.at(now_ns))
        if self._ticks % 6 == 0:
            self.worker.send(self._scan(now_ns))
        if self._ticks % 3 == 0 and self.sees:
            self.worker.send(CameraSeen(captured_ns=now_ns))
        while self.way.queue and self.way.queue[0][0] <= now_ns:
            labelled = self.way.queue.popleft()[1]
            self.worker.send(labelled)
            if isinstance(labelled.command, DrivePath):
                self.newest_picture_ns = max(self.newest_picture_ns, labelled.command.t_capture_ns)
        self.guardian.step(now_ns)
        while (message := self.worker.receive()) is not None:
            if isinstance(message, Status):
                self.status = message
            elif isinstance(message, Result):
                self.results.append(message)

    def ticks(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.tick()

    def ask(self, event: Ask, peer: str = PEER) -> Verdict:
        """The guardian's answer, at the next tick."""
        self.worker.send(Request(id=len(self.results), peer=peer, peer_name=peer[:3], event=event))
        self.tick()
        return self.results[-1].code

    def arm(self) -> None:
        """The network's program takes the lease, arms, and shows neutral."""
        self.tick()
        assert self.ask(Lease(priority=Priority.NETWORK)) is Verdict.TAKEN
        assert self.ask(Arm(answers_ns=self.now.stamp_ns)) is Verdict.TAKEN
        self.drive(0.0)
        self.tick()
        assert self.now.state is State.ARMED

    def drive(self, throttle: float) -> None:
        self._seq += 1
        command = DriveCommand(
            session=self.now.session,
            seq=self._seq,
            throttle=throttle,
            steering=0.0,
            answers_ns=self.now.stamp_ns,
        )
        self.worker.send(Labelled(peer=PEER, command=command))

    def send_path(self, points: tuple[PathPoint, ...], t_capture_ns: int) -> None:
        """On its way over the link from now on."""
        self._seq += 1
        path = DrivePath(
            session=self.now.session,
            seq=self._seq,
            points=points,
            t_capture_ns=t_capture_ns,
            answers_ns=t_capture_ns,
        )
        if self.way.is_dead or self._random.random() < self.way.loss:
            return
        delay_ns = round((self.way.delay_ms + self._random.uniform(0.0, self.way.jitter_ms)) * MS)
        at_ns = max(self.world.ns + delay_ns, self.way.queue[-1][0] if self.way.queue else 0)
        self.way.queue.append((at_ns, Labelled(peer=PEER, command=path)))

    def _count(self) -> None:
        for edge in self._edges.poll():
            disc = self._discs.get(edge.pin)
            self._levels[edge.pin] = edge.level
            if disc is not None and edge.level and self.encoders_count and disc[0] is not self.dead_wheel:
                wheel, b_pin = disc  # forward, A rises before B
                forward = bool(self._levels[b_pin]) == (wheel in self.swapped)
                self._odometer.tick(wheel, 1 if forward else -1, edge.ns)

    def _scan(self, now_ns: int) -> Scan:
        pose = self.pose
        ranges = sonar_ranges(pose.x_m, pose.y_m, pose.heading_rad, WIRING, self._walls)
        return Scan(
            readings=tuple(
                Reading(
                    channel=head.name,
                    seq=self._ticks,
                    captured_ns=now_ns,
                    value=min(range_m, self.config.proximity.max_range_m),
                    unit="m",
                    state=ReadingState.OUT_OF_RANGE if math.isinf(range_m) else ReadingState.OK,
                )
                for head, range_m in zip(
                    self.config.proximity.heads, ranges, strict=False
                )  # there may be none
            )
        )
