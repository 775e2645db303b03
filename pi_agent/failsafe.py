"""Decide who drives and whether the motors may turn.  Pure: no clock, no socket, no pin.

Five states, one lease, and the age of the newest command on the guardian's own
clock.  A command is fresh when it *answers* a Status we stamped recently: TCP
delivers a two-second-old burst as if it were new, so arrival proves nothing.
A path is a command too, the newest of either kind drives; it lives longer, for
it says where it ends, and it arms nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from pi_agent.link import Labelled, PeerGone, Request, Result
from pynet_car.messages import (
    PATH_LIFESPAN_NS,
    Arm,
    Command,
    Disarm,
    DriveCommand,
    DrivePath,
    EStop,
    Event,
    Lease,
    Priority,
    Release,
    Reset,
    Severity,
    State,
    Verdict,
)

NS_PER_MS: Final = 1_000_000
NEUTRAL_THROTTLE: Final = 0.02  # |throttle| up to here is a centred stick; a worn pad rests at about 0.01
ARM_LIFESPAN_NS: Final = 1_000 * NS_PER_MS  # an Arm that answers something older is void
ARMING_NS: Final = 1_000 * NS_PER_MS  # to show a centred stick in
RESUME_NS: Final = 500 * NS_PER_MS  # a gap this short: drive on
RECENTRE_NS: Final = 2_000 * NS_PER_MS  # a gap this short: drive on from a centred stick; longer: disarm
LEASE_LAPSE_NS: Final = 2_500 * NS_PER_MS  # > RECENTRE_NS: at the default lifespan the car disarms first


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lease, and the session their commands must carry."""

    peer: str
    name: str
    priority: Priority
    session: int
    granted_ns: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step decided.  Throttle and steering are 0.0 in every state but ARMED, and beside a path."""

    throttle: float
    steering: float
    results: tuple[Result, ...]
    events: tuple[Event, ...]
    path: DrivePath | None = None  # to be followed; in ARMED only


class Failsafe:
    """The state of the motors and the lease.  Owned by the guardian's thread.

    `now_ns` never runs backward.  `mint` gives each lease a new random session,
    in [1, 2**63 - 1].
    """

    def __init__(self, *, lifespan_ns: int, mint: Callable[[], int], e_stopped: str = "") -> None:
        """`e_stopped`: why the e-stop is still latched from before; '' when it is not."""
        self._lifespan_ns = lifespan_ns
        self._mint = mint
        self.state = State.E_STOP if e_stopped else State.DISARMED
        self.why = e_stopped or "just started"  # this state; no sentence yet
        self._since_ns = 0  # when `state` began
        self._e_stop_ns = 0  # when the e-stop was last pressed
        self._stamp_ns = -1  # newest now_ns a Status can have carried
        self.holder: Holder | None = None
        self._kept_ns = 0  # last sign that the holder still drives
        self._newest: Command | None = None  # by seq, of the holder's session
        self._answerable = False  # it answers a Status we sent, since the lease was granted
        self._events: list[Event] = []
        self.commands = self.refused = self.failsafe_trips = self.e_stops = 0

    # what the guardian reads for its Status; as of the last step

    @property
    def command(self) -> Command | None:
        """The newest command or path of the lease's session, fresh or not."""
        return self._newest

    @property
    def command_age_ns(self) -> int:
        """Since what the newest command answers; -1 when there is no command."""
        return -1 if self._newest is None else max(0, self._stamp_ns - self._newest.answers_ns)

    @property
    def verdict(self) -> Verdict:
        """On the newest command."""
        if self.holder is None:
            return Verdict.NO_LEASE
        if self._newest is not None and not self._is_fresh(self._stamp_ns):
            return Verdict.STALE
        return Verdict.TAKEN if self.state is State.ARMED else Verdict.DISARMED

    @property
    def reason(self) -> str:
        """One sentence: why this state, and the way out of it."""
        name = self._holder_name()
        why = self.why[:1].upper() + self.why[1:]
        match self.state:
            case State.E_STOP:
                return f"{why}: reset it, then arm."
            case State.DISARMED:
                return f"{why}: {f'{name} may arm' if name else 'take the lease and arm to drive'}."
            case State.ARMING:
                return f"{name} is arming: center the throttle."
            case State.ARMED:
                return f"{name} drives."
            case State.FAILSAFE:
                is_short = self._stamp_ns - self._since_ns <= RESUME_NS
                return f"{why}: {'waiting for commands' if is_short else 'center the throttle'} to go on."

    def worker_died(self, now_ns: int) -> None:
        """Nobody can reach us any more.  The e-stop stays."""
        self._drop_lease(now_ns, "the worker process died")
        self._disarm(now_ns, "the worker process died")

    def distrust(self, now_ns: int, why: str) -> None:
        """A path drives on encoders that cannot be believed: somebody has to look at the car."""
        self._disarm(now_ns, why)

    def step(
        self, now_ns: int, requests: Iterable[Request] = (), commands: Iterable[Labelled] = ()
    ) -> Outcome:
        """Take what arrived since the last step, then decide for `now_ns`."""
        self._expire(now_ns)
        results = self._apply_all(list(requests), now_ns)
        for labelled in commands:
            self._hear(labelled, now_ns)
        self._settle(now_ns)
        self._stamp_ns = now_ns
        events, self._events = tuple(self._events), []
        if self.state is State.ARMED:
            match self._newest:
                case DriveCommand(throttle=throttle, steering=steering):
                    return Outcome(throttle, steering, results, events)
                case DrivePath() as path:
                    return Outcome(0.0, 0.0, results, events, path)
        return Outcome(0.0, 0.0, results, events)

    # time

    def _expire(self, now_ns: int) -> None:
        """What time alone ends; before the new arrivals, so that none comes too late and still counts."""
        if self.holder is not None and now_ns - self._kept_ns >= LEASE_LAPSE_NS:
            self._drop_lease(now_ns, f"the lease of {self.holder.name} lapsed without a fresh command")
        in_state_ns = now_ns - self._since_ns
        if self.state is State.ARMING and in_state_ns > ARMING_NS:
            self._disarm(now_ns, "the throttle was not centered in time")
        elif self.state is State.FAILSAFE and in_state_ns > RECENTRE_NS:
            self._disarm(now_ns, "no driver came back in time")

    def _settle(self, now_ns: int) -> None:
        """What the newest command's freshness begins or ends."""
        command = self._newest
        if command is None or not self._is_fresh(now_ns):
            if self.state is State.ARMED:
                self._trip(now_ns)
            return
        is_neutral = isinstance(command, DriveCommand) and abs(command.throttle) <= NEUTRAL_THROTTLE
        in_state_ns = now_ns - self._since_ns
        if self.state is State.FAILSAFE and (in_state_ns <= RESUME_NS or is_neutral):
            self._enter(State.ARMED, now_ns, "")
            text = f"Failsafe over after {in_state_ns / NS_PER_MS:.0f} ms."
            self._tell(now_ns, Severity.INFO, "failsafe_off", text)
        # An older stamp answers a state in which the driver could not know that the car was arming.
        elif self.state is State.ARMING and is_neutral and command.answers_ns >= self._since_ns:
            self._enter(State.ARMED, now_ns, "")
            self._tell(now_ns, Severity.INFO, "armed", f"Armed: {self._holder_name()} drives.")

    def _trip(self, now_ns: int) -> None:
        age_ms = (now_ns - self._newest.answers_ns) / NS_PER_MS if self._newest else -1.0
        what = "path" if isinstance(self._newest, DrivePath) else "command"
        self._enter(State.FAILSAFE, now_ns, f"no fresh {what}")
        self.failsafe_trips += 1
        limit_ms = self._limit_ns(self._newest) // NS_PER_MS
        text = f"Failsafe: the newest {what} is {age_ms:.0f} ms old, limit {limit_ms} ms."
        if not self._answerable:
            text = f"Failsafe: the newest {what} is from before the lease, or answers what was never said."
        self._tell(now_ns, Severity.WARNING, "failsafe_on", text)

    def _is_fresh(self, now_ns: int) -> bool:
        command = self._newest
        if command is None or not self._answerable:
            return False
        return now_ns - command.answers_ns <= self._limit_ns(command)

    def _limit_ns(self, command: Command | None) -> int:
        """How old it may be."""
        return PATH_LIFESPAN_NS if isinstance(command, DrivePath) else self._lifespan_ns

    # commands

    def _hear(self, labelled: Labelled, now_ns: int) -> None:
        holder, command = self.holder, labelled.command
        if holder is None or labelled.peer != holder.peer or command.session != holder.session:
            self.refused += 1
            return
        if self._newest is not None and command.seq <= self._newest.seq:
            return  # its twin from the other pair was here first
        self.commands += 1
        self._newest = command
        # A stamp from before the lease, or one we never put out, is a replay or a lie; it never gets better.
        self._answerable = holder.granted_ns <= command.answers_ns <= self._stamp_ns
        if isinstance(command, DrivePath):
            # A picture may be younger than our newest Status, and older than the lease: whoever drives has
            # looked before.  That the path was sent since then, its session shows.
            self._answerable = command.t_capture_ns <= now_ns
        if self._is_fresh(now_ns):
            self._kept_ns = now_ns
        else:
            self.refused += 1

    # requests

    def _apply_all(self, requests: list[Request], now_ns: int) -> tuple[Result, ...]:
        stops = [request for request in requests if isinstance(request.event, EStop)]
        others = [request for request in requests if not isinstance(request.event, EStop)]
        results = [self._apply(request, now_ns) for request in stops]
        for request in others:
            # Which came first is unknown to the two people; the stop wins.
            if stops and isinstance(request.event, Reset):
                reason = "The e-stop was pressed at the same instant: reset again."
                results.append(Result(id=request.id, code=Verdict.DISARMED, reason=reason))
            else:
                results.append(self._apply(request, now_ns))
        return tuple(results)

    def _apply(self, request: Request, now_ns: int) -> Result:
        name = request.peer_name or request.peer[:8]
        code = Verdict.TAKEN
        match request.event:
            case EStop():
                reason = self._press(name, now_ns)
            case Reset(answers_ns=answers_ns):
                code, reason = self._reset(name, answers_ns, now_ns)
            case Lease() as ask:
                code, reason = self._lease(request.peer, name, ask, now_ns)
            case Release() | PeerGone() as event:
                code, reason = self._give_back(request.peer, name, event, now_ns)
            case Arm() as arm:
                code, reason = self._arm(request.peer, arm, now_ns)
            case Disarm():
                # A stop, so it asks for no lease.
                self._disarm(now_ns, f"disarmed by {name}")
                reason = self.reason
        return Result(id=request.id, code=code, reason=reason)

    def _press(self, name: str, now_ns: int) -> str:
        self._e_stop_ns = now_ns
        if self.state is not State.E_STOP:
            self._enter(State.E_STOP, now_ns, f"E-stop pressed by {name}")
            self.e_stops += 1
            self._tell(now_ns, Severity.ERROR, "e_stop", f"E-stop pressed by {name}.")
        return self.reason

    def _reset(self, name: str, answers_ns: int, now_ns: int) -> tuple[Verdict, str]:
        if self.state is State.E_STOP:
            if 0 < answers_ns < self._since_ns:  # it was on its way while somebody pressed again
                return Verdict.STALE, "This reset was for an e-stop before this one: reset again."
            self._enter(State.DISARMED, now_ns, f"the e-stop was reset by {name}")
            self._tell(now_ns, Severity.WARNING, "reset", f"E-stop reset by {name}.")
        return Verdict.TAKEN, self.reason

    def _lease(self, peer: str, name: str, ask: Lease, now_ns: int) -> tuple[Verdict, str]:
        holder = self.holder
        if holder is not None and holder.peer == peer:
            # As if granted anew, but in the same session: commands in flight stay good.
            self.holder = replace(holder, name=name, priority=ask.priority)
            self._kept_ns = now_ns
            return Verdict.TAKEN, f"{name} holds the lease still."
        if holder is not None and ask.priority < holder.priority:
            rank = holder.priority.name.lower()
            return Verdict.NO_LEASE, f"{holder.name} ({rank}) holds the lease: ask them to release it."
        if holder is not None and ask.priority == holder.priority and not ask.take:
            return Verdict.NO_LEASE, f"{holder.name} holds the lease; take it to drive."
        self._drop_lease(now_ns, f"{name} took the lease")
        self.holder = Holder(peer, name, ask.priority, self._mint(), now_ns)
        self._kept_ns = now_ns
        self._tell(now_ns, Severity.INFO, "lease_taken", f"{name} has the lease.")
        return Verdict.TAKEN, f"{name} holds the lease: arm to drive."

    def _give_back(self, peer: str, name: str, event: Release | PeerGone, now_ns: int) -> tuple[Verdict, str]:
        if self.holder is None or self.holder.peer != peer:
            return Verdict.NO_LEASE, f"{name} does not hold the lease: there is nothing to release."
        gone = isinstance(event, PeerGone)
        why = f"the connection of {name} is gone" if gone else f"{name} released the lease"
        self._drop_lease(now_ns, why)
        return Verdict.TAKEN, "Released: take the lease to drive again."

    def _arm(self, peer: str, arm: Arm, now_ns: int) -> tuple[Verdict, str]:
        holder = self.holder
        if self.state is State.E_STOP:
            return Verdict.DISARMED, self.reason
        if holder is None:
            return Verdict.NO_LEASE, "Nobody holds the lease: take it, then arm."
        if holder.peer != peer:
            return Verdict.NO_LEASE, f"{holder.name} holds the lease; take it to drive."
        # One that answers nothing we sent, or a Status from before the last e-stop, was not meant for now.
        oldest_ns = max(now_ns - ARM_LIFESPAN_NS, self._e_stop_ns)
        if not oldest_ns <= arm.answers_ns <= self._stamp_ns:
            age_ms = (now_ns - arm.answers_ns) / NS_PER_MS
            return Verdict.STALE, f"This arm answers a status {age_ms:.0f} ms old: arm again."
        if self.state is State.FAILSAFE:
            return Verdict.DISARMED, self.reason
        if self.state is State.DISARMED:
            self._enter(State.ARMING, now_ns, "")
        return Verdict.TAKEN, self.reason

    # transitions

    def _drop_lease(self, now_ns: int, why: str) -> None:
        if self.holder is None:
            return
        self._tell(now_ns, Severity.INFO, "lease_lost", f"{self.holder.name} lost the lease: {why}.")
        self.holder = None
        self._newest = None
        self._answerable = False
        self._disarm(now_ns, why)

    def _disarm(self, now_ns: int, why: str) -> None:
        if self.state in (State.DISARMED, State.E_STOP):
            return
        self._enter(State.DISARMED, now_ns, why)
        self._tell(now_ns, Severity.INFO, "disarmed", f"Disarmed: {why}.")

    def _holder_name(self) -> str:
        return self.holder.name if self.holder else ""

    def _enter(self, state: State, now_ns: int, why: str) -> None:
        self.state = state
        self._since_ns = now_ns
        self.why = why

    def _tell(self, now_ns: int, severity: Severity, kind: str, text: str) -> None:
        self._events.append(Event(captured_ns=now_ns, severity=severity, kind=kind, text=text))
