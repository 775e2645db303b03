"""Judges a Failsafe by its record alone: what went in when, and what came out.

It keeps no state of its own and knows nothing of how the code under test keeps
its: for every motion it searches the record for the lease, the arm, the
centred stick and the fresh command that alone allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pi_agent.failsafe import Outcome
from pi_agent.link import Labelled, PeerGone, Request, Result
from pynet_car.messages import (
    Arm,
    Disarm,
    DriveCommand,
    DrivePath,
    EStop,
    Lease,
    Release,
    Reset,
    State,
    Verdict,
)

MS = 1_000_000
PATH_LIFESPAN_NS = 1500 * MS  # the promise; not what the code under test takes it to be

# Where one step may lead.  Going through two states in it is allowed (reset and arm in one tick),
# being ARMED without a step spent in ARMING or FAILSAFE is not.
REACHABLE = {
    State.DISARMED: {State.DISARMED, State.ARMING, State.E_STOP},
    State.ARMING: {State.DISARMED, State.ARMING, State.ARMED, State.E_STOP},
    State.ARMED: {State.DISARMED, State.ARMING, State.ARMED, State.FAILSAFE, State.E_STOP},
    State.FAILSAFE: {State.DISARMED, State.ARMING, State.ARMED, State.FAILSAFE, State.E_STOP},
    State.E_STOP: {State.DISARMED, State.ARMING, State.E_STOP},
}


@dataclass(frozen=True)
class Step:
    now: int
    died: bool  # the worker, just before this step
    requests: tuple[Request, ...]
    commands: tuple[Labelled, ...]
    outcome: Outcome
    state: State

    def taken(self, kind: type) -> list[Request]:
        codes = {result.id: result.code for result in self.outcome.results}
        return [
            request
            for request in self.requests
            if isinstance(request.event, kind) and codes[request.id] is Verdict.TAKEN
        ]

    def asked(self, kind: type) -> bool:
        return any(isinstance(request.event, kind) for request in self.requests)


class Witness:
    def __init__(self, *, lifespan_ns: int, state: State = State.DISARMED) -> None:
        self._lifespan_ns = lifespan_ns
        self._steps: list[Step] = []
        self._before = state
        self._sessions: list[tuple[int, int]] = []  # (session, index of the step that minted it)

    def saw(self, step: Step, minted: Sequence[int]) -> None:
        """Check one step; `minted` is every session handed out so far."""
        self._steps.append(step)
        here = len(self._steps) - 1
        self._sessions += [(session, here) for session in minted[len(self._sessions) :]]
        self._check_results(step.requests, step.outcome.results)
        self._check_states(step)
        self._check_rank(here)
        wish = step.outcome.throttle, step.outcome.steering
        if step.state is not State.ARMED or step.outcome.path is not None:
            assert wish == (0.0, 0.0)
        if step.state is not State.ARMED:
            assert step.outcome.path is None
        if wish != (0.0, 0.0) or step.outcome.path is not None:
            assert self._may_move(here), "motion that nothing in the record allows"

    def _check_results(self, requests: Sequence[Request], results: Sequence[Result]) -> None:
        assert sorted(request.id for request in requests) == sorted(result.id for result in results)
        assert all(result.reason for result in results)

    def _check_states(self, step: Step) -> None:
        assert step.state in REACHABLE[self._before]
        if step.asked(EStop):
            assert step.state is State.E_STOP
        if self._before is State.E_STOP and step.state is not State.E_STOP:
            assert step.taken(Reset)
        self._before = step.state

    def _check_rank(self, here: int) -> None:
        """Nobody gets the lease from under a holder of higher rank, nor of equal rank without a take."""
        step = self._steps[here]
        asked = [request for request in step.requests if isinstance(request.event, Lease)]
        earlier = [entry for entry in self._sessions if entry[1] < here]
        if len(asked) != 1 or not step.taken(Lease) or not earlier:
            return  # with two in one step the order decides; the exact tests cover that
        session, granted = earlier[-1]
        owner, ask = self._owner(granted), asked[0].event
        gave_back = [*step.taken(Release), *step.taken(PeerGone)]
        if owner == asked[0].peer or any(request.peer == owner for request in gave_back):
            return
        if self._holds_lease(owner, session, granted, here):
            rank = self._rank(owner, granted, here)
            assert isinstance(ask, Lease)
            assert ask.priority > rank or (ask.priority == rank and ask.take)

    def _owner(self, granted: int) -> str:
        """Who had the lease when this step was over; '' if they gave it back in it."""
        owner = ""
        step = self._steps[granted]
        taken = [*step.taken(Lease), *step.taken(Release), *step.taken(PeerGone)]
        for request in step.requests:
            if request in taken:
                owner = request.peer if isinstance(request.event, Lease) else ""
        return owner

    def _rank(self, peer: str, granted: int, here: int) -> int:
        asked = [
            request.event.priority
            for step in self._steps[granted : here + 1]
            for request in step.taken(Lease)
            if request.peer == peer and isinstance(request.event, Lease)
        ]
        return asked[-1]

    def _may_move(self, here: int) -> bool:
        if not self._sessions:
            return False
        session, granted = self._sessions[-1]
        peer = self._owner(granted)
        newest = self._newest(peer, session, granted, here)
        return (
            self._holds_lease(peer, session, granted, here)
            and newest is not None
            and self._is_what_drives(newest.command, self._steps[here].outcome)
            and self._is_fresh(newest, granted, here)
            and any(self._was_armed(peer, session, granted, arm, here) for arm in range(granted, here))
        )

    def _is_what_drives(self, command: DriveCommand | DrivePath, outcome: Outcome) -> bool:
        if isinstance(command, DrivePath):
            return outcome.path == command
        return outcome.path is None and (command.throttle, command.steering) == (
            outcome.throttle,
            outcome.steering,
        )

    def _holds_lease(self, peer: str, session: int, granted: int, here: int) -> bool:
        if not peer:
            return False
        kept = self._steps[granted].now
        for index in range(granted, here + 1):
            step = self._steps[index]
            if step.died and index > granted:
                return False
            if step.now - kept >= 2500 * MS:
                return False
            for event in step.taken(Release) + step.taken(PeerGone):
                # In the step of the grant it may have been the loss of the lease before.
                if event.peer == peer and index > granted:
                    return False
            newest = self._newest(peer, session, granted, index)
            asked_again = any(event.peer == peer for event in step.taken(Lease))
            came_now = newest is not None and newest in step.commands
            if asked_again or (came_now and newest and self._is_fresh(newest, granted, index)):
                kept = step.now
        return True

    def _newest(self, peer: str, session: int, granted: int, here: int) -> Labelled | None:
        """Of highest seq; the first to come of two that share it."""
        best: Labelled | None = None
        for step in self._steps[granted : here + 1]:
            for labelled in step.commands:
                ours = labelled.peer == peer and labelled.command.session == session
                if ours and (best is None or labelled.command.seq > best.command.seq):
                    best = labelled
        return best

    def _is_fresh(self, labelled: Labelled, granted: int, here: int) -> bool:
        command = labelled.command
        arrived = next(i for i, step in enumerate(self._steps) if labelled in step.commands)
        oldest, newest = self._steps[granted].now, self._steps[arrived - 1].now
        lifespan_ns = self._lifespan_ns
        if isinstance(command, DrivePath):
            oldest, newest, lifespan_ns = 0, self._steps[arrived].now, PATH_LIFESPAN_NS
            if not command.answers_ns <= command.t_capture_ns <= newest:
                return False
        was_put_out = oldest <= command.answers_ns <= newest
        return was_put_out and 0 <= self._steps[here].now - command.answers_ns <= lifespan_ns

    def _was_armed(self, peer: str, session: int, granted: int, arm: int, here: int) -> bool:
        """Armed at step `arm` by this peer, shown a centred stick within 1 s, and nothing ended it since."""
        began = self._steps[arm].now
        stops = [step.now for step in self._steps[:arm] if step.asked(EStop)]
        if not any(
            request.peer == peer
            and isinstance(request.event, Arm)
            and max([began - 1000 * MS, *stops]) <= request.event.answers_ns <= self._steps[arm - 1].now
            for request in self._steps[arm].taken(Arm)
        ):
            return False
        if any(step.asked(EStop) or step.taken(Disarm) for step in self._steps[arm + 1 : here + 1]):
            return False
        if self._steps[arm].asked(EStop):
            return False
        for centred in range(arm + 1, here + 1):
            newest = self._newest(peer, session, granted, centred)
            if (
                newest is not None
                and self._is_fresh(newest, granted, centred)
                and _is_neutral(newest)
                and newest.command.answers_ns >= began
                and self._steps[centred].now - began <= 1000 * MS
            ):
                return self._no_gap(peer, session, granted, centred, here)
        return False

    def _no_gap(self, peer: str, session: int, granted: int, start: int, here: int) -> bool:
        lost: int | None = None
        for index in range(start, here + 1):
            now = self._steps[index].now
            newest = self._newest(peer, session, granted, index)
            assert newest is not None
            if lost is not None and now - lost > 2000 * MS:
                return False
            if not self._is_fresh(newest, granted, index):
                lost = now if lost is None else lost
            elif lost is not None and (now - lost <= 500 * MS or _is_neutral(newest)):
                lost = None
        return lost is None


def _is_neutral(labelled: Labelled) -> bool:
    return isinstance(labelled.command, DriveCommand) and abs(labelled.command.throttle) <= 0.02
