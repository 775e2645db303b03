"""Ultrasonic rangers: HC-SR04 heads through gpiozero, pinged in turn, every ping stamped.

gpiozero's DistanceSensor is used for its pins and edge stamps only.  Its own
pinging cannot be: it shows a median of old values without their time, keeps the
last one for ever when the sensor dies, and one dead sensor holds up all others
100 ms a ping through a lock of the class.

What the echo line says: an HC-SR04 raises it ~0.5 ms after each ping and lowers
it when the sound is back, or after ~38 ms when nothing came back.  So a pulse
longer than the range is `out_of_range` (clear), and no rise at all is `fault`.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
import warnings
from typing import Final

from gpiozero import DistanceSensor
from gpiozero.exc import GPIOZeroError, PWMSoftwareFallback

from pi_agent.config import AgentConfig, HeadConfig, Settings, bearing_rad
from pi_agent.sensors.loading import Absent
from pi_agent.sensors.pace import Pace
from pynet_car.messages import Reading, ReadingState, Scan, StreamInfo
from pynet_core.errors import ConfigError, HardwareError

TRIGGER_S: Final = 10e-6  # data sheet: at least 10 us high
LATE_RISE_S: Final = 3e-3  # 0.5 ms by the data sheet, up to 2 ms in clones
DELIVERY_S: Final = 5e-3  # an edge may reach us that late; its stamp is right all the same
STUCK_S: Final = 0.25  # some clones hold the line 200 ms when nothing is in range; longer is broken
FAULTS_BEFORE_REST: Final = 3
REST_NS: Final = 1_000_000_000  # a head that does not answer costs the others a wait: once a second is enough


class Proximity:
    """The sensor plugin `proximity`: all heads of the car, one ping each `period_s / heads`."""

    def __init__(self, config: AgentConfig, settings: Settings, *, pace: Pace | None = None) -> None:
        """Claim the pins.

        Raises:
            ConfigError: There are no heads, or settings where none are looked for.
            HardwareError: The pins are not there, or somebody else's.
        """
        heads = config.proximity.heads
        if settings:
            raise ConfigError("proximity is set up in [proximity], not in [sensors.proximity]")
        if not heads:
            raise Absent("there are no heads in [proximity]")
        self.info = StreamInfo(
            name="proximity",
            title="Proximity",
            unit="m",
            period_s=config.proximity.period_s,
            maximum=config.proximity.max_range_m,
            channels=tuple(head.name for head in heads),
            bearings_rad=tuple(bearing_rad(head) for head in heads),
        )
        # Evenly spread, so that a ping's late echoes have died down before the next head listens.
        self._pace = pace or Pace(config.proximity.period_s / len(heads))
        self._lock = threading.Lock()  # `close` waits for the ping in flight
        self._closed = False
        self._heads: list[_Head] = []
        try:
            for head in heads:
                self._heads.append(_Head(head, config.proximity.max_range_m))
        except GPIOZeroError as exc:
            self.close()
            raise HardwareError(f"proximity head {head.name!r}: {exc}") from exc
        self._turns = itertools.cycle(self._heads)

    def read(self) -> Scan:
        """The newest reading of every head, after the next ping of one of them.

        Raises:
            HardwareError: Closed.
        """
        while True:
            now_ns = self._pace.wait()
            with self._lock:
                if self._closed:
                    raise HardwareError("proximity is closed")
                if next(self._turns).measure(now_ns):
                    return Scan(readings=tuple(head.reading for head in self._heads))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for head in self._heads:
                head.close()


class _Head:
    """One head's newest reading, and when it may be pinged again."""

    def __init__(self, config: HeadConfig, max_range_m: float) -> None:
        self._ranger = _Ranger(config, max_range_m)
        self._max_range_m = max_range_m
        self._faults = 0  # in a row
        self._pinged_ns = 0
        self.reading = Reading(
            channel=config.name, seq=0, captured_ns=0, value=0.0, unit="m", state=ReadingState.STALE
        )

    def measure(self, now_ns: int) -> bool:
        """Ping if it is due; False if it is not, or the last ping is still in the air."""
        if self._faults >= FAULTS_BEFORE_REST and now_ns - self._pinged_ns < REST_NS:
            return False
        distance_m = self._ranger.ping()
        if distance_m is None:
            return False
        self._pinged_ns = now_ns
        if math.isnan(distance_m):
            self._faults += 1
            state, value = ReadingState.FAULT, self.reading.value
        else:
            self._faults = 0
            state = ReadingState.OK if distance_m < self._max_range_m else ReadingState.OUT_OF_RANGE
            value = min(distance_m, self._max_range_m)
        self.reading = Reading(
            channel=self.reading.channel,
            seq=self.reading.seq + 1,
            captured_ns=now_ns,
            value=value,
            unit="m",
            state=state,
        )
        return True

    def close(self) -> None:
        self._ranger.close()


class _Ranger(DistanceSensor):  # type: ignore[misc]  # gpiozero is not typed
    """One HC-SR04, pinged only when asked.  Uses gpiozero's private names: see its contract test."""

    _echo_rise: float | None  # the factory's clock, s
    _echo_fall: float | None

    def __init__(self, head: HeadConfig, max_range_m: float) -> None:
        self._longest_s = LATE_RISE_S + 2 * max_range_m / 343.0 + DELIVERY_S
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PWMSoftwareFallback)  # wants pigpio, which ends with the Pi 4
            super().__init__(
                echo=head.echo_pin,
                trigger=head.trigger_pin,
                max_distance=max_range_m,
                threshold_distance=max_range_m / 2,  # unused; its default would not fit a short range
                queue_len=1,
                partial=True,
            )
        self._queue.stop()  # the thread that would ping by itself

    def _echo_changed(self, ticks: float, level: int) -> None:
        if level or self._echo_rise is not None:  # else the end of an echo that we no longer wait for
            super()._echo_changed(ticks, level)

    def ping(self) -> float | None:
        """The distance in m, inf when no sound came back in time, NaN when the head did not answer at all.

        None while the last ping's echo line is still up: nothing new is known.
        """
        if self.pin.state:
            since = self._echo_rise
            is_stuck = since is None or self.pin_factory.ticks_diff(self.pin_factory.ticks(), since) > STUCK_S
            return math.nan if is_stuck else None
        self._echo.clear()
        self._echo_rise = self._echo_fall = None
        self._trigger.pin.state = True
        time.sleep(TRIGGER_S)
        self._trigger.pin.state = False
        self._echo.wait(self._longest_s)
        rise, fall = self._echo_rise, self._echo_fall
        if rise is None:
            return math.nan
        if fall is None:
            return math.inf
        return float(self.pin_factory.ticks_diff(fall, rise) * self.speed_of_sound / 2)
