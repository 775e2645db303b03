"""Make each fault happen while the wheels turn, and measure at the outputs how soon they stop.

The list is that of the safety case, as far as one machine can make them
happen to a robot in service.  What is not here and why: docs/explanation/safety-case.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pi_agent.report import Report, ask_report
from pi_agent.selftest.driver import DEVICE, NAME, Door
from pi_agent.selftest.observer import Look, Observer, neutral_after_ms, was_moving_at
from pynet_car.messages import Odometry, Priority, State, Status
from pynet_car.operator import Operator
from pynet_core.errors import HardwareError, LinkError, PynetError

TURNING_S: Final = 0.5  # steadily, before a fault is made
UP_TO_DUTY_S: Final = 20.0  # a small Pi takes seconds to start another Python
WATCH_S: Final = 1.0  # after the fault, beyond what is promised
BACK_S: Final = 20.0  # a worker is started again after at most 8 s
FIRST_STATUS_S: Final = 1.0  # a worker listens a moment before it has heard of its guardian
TRIES: Final = 3
SETTLE_S: Final = 0.1  # the observer's lines come in
OUR_NAMES: Final = (NAME, DEVICE)  # under TLS a peer bears the name it is trusted by
MARGIN_MS: Final = 50.0  # beyond a command's lifespan: ticks, and the way to zero


@dataclass(frozen=True, slots=True)
class Rig:
    """The robot in service, who drives it, and who looks on."""

    report: Report
    driver: subprocess.Popen[str]
    onlooker: Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One fault: how to make it, and what is promised of it."""

    name: str
    promised_ms: float | None  # None: the commands' lifespan and 50 ms
    make: Callable[[Rig], object]
    mend: Callable[[Rig], object] = lambda rig: None
    kills: Callable[[Report], int] | None = None  # a process of the agent: takes its rights
    needs_service: bool = False  # nothing would start it again


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one fault."""

    stop: str
    neutral_ms: float  # inf: not while watched
    promised_ms: float
    seen_at: str  # "outputs", or "Status": the agent's own word, 50 times a second


def _signal(who: Callable[[Rig], int], number: signal.Signals) -> Callable[[Rig], object]:
    return lambda rig: os.kill(who(rig), number)


def _driver(rig: Rig) -> int:
    return rig.driver.pid


def _worker(rig: Rig) -> int:
    return rig.report.worker_pid


def _guardian(rig: Rig) -> int:
    return rig.report.guardian_pid


def _wake_worker(rig: Rig) -> None:
    with contextlib.suppress(ProcessLookupError):  # the guardian has replaced it
        os.kill(rig.report.worker_pid, signal.SIGCONT)


STOPS: Final = (
    Stop(
        name="e-stop by a second client",
        promised_ms=50,
        make=lambda rig: rig.onlooker.e_stop(),
        mend=lambda rig: rig.onlooker.reset(),
    ),
    Stop(
        name="somebody takes the lease",
        promised_ms=50,
        make=lambda rig: rig.onlooker.lease(take=True),
        mend=lambda rig: rig.onlooker.release(),
    ),
    Stop(name="driver's loop hangs", promised_ms=None, make=_signal(_driver, signal.SIGUSR1)),
    Stop(name="driver killed", promised_ms=None, make=_signal(_driver, signal.SIGKILL)),
    Stop(name="driver stopped: a silent link", promised_ms=None, make=_signal(_driver, signal.SIGSTOP)),
    Stop(
        name="worker killed",
        promised_ms=50,
        make=_signal(_worker, signal.SIGKILL),
        kills=lambda report: report.worker_pid,
    ),
    Stop(
        name="worker hangs",
        promised_ms=None,
        make=_signal(_worker, signal.SIGSTOP),
        mend=_wake_worker,
        kills=lambda report: report.worker_pid,
    ),
    Stop(
        name="guardian killed",
        promised_ms=1000,
        make=_signal(_guardian, signal.SIGKILL),
        kills=lambda report: report.guardian_pid,
        needs_service=True,
    ),
    Stop(
        name="guardian hangs",
        promised_ms=1500,
        make=_signal(_guardian, signal.SIGSTOP),
        kills=lambda report: report.guardian_pid,
        needs_service=True,
    ),
)


def why_not(stop: Stop, report: Report, *, sees_outputs: bool, service_pid: int | None) -> str:
    """Why this one cannot be tried here; '' if it can.  `service_pid`: the guardian that systemd keeps."""
    if stop.kills is not None and not sees_outputs:
        return "nobody could tell: the outputs cannot be read back, and who speaks for them would be dead"
    if stop.needs_service and service_pid != report.guardian_pid:
        return "needs the service: nothing else ends a guardian that hangs, or starts it again"
    if stop.kills is not None:
        try:
            os.kill(stop.kills(report), 0)
        except PermissionError:
            return "needs root: sudo pynet-agent selftest --stop"
        except ProcessLookupError:
            return "its process is not to be seen from here"
    return ""


class Examiner:
    """Makes faults, one after the other.  The main thread's."""

    def __init__(self, door: Door, runtime_dir: Path, observer: Observer | None, throttle: float) -> None:
        """`observer` is None where no output can be read: the agent's own word must do."""
        self._door = door
        self._runtime_dir = runtime_dir
        self._observer = observer
        self._throttle = -throttle  # the first is forward
        self._said: list[Look] = []

    def try_one(self, stop: Stop) -> Trial:
        """One trial.

        Raises:
            HardwareError: The wheels did not turn, or the robot did not come back.
            LinkError: The robot does not answer, or somebody else drives it.
        """
        for _ in range(TRIES):
            trial = self._make(stop)
            if trial is not None:
                return trial
        raise HardwareError(
            f"{stop.name}: the motors stood when it was made, {TRIES} times; is this Pi busy?"
        )

    def _make(self, stop: Stop) -> Trial | None:
        """The fault once; None if nothing turned at that moment, so that nothing was shown."""
        report = free_robot(self._runtime_dir)
        assert report.status is not None
        promised_ms = stop.promised_ms or report.status.lifespan_ms + MARGIN_MS
        self._said = []
        with self._door.open(DEVICE, Priority.HUMAN) as onlooker:
            onlooker.on_status(self._note)
            with self._driving() as driver:
                rig = Rig(report, driver, onlooker)
                self._await_turning(rig)
                fault_ns = time.monotonic_ns()
                stop.make(rig)
                time.sleep(promised_ms / 1000 + WATCH_S)
            looks = self._said if self._observer is None else self._seen()
            stop.mend(rig)
        self._await_back()
        if not was_moving_at(looks, fault_ns):
            return None
        where = "Status" if self._observer is None else "outputs"
        return Trial(stop.name, neutral_after_ms(looks, fault_ns), promised_ms, where)

    def turn(self, seconds: float) -> tuple[int, int]:
        """Turn the wheels for so long; the ticks that left and right counted, + with the motor.

        Raises:
            HardwareError, LinkError: As `try_one`.
        """
        report = free_robot(self._runtime_dir)
        counts: list[Odometry] = []
        self._said = []
        with self._door.open(DEVICE, Priority.HUMAN) as onlooker:
            onlooker.on_status(self._note)
            onlooker.on_odometry(counts.append)
            with self._driving() as driver:
                self._await_turning(Rig(report, driver, onlooker))
                time.sleep(seconds)
        self._await_back()
        if not counts:
            return 0, 0
        sign = 1 if self._throttle > 0 else -1
        left = counts[-1].left_ticks - counts[0].left_ticks
        right = counts[-1].right_ticks - counts[0].right_ticks
        return sign * left, sign * right

    @contextlib.contextmanager
    def _driving(self) -> Iterator[subprocess.Popen[str]]:
        """Somebody who drives, until the block ends or he is killed in it."""
        self._throttle = -self._throttle  # there and back again: a car not lifted stays where it is
        words = (self._door.host, str(self._door.port), self._door.home, str(self._throttle))
        command = [sys.executable, "-m", "pi_agent.selftest.driver", *words]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as driver:
            try:
                yield driver
            finally:
                driver.kill()

    def _note(self, status: Status) -> None:
        moving = status.duty != 0.0
        if not self._said or self._said[-1].moving != moving:
            self._said.append(Look(status.stamp_ns, moving))

    def _seen(self) -> list[Look]:
        assert self._observer is not None
        time.sleep(SETTLE_S)
        if not self._observer.is_awake:
            raise HardwareError("who watches the outputs has died; nothing was measured")
        return self._observer.seen()

    def _is_turning(self) -> bool:
        if self._observer is not None:
            return self._observer.is_moving()
        return bool(self._said) and self._said[-1].moving

    def _await_turning(self, rig: Rig) -> None:
        deadline_s = time.monotonic() + UP_TO_DUTY_S
        since_s = time.monotonic()
        while time.monotonic() - since_s < TURNING_S:
            if rig.driver.poll() is not None:
                raise LinkError(rig.driver.communicate()[1].strip() or "the driver has died")
            if not self._is_turning():
                since_s = time.monotonic()
            if time.monotonic() > deadline_s:
                reason = rig.onlooker.status.reason
                raise HardwareError(f"the motors do not turn at throttle {self._throttle:+.2f}: {reason}")
            time.sleep(0.01)
        holder = rig.onlooker.status.holder_name
        if holder not in OUR_NAMES:
            raise LinkError(f"{holder or 'nobody'} has the lease now; the self-test ends")

    def _await_back(self) -> None:
        """Wait for a robot that is whole again and that nobody drives."""
        deadline_s = time.monotonic() + BACK_S
        while True:
            try:
                now = free_robot(self._runtime_dir)
                if now.status is not None and now.status.state is State.DISARMED:
                    return
                why = "it is not disarmed"
            except (PynetError, OSError) as exc:
                why = str(exc)
            if time.monotonic() > deadline_s:
                raise HardwareError(f"the robot is not back {BACK_S:g} s after the fault: {why}")
            time.sleep(0.1)


