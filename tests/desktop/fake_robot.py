"""A robot for the window: the fake car of tests/car, with camera, sensors, events and a description."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import simplejpeg
from msgspec import Struct

from pynet_car.messages import (
    CameraFrame,
    Description,
    Event,
    Odometry,
    Reading,
    ReadingState,
    Scan,
    Severity,
    State,
    StreamInfo,
    encode,
)
from tests.car.fake_car import FakeCar


def jpeg(shade: int = 120, width_px: int = 320, height_px: int = 240) -> bytes:
    picture = np.full((height_px, width_px, 3), shade, np.uint8)
    data: bytes = simplejpeg.encode_jpeg(picture, quality=80, colorspace="RGB")
    return data


def reading(channel: str = "front", value: float = 1.0, unit: str = "m", seq: int = 0) -> Reading:
    return Reading(
        channel=channel,
        seq=seq,
        captured_ns=time.monotonic_ns(),
        value=value,
        unit=unit,
        state=ReadingState.OK,
    )


DESCRIPTION = Description(
    name="rover-7",
    board="fake board",
    simulated=False,
    has_camera=True,
    streams=(
        StreamInfo(name="camera", title="Camera", unit="JPEG", period_s=0.033),
        StreamInfo(
            name="proximity",
            title="Proximity",
            unit="m",
            period_s=0.06,
            maximum=2.0,
            channels=("front",),
            bearings_rad=(0.0,),
        ),
        StreamInfo(name="encoder", title="Wheel encoders", unit="m", period_s=0.02),
        StreamInfo(name="thermometer", title="Temperature", unit="°C", period_s=0.05, channels=("cpu",)),
    ),
    max_throttle=1.0,
    lifespan_ms=200,
    version="0",
)


@dataclass
class FakeRobot(FakeCar):
    description: Description = DESCRIPTION
    seq: int = 0
    picture: bytes = field(default_factory=jpeg)
    value_m: float = 1.0  # of the range in front
    velocity_mps: float = 0.0
    is_deaf_to_e_stop: bool = False
    is_closing: bool = False
    told_events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        super().__post_init__()
        add = self.gateway.add_subroutine
        add("camera", self._stream(self._frame, 0.03), keep="latest")
        add(
            "proximity",
            self._stream(lambda: Scan(readings=(reading(value=self.value_m),)), 0.05),
            keep="latest",
        )
        add(
            "thermometer",
            self._stream(lambda: Scan(readings=(reading("cpu", 51.0, "°C"),)), 0.05),
            keep="latest",
        )
        add("encoder", self._stream(self._odometry, 0.02), keep="latest")
        add("events", self._events, shared=True)
        add("describe", lambda: encode(self.description))

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_closing = True
        super().__exit__(kind, exc, trace)

    def say(self, text: str, kind: str = "test") -> None:
        event = Event(captured_ns=time.monotonic_ns(), severity=Severity.INFO, kind=kind, text=text)
        self.told_events.put(event)

    def _stream(self, make: Callable[[], Struct], period_s: float) -> Callable[[], Iterator[bytes]]:
        def stream() -> Iterator[bytes]:
            while True:
                if not self.is_silent:
                    yield encode(make())
                time.sleep(period_s)

        return stream

    def _frame(self) -> CameraFrame:
        self.seq += 1
        return CameraFrame(
            seq=self.seq, captured_ns=time.monotonic_ns(), width_px=320, height_px=240, jpeg=self.picture
        )

    def _odometry(self) -> Odometry:
        return Odometry(
            seq=1,
            captured_ns=time.monotonic_ns(),
            left_ticks=0,
            right_ticks=0,
            distance_m=0.0,
            x_m=0.0,
            y_m=0.0,
            heading_rad=0.0,
            velocity_mps=self.velocity_mps,
            yaw_rate_radps=0.0,
        )

    def _events(self) -> Iterator[bytes]:
        while self.gateway.is_running and not self.is_closing:
            try:
                yield encode(self.told_events.get(timeout=0.05))
            except queue.Empty:
                continue

    def _e_stop(self) -> int:
        self.asked.append("e_stop")
        if not self.is_deaf_to_e_stop:
            self.set(state=State.E_STOP, reason="E-stop pressed")
        return 0

    def _disarm(self) -> int:
        self.asked.append("disarm")
        if self.status.state is not State.E_STOP:
            self.set(state=State.DISARMED, reason="disarmed")
        return 0
