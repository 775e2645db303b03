"""The Pi's camera through picamera2: JPEG frames with the time the sensor took them.

Imports picamera2, which only a Pi has: who wants a camera imports this file
when it is time to open one.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from libcamera import Transform
from picamera2 import Picamera2
from picamera2.encoders import JpegEncoder, MJPEGEncoder
from picamera2.outputs import Output

from pi_agent.config import CameraConfig
from pynet_car.messages import CameraFrame
from pynet_core.errors import HardwareError

BUFFERS: Final = 4  # one being filled, one encoded, and one in hand for each
ENCODER_THREADS: Final = 2  # a 640x480 frame takes a Pi 5 some 3 ms
HANG_S: Final = 3.0  # without a frame it is opened anew
RELEASE_S: Final = 2.0
WAKE_S: Final = 0.2  # how soon `close` is seen

# Bits a pixel of a JPEG, by quality, as libjpeg-turbo makes them of our rendered room.  The hardware encoder
# is not told a quality but a rate.
_BITS_PER_PIXEL: Final = ((1, 0.12), (50, 0.57), (60, 0.65), (75, 0.83), (85, 1.1), (95, 2.0), (100, 3.9))

log = logging.getLogger(__name__)


class PiCamera:
    """A `ports.Camera` on the first camera that libcamera finds."""

    def __init__(
        self,
        config: CameraConfig,
        *,
        open_camera: Callable[[], Any] = Picamera2,
        make_encoder: Callable[[CameraConfig], Any] | None = None,
        hang_s: float = HANG_S,
    ) -> None:
        self._config = config
        self._open_camera = open_camera
        self._make_encoder = make_encoder or encoder_for
        self._hang_s = hang_s
        self._closed = threading.Event()
        self._seq = 0
        self._releasing: threading.Thread | None = None

    def frames(self) -> Iterator[CameraFrame]:
        """Each new frame, the newest when several have come; ends after `close`.

        Raises:
            HardwareError: There is no camera, it is taken, or it has stopped sending.
        """
        if self._releasing is not None and self._releasing.is_alive():
            raise HardwareError(
                "it hangs in its driver and cannot be opened anew:  sudo systemctl restart pynet-agent, "
                "and if that does not help,  sudo reboot"
            )
        if self._closed.is_set():
            return
        camera = self._open()
        try:
            yield from self._record(camera)
        finally:
            self._release(camera)

    def close(self) -> None:
        self._closed.set()

    def _open(self) -> Any:
        if not Picamera2.global_camera_info():
            raise HardwareError(
                "no camera is found: look at its ribbon cable, reboot, ask:  rpicam-hello --list-cameras; "
                "for a car without one write  enabled = false  in [camera]"
            )
        try:
            return self._open_camera()
        except Exception as exc:  # not ours: picamera2 raises whatever it meets
            why = exc.__cause__ or exc  # picamera2 itself says that it did not complete
            raise HardwareError(f"it cannot be opened, perhaps another program has it: {why}") from exc

    def _record(self, camera: Any) -> Iterator[CameraFrame]:
        config = self._config
        newest = _Newest()
        try:
            controls = {}
            if "FrameDurationLimits" in camera.camera_controls:
                controls["FrameDurationLimits"] = (round(1e6 / config.fps),) * 2
            camera.configure(
                camera.create_video_configuration(
                    # The planes as a JPEG wants them: no conversion of colours.
                    main={"size": (config.width_px, config.height_px), "format": "YUV420"},
                    # In the sensor: it costs nothing.
                    transform=Transform(hflip=config.upside_down, vflip=config.upside_down),
                    controls=controls,
                    buffer_count=BUFFERS,
                )
            )
            width_px, height_px = camera.camera_configuration()["main"]["size"]
            encoder = newest.encoder = self._make_encoder(config)
            camera.start_recording(encoder, newest)
        except Exception as exc:  # not ours
            raise HardwareError(
                f"it does not give {config.width_px}x{config.height_px} at {config.fps:g} fps: {exc}"
            ) from exc
        log.info("%dx%d at %g fps by %s", width_px, height_px, config.fps, type(encoder).__name__)
        silent_since = time.monotonic()
        while not self._closed.is_set():
            frame = newest.take(WAKE_S)
            if frame is None:
                if time.monotonic() - silent_since > self._hang_s:
                    raise HardwareError(f"no frame for {self._hang_s:g} s; it is opened anew")
                continue
            silent_since = time.monotonic()
            self._seq += 1 + frame.replaced
            yield CameraFrame(
                seq=self._seq,
                captured_ns=frame.captured_ns,
                width_px=width_px,
                height_px=height_px,
                jpeg=frame.jpeg,
            )

    def _release(self, camera: Any) -> None:
        """Stop and give back; a driver that hangs must not hang us too."""
        self._releasing = threading.Thread(target=_end, args=(camera,), name="camera-release", daemon=True)
        self._releasing.start()
        self._releasing.join(RELEASE_S)


def _end(camera: Any) -> None:
    for act in (camera.stop_recording, camera.close):
        try:
            act()
        except Exception as exc:  # not ours, and the camera is being given up
            log.warning("the camera would not end: %s", exc)


def encoder_for(config: CameraConfig) -> Any:
    """The JPEG encoder this Pi is best at: its hardware's up to the Pi 4, libjpeg-turbo on a Pi 5.

    picamera2 gives the name MJPEGEncoder to another one where there is no hardware for it.
    """
    if MJPEGEncoder.__name__ == "MJPEGEncoder":
        return MJPEGEncoder(bitrate=bitrate(config))
    return JpegEncoder(num_threads=ENCODER_THREADS, q=config.quality)


def bitrate(config: CameraConfig) -> int:
    """About what JPEGs of this quality come to, bit/s."""
    pixels_per_s = config.width_px * config.height_px * config.fps
    for (low, few), (high, many) in itertools.pairwise(_BITS_PER_PIXEL):
        if config.quality <= high:
            share = (config.quality - low) / (high - low)
            return round(pixels_per_s * (few + share * (many - few)))
    raise AssertionError("quality is at most 100")


def on_our_clock(sensor_ns: int) -> int:
    """A SensorTimestamp as CLOCK_MONOTONIC has it.

    libcamera says CLOCK_BOOTTIME, drivers say CLOCK_MONOTONIC; the two differ
    once the computer has slept.  No frame is from the future.
    """
    now_ns = time.monotonic_ns()
    if sensor_ns > now_ns:
        sensor_ns -= time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now_ns
    return min(sensor_ns, now_ns)


class _Frame:
    __slots__ = ("captured_ns", "jpeg", "replaced")

    def __init__(self, jpeg: bytes, captured_ns: int, replaced: int) -> None:
        self.jpeg = jpeg
        self.captured_ns = captured_ns
        self.replaced = replaced  # how many older ones nobody took


class _Newest(Output):  # type: ignore[misc]  # picamera2 is not typed
    """Keeps the newest frame.  Filled in a thread of picamera2's, emptied in ours."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder: Any = None
        self._frame: _Frame | None = None
        self._changed = threading.Condition()

    def outputframe(
        self, frame: Any, keyframe: bool = True, timestamp: int | None = None, *rest: Any, **more: Any
    ) -> None:
        first_us = self.encoder.firsttimestamp  # `timestamp` counts from there, in us
        known = timestamp is not None and first_us is not None
        captured_ns = on_our_clock((first_us + timestamp) * 1000) if known else time.monotonic_ns()
        with self._changed:
            replaced = 0 if self._frame is None else self._frame.replaced + 1
            self._frame = _Frame(bytes(frame), captured_ns, replaced)
            self._changed.notify()

    def take(self, timeout_s: float) -> _Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None, timeout_s)
            frame, self._frame = self._frame, None
            return frame
