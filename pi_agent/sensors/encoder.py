"""Wheel encoders: two quadrature discs through gpiozero, every tick stamped by its edge.

gpiozero counts one step for a whole quadrature cycle and forgets when it was;
the stamp is what velocity is made of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from gpiozero import RotaryEncoder
from gpiozero.exc import GPIOZeroError

from pi_agent.config import AgentConfig, Settings
from pi_agent.sensors.loading import Absent
from pi_agent.sensors.pace import Pace
from pynet_car.messages import Odometry, StreamInfo
from pynet_car.odometry import Odometer, Wheel
from pynet_core.errors import ConfigError, HardwareError

_NS: Final = 1_000_000_000


class Encoder:
    """The sensor plugin `encoder`: odometry from both wheels, each `period_s`."""

    def __init__(self, config: AgentConfig, settings: Settings, *, pace: Pace | None = None) -> None:
        """Claim the pins.

        Raises:
            ConfigError: It is switched off, or there are settings where none are looked for.
            HardwareError: The pins are not there, or somebody else's.
        """
        if settings:
            raise ConfigError("encoder is set up in [encoder], not in [sensors.encoder]")
        encoder = config.encoder
        if not encoder.enabled:
            raise Absent("the car has no encoders: enabled = false in [encoder]")
        self.info = StreamInfo(name="encoder", title="Wheel encoders", unit="m", period_s=encoder.period_s)
        self._pace = pace or Pace(encoder.period_s)
        self._odometer = Odometer(ticks_per_m=encoder.ticks_per_m, track_width_m=encoder.track_width_m)
        self._lock = threading.Lock()  # ticks come from gpiozero's thread
        self._closed = False
        self._discs: list[_Disc] = []
        try:
            for wheel, pins in ((Wheel.LEFT, encoder.left_pins), (Wheel.RIGHT, encoder.right_pins)):
                self._discs.append(_Disc(pins, self._count(wheel)))
        except GPIOZeroError as exc:
            self.close()
            raise HardwareError(f"{wheel.value} wheel encoder: {exc}") from exc

    def read(self) -> Odometry:
        """The car's motion at the next beat.

        Raises:
            HardwareError: Closed.
        """
        now_ns = self._pace.wait()
        with self._lock:
            if self._closed:
                raise HardwareError("encoder is closed")
            return self._odometer.at(now_ns)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for disc in self._discs:  # outside the lock: gpiozero may be waiting for it with a tick
            disc.close()

    def _count(self, wheel: Wheel) -> Callable[[int, int], None]:
        def count(step: int, stamp_ns: int) -> None:
            with self._lock:
                self._odometer.tick(wheel, step, stamp_ns)

        return count


class _Disc(RotaryEncoder):  # type: ignore[misc]  # gpiozero is not typed
    """One quadrature encoder that says when.  Uses gpiozero's private names: see its contract test."""

    def __init__(self, pins: tuple[int, int], on_tick: Callable[[int, int], None]) -> None:
        self._on_tick = on_tick
        super().__init__(*pins, max_steps=0)  # 0: its count has no end

    def _change_state(self, ticks: float, edge: int) -> None:
        before = self._steps
        super()._change_state(ticks, edge)
        if self._steps != before:
            self._on_tick(self._steps - before, round(ticks * _NS))
