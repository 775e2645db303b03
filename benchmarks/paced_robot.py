"""A robot that only talks: 720p at 30 pictures a second, four rangers, an encoder, Status.  For `window`.

    python -m benchmarks.paced_robot

Prints its port.  Each picture carries its number as 16 black or white fields in
its middle, so that a screenshot shows which one is on the screen.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import simplejpeg
from msgspec import Struct

from benchmarks.window import FIELD_PX, FIELDS, HEIGHT_PX, WIDTH_PX
from pynet_car.messages import (
    CameraFrame,
    Description,
    Odometry,
    Reading,
    ReadingState,
    Scan,
    State,
    Status,
    StreamInfo,
    encode,
)
from pynet_core.gateway import Gateway

FPS: Final = 30
HEADS: Final = {"front_left": 0.5, "front": 0.0, "front_right": -0.5, "rear": math.pi}
_BASES: Final = 8  # pictures made beforehand; the number is drawn and encoded for each one that is sent

DESCRIPTION: Final = Description(
    name="bench",
    board="benchmark",
    simulated=True,
    has_camera=True,
    streams=(
        StreamInfo(name="camera", title="Camera", unit="JPEG", period_s=1 / FPS),
        StreamInfo(
            name="proximity",
            title="Proximity",
            unit="m",
            period_s=0.06,
            maximum=2.0,
            channels=tuple(HEADS),
            bearings_rad=tuple(HEADS.values()),
        ),
        StreamInfo(name="encoder", title="Wheel encoders", unit="m", period_s=0.02),
    ),
    max_throttle=1.0,
    lifespan_ms=200,
    version="0",
)


def pictures() -> list[np.ndarray]:
    """Noise over slopes: a JPEG of about 150 KB, as a camera at 720p gives."""
    dice = np.random.default_rng(7)
    slope = np.linspace(40, 200, WIDTH_PX, dtype=np.float32)[None, :, None]
    found = []
    for i in range(_BASES):
        noise = dice.normal(0, 9, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.float32)
        found.append(np.clip(np.roll(slope, 40 * i, axis=1) + noise, 0, 255).astype(np.uint8))
    return found


def draw_number(picture: np.ndarray, number: int) -> None:
    top, left = (HEIGHT_PX - FIELD_PX) // 2, (WIDTH_PX - FIELDS * FIELD_PX) // 2
    for bit in range(FIELDS):
        shade = 255 if number >> bit & 1 else 0
        x = left + bit * FIELD_PX
        picture[top : top + FIELD_PX, x : x + FIELD_PX] = shade


def paced(make: Callable[[int], Struct], hz: float) -> Callable[[], Iterator[bytes]]:
    """A generator function of what `make` gives, on time on average."""

    def stream() -> Iterator[bytes]:
        next_s = time.monotonic()
        for number in itertools.count():
            yield encode(make(number))
            next_s = max(next_s + 1 / hz, time.monotonic() - 0.1)
            time.sleep(max(0.0, next_s - time.monotonic()))

    return stream


def frames(made: list[np.ndarray]) -> Callable[[int], CameraFrame]:
    def frame(number: int) -> CameraFrame:
        picture = made[number % _BASES]
        draw_number(picture, number)
        jpeg = simplejpeg.encode_jpeg(picture, quality=80, colorspace="BGR", colorsubsampling="420")
        # From here on it is on its way: the window's latency is counted from this stamp.
        return CameraFrame(
            seq=number,
            captured_ns=time.monotonic_ns(),
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            jpeg=jpeg,
        )

    return frame


def status(number: int) -> Status:
    return Status(boot=1, stamp_ns=time.monotonic_ns(), state=State.DISARMED, reason="Only a benchmark.")


def scan(number: int) -> Scan:
    def reading(i: int, channel: str) -> Reading:
        value_m = 1.0 + 0.8 * math.sin(time.monotonic() + i)
        return Reading(
            channel=channel,
            seq=number,
            captured_ns=time.monotonic_ns(),
            value=value_m,
            unit="m",
            state=ReadingState.OK,
        )

    return Scan(readings=tuple(reading(i, channel) for i, channel in enumerate(HEADS)))


def odometry(number: int) -> Odometry:
    now_s = time.monotonic()
    return Odometry(
        seq=number,
        captured_ns=time.monotonic_ns(),
        left_ticks=number,
        right_ticks=number,
        distance_m=0.01 * number,
        x_m=0.0,
        y_m=0.0,
        heading_rad=0.0,
        velocity_mps=1.0 + 0.5 * math.sin(now_s),
        yaw_rate_radps=math.cos(now_s),
    )


def events(number: int) -> Struct:
    threading.Event().wait()
    raise AssertionError("never")


def main() -> None:
    gateway = Gateway(0, max_poolsize=32)
    add = gateway.add_subroutine
    add("status", paced(status, 50), shared=True, keep="latest")
    add("camera", paced(frames(pictures()), FPS), shared=True, keep="latest")
    add("proximity", paced(scan, 66), shared=True, keep="latest")
    add("encoder", paced(odometry, 50), shared=True, keep="latest")
    add("events", paced(events, 1), shared=True)
    add("describe", lambda: encode(DESCRIPTION))
    for name in ("lease", "release", "arm", "disarm", "reset", "e_stop", "drive"):
        add(name, lambda buffer=b"": 2)  # no lease: nobody drives this one
    gateway.start()
    print(gateway.port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
