"""The newest of everything one robot said, when it came, and what of it to believe.  No Qt, no thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from desktop_app.belief import SILENT_S, LinkGauge, assumed_state
from desktop_app.sanity import MAX_CHANNELS
from desktop_app.teleop import Gate
from desktop_app.view import LIVE_STATES, RangeView
from pynet_car.messages import Description, Odometry, Reading, ReadingState, Scan, State, Status

T = TypeVar("T")

STALE_S: Final = 0.2  # as the guardian judges: a reading older than this, or than two periods, is stale


@dataclass(frozen=True, slots=True)
class Newest(Generic[T]):
    """One message, and when it came by our monotonic clock."""

    message: T
    at_s: float


class Heard:
    """Written by the streams' threads, one kind each; read by the GUI's.

    `car_now_ns` is the car's clock as well as we know it; None before we do.
    Every `now_s` is our monotonic clock.
    """

    def __init__(self, our_id: str, car_now_ns: Callable[[], int | None]) -> None:
        self.our_id = our_id
        self._car_now_ns = car_now_ns
        self.gauge = LinkGauge()
        self.status: Newest[Status] | None = None
        self.odometry: Newest[Odometry] | None = None
        self.readings: dict[str, Newest[Reading]] = {}  # of the proximity heads, by channel
        self.description: Description | None = None
        self.described_at_s = 0.0

    def take_status(self, status: Status, now_s: float) -> None:
        self.gauge.arrived(now_s)
        self.status = Newest(status, now_s)

    def take_odometry(self, odometry: Odometry, now_s: float) -> None:
        self.odometry = Newest(odometry, now_s)

    def take_scan(self, scan: Scan, now_s: float) -> None:
        came = {reading.channel: Newest(reading, now_s) for reading in scan.readings}
        known = {**self.readings, **came}
        self.readings = known if len(known) <= MAX_CHANNELS else came

    def take_description(self, description: Description, now_s: float) -> None:
        self.description, self.described_at_s = description, now_s

    # What is to be believed now.

    @property
    def has_lease(self) -> bool:
        return self.status is not None and self.status.message.holder == self.our_id

    def status_age_s(self, now_s: float) -> float:
        return 0.0 if self.status is None else max(0.0, now_s - self.status.at_s)

    def state(self, now_s: float) -> State | None:
        """As told, or as the guardian's rules must have made of it; None before the first Status."""
        return None if self.status is None else assumed_state(self.status.message, self.status_age_s(now_s))

    def age_s(self, captured_ns: int, at_s: float, now_s: float) -> float:
        """Since it was captured by the car's clock, or since it came when that is longer."""
        car_ns = self._car_now_ns()
        since_s = max(0.0, now_s - at_s)
        return since_s if car_ns is None else max(since_s, (car_ns - captured_ns) / 1e9)

    def velocity_mps(self, now_s: float) -> float | None:
        """Measured by the encoders, and young; else None."""
        if self.odometry is None:
            return None
        odometry = self.odometry.message
        is_young = self.age_s(odometry.captured_ns, self.odometry.at_s, now_s) <= STALE_S
        return odometry.velocity_mps if odometry.state is ReadingState.OK and is_young else None

    def gate(self, now_s: float, *, is_arming: bool, creeps: bool) -> Gate:
        """What the hands have to know.  `is_arming`: an Arm of ours is on its way."""
        if self.status is None:
            return Gate(may_be_armed=is_arming)
        status, state = self.status.message, self.state(now_s)
        is_told = self.status_age_s(now_s) <= SILENT_S
        return Gate(
            may_drive=self.has_lease and is_told and state is State.ARMED,
            may_be_armed=is_arming or (self.has_lease and state in LIVE_STATES),
            epoch=(status.boot, status.session, status.counters.failsafe_trips, status.counters.e_stops),
            creeps=creeps,
            velocity_mps=self.velocity_mps(now_s),
        )

    def range_views(self, now_s: float) -> tuple[RangeView, ...]:
        """Every head that the robot describes; one that has not spoken is stale."""
        streams = () if self.description is None else self.description.streams
        return tuple(
            self._range_view(channel, bearing_rad, stream.period_s, now_s)
            for stream in streams
            if stream.name == "proximity"
            for channel, bearing_rad in zip(stream.channels, stream.bearings_rad, strict=False)
        )

    def _range_view(self, channel: str, bearing_rad: float, period_s: float, now_s: float) -> RangeView:
        newest = self.readings.get(channel)
        if newest is None:
            silent = Reading(
                channel=channel, seq=0, captured_ns=0, value=0.0, unit="m", state=ReadingState.STALE
            )
            age_s = now_s - self.described_at_s
            return RangeView(reading=silent, bearing_rad=bearing_rad, age_s=age_s, is_stale=True)
        reading = newest.message
        age_s = self.age_s(reading.captured_ns, newest.at_s, now_s)
        is_stale = reading.state is ReadingState.STALE or age_s > max(STALE_S, 2 * period_s)
        return RangeView(reading=reading, bearing_rad=bearing_rad, age_s=age_s, is_stale=is_stale)
