"""The charts' points between two repaints: streams' threads put them in, the GUI takes them all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from desktop_app.view import Sample
from pynet_car.messages import Odometry, Scan

# 30 Hz repaints leave 40 points; a GUI that is stuck for long loses the oldest of them, which shows as a gap.
MAX_WAITING: Final = 8192
MAX_AGE_S: Final = 5.0  # a stamp further back than this, or in the future, is the car's clock gone wrong


class Samples:
    """Points of every channel, in the order they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Sample] = deque(maxlen=MAX_WAITING)
        self.lost = 0

    def put(self, samples: list[Sample]) -> None:
        """Any thread."""
        with self._lock:
            self.lost += max(0, len(self._waiting) + len(samples) - MAX_WAITING)
            self._waiting.extend(samples)

    def take(self) -> list[Sample]:
        """All that came since the last call."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
            return taken


def points(
    stream: str, message: Scan | Odometry, *, age_s: Callable[[int], float], now_s: float
) -> list[Sample]:
    """The points of one message, at the time it was captured; `age_s` of a stamp of the car's clock."""

    def at_s(captured_ns: int) -> float:
        return now_s - min(MAX_AGE_S, max(0.0, age_s(captured_ns)))

    if isinstance(message, Scan):
        return [
            Sample(
                stream=stream,
                channel=reading.channel,
                at_s=at_s(reading.captured_ns),
                value=reading.value,
                state=reading.state,
            )
            for reading in message.readings
        ]
    figures = {"velocity_mps": message.velocity_mps, "yaw_rate_radps": message.yaw_rate_radps}
    return [
        Sample(
            stream=stream,
            channel=channel,
            at_s=at_s(message.captured_ns),
            value=figure,
            state=message.state,
        )
        for channel, figure in figures.items()
    ]