def free_robot(runtime_dir: Path) -> Report:
    """The robot's report, if nobody but ourselves drives it.

    Raises:
        LinkError: Nobody answers, somebody drives, or the e-stop is latched.
    """
    deadline_s = time.monotonic() + FIRST_STATUS_S
    while (status := (report := ask_report(runtime_dir)).status) is None:
        if time.monotonic() > deadline_s:
            raise LinkError("the guardian says nothing; see:  systemctl status pynet-agent")
        time.sleep(0.02)
    if status.holder and status.holder_name not in OUR_NAMES:
        raise LinkError(
            f"{status.holder_name or status.holder[:8]} drives this robot; ask for it to be released"
        )
    if status.state is State.E_STOP:
        raise LinkError(f"the e-stop is latched: {status.reason}")
    return report


def table(trials: list[Trial], left_out: dict[str, str]) -> Iterator[str]:
    """Milliseconds against promises, a fault a line."""
    yield f"{'fault':32} trials  median ms   worst  promised"
    for name in dict.fromkeys(trial.stop for trial in trials):
        mine = [trial for trial in trials if trial.stop == name]
        times = sorted(trial.neutral_ms for trial in mine)
        verdict = "ok" if times[-1] <= mine[0].promised_ms else "TOO LATE"
        by = "" if mine[0].seen_at == "outputs" else "   by the agent's own word"
        row = f"{name:32} {len(mine):6} {times[len(times) // 2]:10.0f} {times[-1]:7.0f}"
        yield f"{row} {mine[0].promised_ms:9.0f}  {verdict}{by}"
    for name, why in left_out.items():
        yield f"{name:32} not tried: {why}"
