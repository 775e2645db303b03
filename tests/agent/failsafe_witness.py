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
from pynet_car.messages import Arm, Disarm, EStop, Lease, Release, Reset, State, Verdict

MS = 1_000_000

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
        if step.state is not State.ARMED:
            assert (step.outcome.throttle, step.outcome.steering) == (0.0, 0.0)
        if (step.outcome.throttle, step.outcome.steering) != (0.0, 0.0):
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

    def _may_move(self, here: int) -> bool:
        throttle, steering = self._steps[here].outcome.throttle, self._steps[here].outcome.steering
        if not self._sessions:
            return False
        session, granted = self._sessions[-1]
        peers = {request.peer for request in self._steps[granted].taken(Lease)}
        return any(
            self._holds_lease(peer, session, granted, here)
            and (newest := self._newest(peer, session, granted, here)) is not None
            and (newest.command.throttle, newest.command.steering) == (throttle, steering)
            and self._is_fresh(newest, granted, here)
            and any(self._was_armed(peer, session, granted, arm, here) for arm in range(granted, here))
            for peer in peers
        )

    def _holds_lease(self, peer: str, session: int, granted: int, here: int) -> bool:
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
        answers = labelled.command.answers_ns
        arrived = next(i for i, step in enumerate(self._steps) if labelled in step.commands)
        was_put_out = self._steps[granted].now <= answers <= self._steps[arrived - 1].now
        return was_put_out and 0 <= self._steps[here].now - answers <= self._lifespan_ns

    def _was_armed(self, peer: str, session: int, granted: int, arm: int, here: int) -> bool:
        """Armed at step `arm` by this peer, shown a centred stick within 1 s, and nothing ended it since."""
        began = self._steps[arm].now
        if not any(
            request.peer == peer
            and isinstance(request.event, Arm)
            and 0 <= began - request.event.answers_ns <= 1000 * MS
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
                and abs(newest.command.throttle) <= 0.02
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
            elif lost is not None and (now - lost <= 500 * MS or abs(newest.command.throttle) <= 0.02):
                lost = None
        return lost is None
