"""What a robot says, with nonsense turned into a fault and names made short.  Pure."""

from __future__ import annotations

import math
from typing import Final

from msgspec.structs import replace

from pynet_car.messages import Description, Odometry, Reading, ReadingState, Scan, Status

ABSURD: Final = 1e6  # no unit we know has a sensor beyond this
MAX_NAME: Final = 40  # characters of a name, a title or a unit that a robot may show us
MAX_WHY: Final = 200  # characters of its reason why a stream does not run
MAX_STREAMS: Final = 32
MAX_CHANNELS: Final = 16  # of one stream


def makes_sense(status: Status) -> bool:
    """Whether its figures are figures.  One without is dropped whole: the state then ages to 'assumed'."""
    return all(math.isfinite(part) and -1.0 <= part <= 1.0 for part in (status.duty, status.steering))


def sane_odometry(odometry: Odometry) -> Odometry:
    """The same object, or a fault."""
    figures = (odometry.velocity_mps, odometry.yaw_rate_radps, odometry.distance_m, odometry.heading_rad)
    if all(_is_sane(figure) for figure in figures):
        return odometry
    return replace(odometry, velocity_mps=0.0, yaw_rate_radps=0.0, state=ReadingState.FAULT)


def sane_scan(scan: Scan) -> Scan:
    """The same object, or one with faults where it made no sense."""
    if len(scan.readings) <= MAX_CHANNELS and all(_is_sane_reading(reading) for reading in scan.readings):
        return scan
    return Scan(readings=tuple(_sane_reading(reading) for reading in scan.readings[:MAX_CHANNELS]))


def tidy(description: Description) -> Description:
    """The description with every text short and on one line, and no more streams than a window can show."""
    reach = description.max_throttle
    return replace(
        description,
        name=clip(description.name),
        board=clip(description.board),
        version=clip(description.version),
        max_throttle=reach if 0.0 < reach <= 1.0 else 1.0,
        top_speed_mps=max(0.0, _figure(description.top_speed_mps)),
        streams=tuple(
            replace(
                stream,
                name=clip(stream.name),
                title=clip(stream.title),
                unit=clip(stream.unit),
                period_s=max(0.0, _figure(stream.period_s)),
                minimum=_figure(stream.minimum),
                maximum=_figure(stream.maximum),
                channels=tuple(clip(channel) for channel in stream.channels[:MAX_CHANNELS]),
                bearings_rad=tuple(_figure(bearing) for bearing in stream.bearings_rad[:MAX_CHANNELS]),
                state=clip(stream.state, MAX_WHY),
            )
            for stream in description.streams[:MAX_STREAMS]
        ),
    )


def clip(text: str, limit: int = MAX_NAME) -> str:
    """At most `limit` characters, all printable."""
    if len(text) <= limit and text.isprintable():
        return text
    line = "".join(c if c.isprintable() else " " for c in text[:limit])
    return line if len(text) <= limit else line[:-1] + "…"


def _is_sane_reading(reading: Reading) -> bool:
    return _is_sane(reading.value) and clip(reading.channel) == reading.channel and len(reading.unit) < 16


def _sane_reading(reading: Reading) -> Reading:
    state = reading.state if _is_sane(reading.value) else ReadingState.FAULT
    return replace(
        reading,
        channel=clip(reading.channel),
        unit=clip(reading.unit, 16),
        value=_figure(reading.value),
        state=state,
    )


def _is_sane(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= ABSURD


def _figure(value: float) -> float:
    return value if _is_sane(value) else 0.0
