"""A driver at 50 Hz and a failsafe at 100 Hz, with a link between them that stalls at random; no clock runs.

Every command has a throttle of its own, so whatever the failsafe lets through
names the command, and that names the moment at which its stick was sampled.  A
path names it itself.
TCP's way: a stall holds all there is, in order, and then delivers it at once.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from pi_agent.failsafe import Failsafe
from pi_agent.link import Labelled, Request
from pynet_car.messages import Arm, DriveCommand, DrivePath, Lease, Priority, State
from tests.agent.failsafe_rig import AHEAD, LIFESPAN_MS, MS

T = TypeVar("T")

TICK_NS: Final = 10 * MS
SEND_NS: Final = 20 * MS
PEER: Final = "random" * 5
STALLS_MS: Final = (0, 0, 0, 20, 80, 150, 190, 210, 300, 700, 2000, 3000)  # one is drawn every now and then


@dataclass
class Report:
    """What happened; the oldest are the greatest ages at which a command, or a path, still moved the car."""

    commands: int = 0
    moved_ticks: int = 0
    followed_ticks: int = 0
    oldest_ns: int = 0
    oldest_path_ns: int = 0
    stalls: int = 0
    trips: int = 0


@dataclass
class Way(Generic[T]):
    """One direction."""

    random: random.Random
    _queue: deque[tuple[int, T]] = field(default_factory=deque)
    _open_ns: int = 0
    stalls: int = 0

    def put(self, now_ns: int, item: T) -> None:
        if now_ns >= self._open_ns and self.random.random() < 0.01:
            self._open_ns = now_ns + self.random.choice(STALLS_MS) * MS
            self.stalls += 1
        self._queue.append((now_ns + self.random.randrange(30 * MS), item))

    def take(self, now_ns: int) -> list[T]:
        items: list[T] = []
        while self._queue and now_ns >= self._open_ns and self._queue[0][0] <= now_ns:
            items.append(self._queue.popleft()[1])
        return items


@dataclass(frozen=True)
class Seen:
    """As much of a Status as this driver needs."""

    stamp_ns: int
    state: State
    session: int


def drive(commands: int, seed: int, *, lifespan_ms: int = LIFESPAN_MS, paths: bool = False) -> Report:
    """Send so many commands, two in three of them paths if told so, and judge every motion.

    `lifespan_ms` is the failsafe's, the promise is fixed.
    """
    rng = random.Random(seed)
    sessions = iter(range(1, 10**9))
    failsafe = Failsafe(lifespan_ns=lifespan_ms * MS, mint=lambda: next(sessions))
    up: Way[Request | Labelled] = Way(rng)
    down: Way[Seen] = Way(rng)
    report = Report()
    sampled_ns: dict[float, int] = {}
    seen: Seen | None = None
    asked_ns = now_ns = 0
    while report.commands < commands:
        now_ns += TICK_NS + rng.randrange(2 * MS)
        arrived = up.take(now_ns)
        requests = [item for item in arrived if isinstance(item, Request)]
        outcome = failsafe.step(now_ns, requests, [item for item in arrived if isinstance(item, Labelled)])
        if outcome.throttle:
            report.moved_ticks += 1
            report.oldest_ns = max(report.oldest_ns, now_ns - sampled_ns[outcome.throttle])
        if outcome.path is not None:
            report.followed_ticks += 1
            report.oldest_path_ns = max(report.oldest_path_ns, now_ns - outcome.path.t_capture_ns)
        session = failsafe.holder.session if failsafe.holder else 0
        down.put(now_ns, Seen(now_ns, failsafe.state, session))
        seen = next(reversed(down.take(now_ns)), seen)
        if seen is None or now_ns // SEND_NS == (now_ns - TICK_NS) // SEND_NS:
            continue
        if now_ns - asked_ns > 300 * MS and (not seen.session or seen.state is State.DISARMED):
            asked_ns = now_ns
            ask = Arm(answers_ns=seen.stamp_ns) if seen.session else Lease(priority=Priority.HUMAN)
            up.put(now_ns, Request(id=1, peer=PEER, peer_name="", event=ask))
        report.commands += 1
        # At rest it shows a centred stick; else none is like another.
        centred = seen.state in (State.DISARMED, State.ARMING) or rng.random() < 0.05
        if paths and not centred and report.commands % 3:
            path = DrivePath(
                session=seen.session,
                seq=report.commands,
                points=AHEAD,
                t_capture_ns=seen.stamp_ns,
                answers_ns=seen.stamp_ns,
            )
            up.put(now_ns, Labelled(peer=PEER, command=path))
            continue
        throttle = 0.0 if centred else 0.1 + report.commands * 1e-9
        sampled_ns[throttle] = now_ns
        command = DriveCommand(
            session=seen.session,
            seq=report.commands,
            throttle=throttle,
            steering=0.0,
            answers_ns=seen.stamp_ns,
        )
        up.put(now_ns, Labelled(peer=PEER, command=command))
    report.stalls = up.stalls + down.stalls
    report.trips = failsafe.failsafe_trips
    return report
