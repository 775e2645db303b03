"""The guardian's tick: owns motor and steering, and lets nothing move but by the rules.

No network, no camera, no plugin here: a worker process has those, and the two
speak over a link.  Each tick drains all of it, then decides, then acts.  It
never waits, logs or touches the disk.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from pi_agent.config import AgentConfig, bearing_rad
from pi_agent.diary import Diary
from pi_agent.failsafe import NS_PER_MS, Failsafe, Outcome
from pi_agent.following import Follower
from pi_agent.link import CameraSeen, GuardianLink, Labelled, Request, WorkerAlive, WorkerReady
from pi_agent.mixing import NEUTRAL, Limits, Outputs, mix
from pi_agent.ports import Drivetrain
from pynet_car.messages import (
    Counters,
    Disarm,
    DrivePath,
    EStop,
    Event,
    Odometry,
    Priority,
    Reading,
    Scan,
    Severity,
    State,
    Status,
    Verdict,
)
from pynet_car.path import Course
from pynet_car.reflex import Agreement, Head, Sight, is_blind, known_velocity_mps, limit, look
from pynet_core.errors import LinkClosed

TICK_NS: Final = 10 * NS_PER_MS
LATE_NS: Final = 20 * NS_PER_MS  # a tick this long after the one before is counted
STATUS_NS: Final = 20 * NS_PER_MS
MAX_DRAIN: Final = 512  # messages a tick; the socket holds about 250, so only a flood is cut short


def random_session() -> int:
    """In [1, 2**63 - 1]."""
    return secrets.randbelow(2**63 - 1) + 1


class Guardian:
    """All state of the robot's safety.  Owned by the main thread, which calls `step` every 10 ms."""

    def __init__(
        self,
        config: AgentConfig,
        drivetrain: Drivetrain,
        diary: Diary,
        *,
        e_stopped: str = "",
        mint: Callable[[], int] = random_session,
    ) -> None:
        """`drivetrain` is claimed already; `e_stopped` says why the e-stop is latched from before, or ''."""
        self._drivetrain = drivetrain
        self._diary = diary
        drive = config.drive
        self._lifespan_ms = drive.lifespan_ms
        self._failsafe = Failsafe(lifespan_ns=drive.lifespan_ms * NS_PER_MS, mint=mint, e_stopped=e_stopped)
        self._limits = Limits(
            max_throttle=drive.max_throttle,
            throttle_slew_per_s=drive.throttle_slew_per_s,
            steering_slew_per_s=drive.steering_slew_per_s,
        )
        self._heads = tuple(
            Head(head.name, bearing_rad(head), config.proximity.period_s) for head in config.proximity.heads
        )
        self._channels = frozenset(head.channel for head in self._heads)
        self._odometry_period_s = config.encoder.period_s
        self._has_camera = config.camera.enabled
        self._follower = Follower(config)
        self._course: Course | None = None  # of this tick; None where no path drives
        self._boot = mint()
        self._outputs = NEUTRAL
        self._sight = Sight(False, False, "")
        self._verdict = Verdict.NO_LEASE
        self._limit_reason = ""
        self._last_ns = 0
        self._status_due_ns = 0
        self._told: tuple[State, int] | None = None  # state and session of the newest Status
        self._latched = bool(e_stopped)
        self._ticks = self._late_ticks = self._worker_starts = 0
        self.nonsense = 0  # messages from the worker that were none
        self.unsent = 0  # messages to the worker that found its mailbox full
        self.link: GuardianLink | None = None
        self._forget_worker()

    def _forget_worker(self) -> None:
        self.gateway_port: int | None = None  # once the worker has said that it listens
        self.worker_silent_ticks = 0  # since it last said that it is alive
        self._readings: dict[str, Reading] = {}
        self._odometry: Odometry | None = None
        self._agreement = Agreement()
        self._runs_against = False  # the encoders, against the motor
        self._camera_ns: int | None = None
        self._follower.forget()

    @property
    def summary(self) -> str:
        """One line for `systemctl status`."""
        listens = self.gateway_port is not None
        blind = listens and self._has_camera and is_blind(self._camera_ns, self._last_ns)
        return f"{self._failsafe.reason}{' The camera gives no picture.' if blind else ''}"

    def attach(self, link: GuardianLink) -> None:
        """There is a new worker, behind this link."""
        self.link = link
        self._told = None  # it is told where we stand in the next tick
        self._worker_starts += 1

    def detach(self, now_ns: int) -> None:
        """The worker has died, or closed its end: neutral at once, nobody drives."""
        if self.link is None:
            return
        self.link.close()
        self.link = None
        self._forget_worker()
        self._failsafe.worker_died(now_ns)
        self._put_out(NEUTRAL)

    def step(self, now_ns: int) -> None:
        """One tick.

        Raises:
            HardwareError: The outputs refuse; end the process, neutral.
        """
        dt_ns = now_ns - self._last_ns if self._ticks else 0
        self._last_ns = now_ns
        self._ticks += 1
        self._late_ticks += dt_ns > LATE_NS
        requests, commands = self._drain(now_ns)
        outcome = self._failsafe.step(now_ns, requests, commands)
        velocity_mps = self._velocity_mps(now_ns, dt_ns)
        wish, steering = self._steer(outcome, velocity_mps, now_ns)
        throttle = self._reflex(wish, velocity_mps, now_ns)
        mixed = mix(
            self._outputs, throttle=throttle, steering=steering, limits=self._limits, dt_s=dt_ns / 1e9
        )
        if self._failsafe.state is State.ARMED:
            # A path that says stop means now: it has counted on rolling from here.
            self._put_out(mixed if wish or not self._course else Outputs(0.0, mixed.steering))
        elif self._failsafe.state is State.FAILSAFE and isinstance(self._failsafe.command, DrivePath):
            self._put_out(Outputs(0.0, mixed.steering))  # it rolls out on the path it was on
        else:
            # Whoever presses it may see wheels that we know nothing of: somebody else writes to our pins.
            is_pressed = any(isinstance(request.event, EStop | Disarm) for request in requests)
            self._put_out(NEUTRAL, surely=is_pressed)
        self._keep_e_stop()
        # Status first: whoever hears that an act was taken has then seen what came of it.
        self._tell_status(now_ns)
        for message in (*outcome.results, *outcome.events):
            self._send(message)
        for event in outcome.events:
            self._diary.tell(event)

    # in

    def _drain(self, now_ns: int) -> tuple[list[Request], list[Labelled]]:
        """All events and commands; the rest is newest of a kind and is kept."""
        requests: list[Request] = []
        commands: list[Labelled] = []
        ends = 0
        self.worker_silent_ticks += 1
        for _ in range(MAX_DRAIN):
            if self.link is None:
                break
            try:
                message = self.link.receive()
            except LinkClosed:
                ends += 1
                if ends == 1:
                    continue  # ECONNRESET comes before what was sent last; an e-stop may be among it
                self.detach(now_ns)
                return [request for request in requests if isinstance(request.event, EStop)], []
            except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
                self._count_nonsense(now_ns, exc)
                continue
            if message is None:
                break
            match message:
                case Labelled():
                    commands.append(message)
                case Request():
                    requests.append(message)
                case Scan(readings=readings):
                    for reading in readings:
                        if reading.channel in self._channels:
                            self._readings[reading.channel] = reading
                case Odometry():
                    self._odometry = message
                    self._follower.hear(message)
                case CameraSeen(captured_ns=captured_ns):
                    self._camera_ns = captured_ns
                case WorkerReady(port=port):
                    self.gateway_port = port
                case WorkerAlive():
                    self.worker_silent_ticks = 0
        return requests, commands

    def _count_nonsense(self, now_ns: int, exc: Exception) -> None:
        self.nonsense += 1
        if self.nonsense == 1:
            text = f"The worker sent nonsense, which is dropped: {exc}."
            event = Event(captured_ns=now_ns, severity=Severity.WARNING, kind="link_nonsense", text=text)
            self._diary.tell(event)

    # decide

    def _velocity_mps(self, now_ns: int, dt_ns: int) -> float | None:
        """What the encoders say, while they can be believed."""
        known = known_velocity_mps(self._odometry, period_s=self._odometry_period_s, now_ns=now_ns)
        duty, steering = self._outputs
        self._runs_against = self._agreement.is_broken(
            duty=duty, steering=steering, velocity_mps=known, dt_s=dt_ns / 1e9
        )
        return None if self._runs_against else known

    def _steer(self, outcome: Outcome, velocity_mps: float | None, now_ns: int) -> tuple[float, float]:
        """(throttle, steering) of the command, or of the path, that drives."""
        self._course = None
        newest = self._failsafe.command
        if outcome.path is not None:
            duty = self._outputs.duty
            course = self._follower.follow(outcome.path, velocity_mps=velocity_mps, duty=duty, now_ns=now_ns)
            self._course = course
            if course.fault:
                self._failsafe.distrust(now_ns, course.fault)
                return 0.0, 0.0
            return course.throttle, course.steering
        if self._failsafe.state is State.FAILSAFE and isinstance(newest, DrivePath):
            return 0.0, self._follower.roll_out(newest, velocity_mps=velocity_mps, now_ns=now_ns)
        return outcome.throttle, outcome.steering

    def _reflex(self, wish: float, velocity_mps: float | None, now_ns: int) -> float:
        """The throttle that the sensors leave of this wish; also what the Status says of it."""
        self._sight = look(self._heads, self._readings, velocity_mps=velocity_mps, now_ns=now_ns)
        blind = is_blind(self._camera_ns, now_ns)
        # Who drives a car without a camera is looking at it.
        creep = blind and self._has_camera
        throttle = limit(wish, self._sight, creep=creep, velocity_mps=velocity_mps)
        reasons = [self._course.reason if self._course else "", self._sight.reason]
        holder = self._failsafe.holder
        if blind and holder is not None and holder.priority is Priority.NETWORK:
            throttle = 0.0
            what = "The camera is stalled" if self._has_camera else "There is no camera"
            reasons.append(f"{what}: no network drives blind.")
        elif creep:
            reasons.append("The camera is stalled: creeping.")
        if self._runs_against:
            reasons.append("The encoders count against the motor: are the two pins of each swapped?")
        self._limit_reason = " ".join(filter(None, reasons))
        self._verdict = self._failsafe.verdict
        if self._verdict is Verdict.TAKEN:
            if self._course and self._course.verdict is not Verdict.TAKEN:
                self._verdict = self._course.verdict
            elif throttle != wish or abs(wish) > self._limits.max_throttle:
                self._verdict = Verdict.LIMITED
        return throttle

    # out

    def _put_out(self, outputs: Outputs, *, surely: bool = False) -> None:
        if surely or outputs != self._outputs:
            self._drivetrain.set(outputs.duty, outputs.steering)
            self._outputs = outputs

    def _keep_e_stop(self) -> None:
        is_latched = self._failsafe.state is State.E_STOP
        if is_latched != self._latched:
            self._latched = is_latched
            self._diary.keep_e_stop(self._failsafe.why if is_latched else "")

    def _tell_status(self, now_ns: int) -> None:
        holder = self._failsafe.holder
        told = (self._failsafe.state, holder.session if holder else 0)
        # Half a tick early is in time: else one that comes a moment early waits for the next.
        if told == self._told and now_ns < self._status_due_ns - TICK_NS // 2:
            return
        self._told = told
        self._status_due_ns = now_ns + STATUS_NS
        self._send(self._status(now_ns))

    def _status(self, now_ns: int) -> Status:
        failsafe = self._failsafe
        holder, command = failsafe.holder, failsafe.command
        reason = failsafe.reason
        if failsafe.state is State.ARMED and self._limit_reason:
            reason = f"{reason} {self._limit_reason}"
        return Status(
            boot=self._boot,
            stamp_ns=now_ns,
            state=failsafe.state,
            reason=reason,
            holder=holder.peer if holder else "",
            holder_name=holder.name if holder else "",
            session=holder.session if holder else 0,
            last_seq=command.seq if command else -1,
            command_age_ns=failsafe.command_age_ns,
            verdict=self._verdict,
            duty=self._outputs.duty,
            steering=self._outputs.steering,
            blocked_forward=self._sight.blocked_forward,
            blocked_backward=self._sight.blocked_backward,
            path_left_m=self._course.left_m if self._course else -1.0,
            lifespan_ms=self._lifespan_ms,
            counters=Counters(
                ticks=self._ticks,
                late_ticks=self._late_ticks,
                commands=failsafe.commands,
                refused=failsafe.refused,
                failsafe_trips=failsafe.failsafe_trips,
                e_stops=failsafe.e_stops,
                worker_starts=self._worker_starts,
            ),
        )

    def _send(self, message: Struct) -> None:
        if self.link is None:
            return
        with contextlib.suppress(LinkClosed):  # the next drain sees it too, and what was sent before
            if not self.link.send(message):
                self.unsent += 1
