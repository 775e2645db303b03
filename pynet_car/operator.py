"""Drive one car over the swarm: lease, arm, drive, stop.  No Qt: for scripts, pilots and the window."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self, TypeVar

from msgspec import Struct

from pynet_car.callbacks import Callbacks
from pynet_car.car_clock import CarClock
from pynet_car.keeper import Keeper
from pynet_car.lines import AskLine, DriveLine, StreamLine
from pynet_car.messages import (
    DEFAULT_PORT,
    Arm,
    CameraFrame,
    Description,
    Event,
    Lease,
    Odometry,
    PathPoint,
    Priority,
    Reset,
    Scan,
    State,
    Status,
    Verdict,
    decode,
    encode,
)
from pynet_car.newest_status import NewestStatus
from pynet_car.press import press_e_stop
from pynet_car.refused import STANDING, refuse_standing, why_refused
from pynet_car.refused import CarRefused as CarRefused  # what callers of this module catch
from pynet_car.sender import Sender
from pynet_core.controller import Controller
from pynet_core.errors import DeadlineExceeded, LinkClosed, PynetError
from pynet_core.keys import Identity
from pynet_core.trust import TrustStore

_log = logging.getLogger(__name__)
_Message = TypeVar("_Message", bound=Struct)

RENEW_WITHIN_S: Final = 0.2
STATUS_LIFESPAN_S: Final = 1.0  # without Status for this long nobody should think he drives
ARM_TIMEOUT_S: Final = 2.0
STATUS_TIMEOUT_S: Final = 1.0  # from the car's yes to the Status that shows it
E_STOP_TIMEOUT_S: Final = 2.0


class Operator:
    """One driver of one car.

        with Operator("rover.local") as car:
            car.arm()
            car.drive(throttle=0.3, steering=0.0)

    `drive` sends what you want now; call it again at least every
    `renew_within_s`, or the car gets one neutral and then nothing.  Callbacks
    run in a thread for each stream.  Lost links mend themselves; after one the
    car is disarmed or in failsafe, and nothing old is sent again.
    """

    def __init__(
        self,
        host: str = "",
        port: int = DEFAULT_PORT,
        *,
        name: str = "",
        priority: Priority = Priority.SCRIPT,
        renew_within_s: float = RENEW_WITHIN_S,
        timeout_s: float = 5.0,
        identity: Identity | None = None,
        trust: TrustStore | None = None,
    ) -> None:
        """Connect.

        Without an `identity`: that of PYNET_KEY, else for other machines this device's own.

        Raises:
            LinkError: There is no car, it is full, or it does not know this device.
            ValueError: That is no port, or `renew_within_s` no time.
        """
        self._controller = Controller(host, port, name=name, identity=identity, trust=trust)
        self._priority = priority
        self._where = f"{host or 'this machine'} port {port}"
        self._changed = threading.Event()
        self._newest = NewestStatus(self._where)
        self._on_status: Callbacks[Status] = Callbacks("on_status")
        self._clock = CarClock()
        self._closed = False
        self._echoes = tuple(
            StreamLine("status", self._take_status, self._changed, purpose="control") for _ in range(2)
        )
        self._drives = tuple(DriveLine("drive", self._changed) for _ in range(2))
        self._control = AskLine("control", self._changed, self._clock.take)
        self._safety = AskLine("safety", self._changed)
        self._streams: list[StreamLine] = []
        self._keeper = Keeper(self._controller, self._changed)
        self._sender = Sender(self._drives, renew_within_s=renew_within_s)
        try:
            self._keeper.open(
                (*self._echoes, *self._drives, self._control, self._safety), self._echoes, timeout_s
            )
            self._sender.start()
            self._newest.wait_until(lambda status: True, timeout_s, "connected")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the car says.

    @property
    def id(self) -> str:
        """What `Status.holder` says when this operator has the lease."""
        return self._controller.id

    @property
    def car_fingerprint(self) -> str:
        """Which device the car is; '' where it did not have to prove it."""
        return self._controller.gateway_fingerprint

    @property
    def status(self) -> Status:
        """The newest Status; look at `status_age_s` before believing it."""
        status = self._newest.value
        assert status is not None, "the constructor waited for one"
        return status

    @property
    def status_age_s(self) -> float:
        """Seconds since the newest Status came in."""
        return self._newest.age_s

    @property
    def is_connected(self) -> bool:
        return self.status_age_s <= STATUS_LIFESPAN_S

    @property
    def has_lease(self) -> bool:
        return self.status.holder == self.id

    @property
    def link_error(self) -> PynetError | None:
        """Why the newest attempt to mend the link failed; None while it is whole."""
        return self._keeper.error

    @property
    def rtt_ns(self) -> int | None:
        """The newest round trip to the car; None before the first."""
        return self._clock.rtt_ns

    def car_now_ns(self) -> int:
        """The car's monotonic clock now, as well as the pings tell; minus a stamp gives an age."""
        return self._clock.now_ns()

    def describe(self) -> Description:
        """What the car is and offers."""
        return decode(self._control.fetch("describe"), Description)

    def on_status(self, callback: Callable[[Status], None]) -> None:
        """Call back with every new Status, in a stream's thread; one that raises is called no more."""
        self._on_status.add(callback)

    def on_frame(self, callback: Callable[[CameraFrame], None]) -> StreamLine:
        """Call back with the camera's newest frame; a slow callback skips frames, it never lags."""
        return self._subscribe("camera", CameraFrame, callback)

    def on_proximity(self, callback: Callable[[Scan], None]) -> StreamLine:
        """Call back with the newest reading of every ranger."""
        return self._subscribe("proximity", Scan, callback)

    def on_scan(self, name: str, callback: Callable[[Scan], None]) -> StreamLine:
        """Call back with the newest readings of another sensor, one that `describe` names."""
        return self._subscribe(name, Scan, callback)

    def on_odometry(self, callback: Callable[[Odometry], None]) -> StreamLine:
        """Call back with the newest motion by the wheel encoders."""
        return self._subscribe("encoder", Odometry, callback)

    def on_event(self, callback: Callable[[Event], None]) -> StreamLine:
        """Call back with every event, in order."""
        return self._subscribe("events", Event, callback)

    # What the driver wants.

    def lease(self, *, take: bool = False) -> None:
        """Become the one driver; `take` displaces an equal.

        Raises:
            CarRefused: Somebody else drives.
            LinkError: No answer.
        """
        self._ask("lease", encode(Lease(priority=self._priority, take=take)))
        self._newest.wait_until(lambda status: status.holder == self.id, STATUS_TIMEOUT_S, "lease granted")

    def release(self) -> None:
        """Give the lease back."""
        self._ask("release")

    def arm(self, timeout_s: float = ARM_TIMEOUT_S) -> None:
        """Let the motors follow: take the lease if nobody has it, arm, and hold neutral until armed.

        Raises:
            CarRefused: Somebody else drives, or it is in E_STOP.
            LinkError: No answer, or not armed within `timeout_s`.
        """
        if not self.has_lease:
            self.lease()
        self.wish(0.0, 0.0)
        asked = self.status
        self._ask("arm", encode(Arm(answers_ns=asked.stamp_ns)))
        deadline_s = time.monotonic() + timeout_s
        while (status := self.status) is asked or status.state is not State.ARMED:
            if (left_s := deadline_s - time.monotonic()) <= 0:
                raise DeadlineExceeded(f"not armed within {timeout_s:g} s: {status.reason}")
            self.wish(0.0, 0.0)
            self._newest.wait_for_another(status, left_s)
        refuse_standing(status, self.id)  # it may be armed for who has taken the lease meanwhile

    def disarm(self) -> None:
        """Motors may not turn until armed again."""
        self._ask("disarm")
        self._newest.wait_until(lambda status: status.state in STANDING, STATUS_TIMEOUT_S, "disarmed")

    def reset(self) -> None:
        """Leave E_STOP for DISARMED."""
        seen = self.status
        self._ask("reset", encode(Reset(answers_ns=seen.stamp_ns if seen.state is State.E_STOP else 0)))
        self._newest.wait_until(
            lambda status: status.state is not State.E_STOP, STATUS_TIMEOUT_S, "reset done"
        )

    def e_stop(self, timeout_s: float = E_STOP_TIMEOUT_S) -> None:
        """Stop the car and keep it stopped until `reset`; needs no lease.  Tries until confirmed.

        Raises:
            LinkError: Not confirmed within `timeout_s`.
        """
        press_e_stop((self._safety, self._control), self._newest, timeout_s)

    def drive(self, throttle: float, steering: float) -> None:
        """Send what you want now, each in [-1, 1]: + forward, + left.

        It answers the newest Status there is at this call, so call it from
        the code that looked at the road or the stick.

        Raises:
            CarRefused: Not armed, or the lease is somebody else's.
            LinkClosed: No Status for 1 s: what you see is old.
            ValueError: Out of range.
        """
        self._refuse_what_moves_nothing()
        self.wish(throttle, steering)

    def drive_path(
        self,
        points: Iterable[Sequence[float] | PathPoint],
        *,
        t_capture_ns: int,
        answers_ns: int | None = None,
    ) -> None:
        """Follow these points, (x_m, y_m, speed_mps) each, from where the camera was at `t_capture_ns`.

        x is ahead of the camera then, y to the left; both stamps are the car's
        (`CameraFrame.captured_ns`).  `answers_ns` is that of the oldest of the
        newest readings it was made from, if one is older than the picture.  The
        car moves the path to where it is by now, and stops inside it: at most
        1.5 s or 3 m from the picture, whatever becomes of the link or of us.
        `Status.verdict` and `reason` tell what it makes of it.  To stop before,
        call `drive(0.0, 0.0)`: what is sent last, drives.

        Raises:
            CarRefused, LinkClosed: As `drive`.
            ValueError: It is none that a car could follow; the text names the point.
        """
        self._refuse_what_moves_nothing()
        oldest_ns = t_capture_ns if answers_ns is None else answers_ns
        self._sender.path(points, t_capture_ns, oldest_ns, self.status.session)

    def wish(self, throttle: float, steering: float) -> None:
        """As `drive`, but never refuses: nothing leaves without the lease, and the car judges the rest.

        Raises:
            ValueError: Out of range.
        """
        status = self.status
        if status.holder != self.id:
            return
        self._sender.wish(throttle, steering, status)

    def close(self) -> None:
        """Neutral, disarm, give the lease back, end every thread.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        status = self._newest.value
        if status is not None and self.is_connected and status.holder == self.id:
            try:
                self.disarm()
                self.release()
            except PynetError as exc:
                _log.warning("could not disarm while closing: %s", exc)
        self._keeper.close()
        self._sender.close()
        for stream in (*self._echoes, *self._streams):
            stream.close()
        others: tuple[DriveLine | AskLine, ...] = (*self._drives, self._control, self._safety)
        for line in others:
            line.close()

    def _refuse_what_moves_nothing(self) -> None:
        status = self.status
        if not self.is_connected:
            raise LinkClosed(f"no word from {self._where} for {self.status_age_s:.1f} s")
        refuse_standing(status, self.id)

    # Threads of ours.

    def _take_status(self, data: bytes) -> None:
        try:
            status = decode(data, Status)
        except ValueError as exc:
            _log.warning("skipped a Status that is none: %s", exc)
            return
        if self._newest.take(status):
            self._on_status(status)

    def _subscribe(self, name: str, kind: type[_Message], callback: Callable[[_Message], None]) -> StreamLine:
        def on_bytes(data: bytes) -> None:
            try:
                message = decode(data, kind)
            except ValueError as exc:
                line.undecodable += 1
                if line.undecodable == 1:
                    _log.warning("stream %r: skipped what is no %s: %s", name, kind.__name__, exc)
                return
            callback(message)

        line = StreamLine(name, on_bytes, self._changed)
        self._streams.append(line)
        self._keeper.add(line)
        return line

    def _ask(self, name: str, buffer: bytes = b"") -> None:
        verdict = Verdict(self._control.ask(name, buffer))
        if verdict is not Verdict.TAKEN:
            raise CarRefused(verdict, f"{name}: {why_refused(verdict, self.status)}")
