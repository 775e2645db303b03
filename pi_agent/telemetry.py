"""Every number that is measured, as one stream: the newest Reading of each channel on one pair."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import msgspec

from pynet_car.messages import Odometry, Reading, Scan, encode
from pynet_core.feed import Feed

ODOMETRY_UNITS: Final = {
    "left_ticks": "ticks",
    "right_ticks": "ticks",
    "distance_m": "m",
    "x_m": "m",
    "y_m": "m",
    "heading_rad": "rad",
    "velocity_mps": "m/s",
    "yaw_rate_radps": "rad/s",
}


class Telemetry:
    """The stream; any thread may `put`.  What nobody hears costs nothing."""

    def __init__(self) -> None:
        self.feed = Feed()
        self._idents: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, stream: str, measurement: Scan | Odometry) -> None:
        """Its readings, each on a channel of its own: "proximity/front_left", "encoder/velocity_mps"."""
        if self.feed.is_heard:
            for reading in readings_of(stream, measurement):
                self.feed.put(encode(reading), self._ident_of(reading.channel))

    def _ident_of(self, channel: str) -> int:
        with self._lock:
            return self._idents.setdefault(channel, len(self._idents))


def readings_of(stream: str, measurement: Scan | Odometry) -> Iterator[Reading]:
    """Every number in it, as a Reading whose channel begins with the stream's name."""
    if isinstance(measurement, Scan):
        for reading in measurement.readings:
            yield msgspec.structs.replace(reading, channel=f"{stream}/{reading.channel}")
        return
    for field, unit in ODOMETRY_UNITS.items():
        yield Reading(
            channel=f"{stream}/{field}",
            seq=measurement.seq,
            captured_ns=measurement.captured_ns,
            value=float(getattr(measurement, field)),
            unit=unit,
            state=measurement.state,
        )
