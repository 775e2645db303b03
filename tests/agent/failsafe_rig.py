"""A Failsafe with its own clock: drive it by hand, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

from pi_agent.failsafe import Failsafe, Outcome
from pi_agent.link import Labelled, PeerGone, Request, Result
from pynet_car.messages import (
    Arm,
    Disarm,
    DriveCommand,
    DrivePath,
    EStop,
    Lease,
    PathPoint,
    Priority,
    Release,
    Reset,
    State,
    Verdict,
)

MS = 1_000_000
LIFESPAN_MS = 200
PATH_LIFESPAN_MS = 1500
AHEAD = (PathPoint(0.5, 0.0, 1.0), PathPoint(1.0, 0.0, 1.0))
ADA, GRACE = "ada" * 10, "grace" * 6  # controller ids
Ask = Lease | Release | Arm | Disarm | EStop | Reset | PeerGone


class Rig:
    """Time starts at 100 s; `stamp` is the newest one a driver can have seen."""

    def __init__(self, *, lifespan_ms: int = LIFESPAN_MS, e_stopped: str = "") -> None:
        self.minted: list[int] = []
        self.failsafe = Failsafe(lifespan_ns=lifespan_ms * MS, mint=self._mint, e_stopped=e_stopped)
        self.now = 100_000 * MS
        self.seq = 0
        self.events: list[str] = []
        self._ids = 0
        self.step()

    def _mint(self) -> int:
        self.minted.append(1000 + len(self.minted))
        return self.minted[-1]

    def state(self) -> State:
        return self.failsafe.state

    def step(self, requests: Sequence[Request] = (), commands: Sequence[Labelled] = ()) -> Outcome:
        """At the same instant as the last one."""
        self.stamp = self.now
        outcome = self.failsafe.step(self.now, requests, commands)
        self.events += [event.kind for event in outcome.events]
        return outcome

    def after(self, ms: float) -> Outcome:
        """One step, this much later, with nothing new."""
        self.now += round(ms * MS)
        return self.step()

    def request(self, ask: Ask, peer: str = ADA) -> Request:
        self._ids += 1
        return Request(id=self._ids, peer=peer, peer_name=peer[:5].title(), event=ask)

    def ask(self, ask: Ask, peer: str = ADA, *, ms: float = 10) -> Result:
        self.now += round(ms * MS)
        (result,) = self.step([self.request(ask, peer)]).results
        return result

    def command(
        self,
        throttle: float,
        *,
        answers: int | None = None,
        peer: str = ADA,
        session: int | None = None,
        seq: int | None = None,
    ) -> Labelled:
        self.seq += 1
        holder = self.failsafe.holder
        command = DriveCommand(
            session=session if session is not None else holder.session if holder else 0,
            seq=self.seq if seq is None else seq,
            throttle=throttle,
            steering=0.25,
            answers_ns=self.stamp if answers is None else answers,
        )
        return Labelled(peer=peer, command=command)

    def path(self, *, answers: int | None = None, peer: str = ADA, seq: int | None = None) -> Labelled:
        """Of a picture as old as the newest stamp, unless told otherwise."""
        self.seq += 1
        holder = self.failsafe.holder
        stamp = self.stamp if answers is None else answers
        path = DrivePath(
            session=holder.session if holder else 0,
            seq=self.seq if seq is None else seq,
            points=AHEAD,
            t_capture_ns=stamp,
            answers_ns=stamp,
        )
        return Labelled(peer=peer, command=path)

    def follow(self, *, ms: float = 10, answers: int | None = None) -> Outcome:
        """One step `ms` later, with a path."""
        labelled = self.path(answers=answers)
        self.now += round(ms * MS)
        return self.step(commands=[labelled])

    def drive(
        self,
        throttle: float,
        *,
        ms: float = 10,
        answers: int | None = None,
        peer: str = ADA,
        session: int | None = None,
        seq: int | None = None,
    ) -> Outcome:
        """One step `ms` later, with a command that answers the newest stamp unless told otherwise."""
        labelled = self.command(throttle, answers=answers, peer=peer, session=session, seq=seq)
        self.now += round(ms * MS)
        return self.step(commands=[labelled])

    def lease(self, peer: str = ADA, *, priority: Priority = Priority.HUMAN, take: bool = False) -> Result:
        return self.ask(Lease(priority=priority, take=take), peer)

    def arm(self, peer: str = ADA) -> Result:
        return self.ask(Arm(answers_ns=self.stamp), peer)


def arming(**settings: int) -> Rig:
    rig = Rig(**settings)  # type: ignore[arg-type]  # lifespan_ms
    assert rig.lease().code is Verdict.TAKEN
    assert rig.arm().code is Verdict.TAKEN
    assert rig.state() is State.ARMING
    return rig


def armed(**settings: int) -> Rig:
    rig = arming(**settings)
    rig.drive(0.0)
    assert rig.state() is State.ARMED
    return rig


def failsafe(**settings: int) -> Rig:
    """In FAILSAFE since this very instant."""
    rig = armed(**settings)
    rig.drive(0.5)
    rig.after(LIFESPAN_MS + 1)
    assert rig.state() is State.FAILSAFE
    return rig


def e_stopped() -> Rig:
    rig = armed()
    rig.ask(EStop())
    assert rig.state() is State.E_STOP
    return rig
