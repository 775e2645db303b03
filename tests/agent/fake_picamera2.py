"""As much of picamera2 as pi_agent.picamera uses, with frames in our hands.

It refuses what picamera2 0.3 refuses; tests/system/test_picamera.py runs the same
contract on the real one.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest


@dataclass(frozen=True)
class Transform:
    """libcamera's."""

    hflip: bool = False
    vflip: bool = False


class Output:
    def __init__(self, pts: str | None = None) -> None:
        self.recording = False

    def start(self) -> None:
        self.recording = True

    def stop(self) -> None:
        self.recording = False


class Encoder:
    def __init__(self) -> None:
        self.firsttimestamp: int | None = None
        self.output: Any = None


class JpegEncoder(Encoder):
    def __init__(self, num_threads: int = 4, q: int | None = None) -> None:
        super().__init__()
        self.q = q


class MJPEGEncoder(Encoder):
    def __init__(self, bitrate: int | None = None) -> None:
        super().__init__()
        self.bitrate = bitrate


class LibavMjpegEncoder(Encoder):
    pass


class Lens:
    """The hardware behind all Picamera2 objects of a test."""

    def __init__(self) -> None:
        self.is_plugged = True
        self.is_busy = False
        self.lets_go = threading.Event()  # not set: closing hangs
        self.lets_go.set()
        self.opened: list[Picamera2] = []

    @property
    def now(self) -> Picamera2:
        """The camera that records; waits for it."""
        deadline = time.monotonic() + 10
        while not (self.opened and self.opened[-1].encoder):
            assert time.monotonic() < deadline, "no recording was started"
            time.sleep(0.001)
        return self.opened[-1]


class Picamera2:
    lens: Lens
    camera_controls = ("FrameDurationLimits",)

    def __init__(self) -> None:
        if self.lens.is_busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.lens.opened.append(self)
        self.encoder: Encoder | None = None
        self.config: dict[str, Any] = {}
        self.is_closed = False

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [{"Model": "imx708"}] if Picamera2.lens.is_plugged else []

    def create_video_configuration(
        self, main: dict[str, Any], transform: Transform, controls: dict[str, Any], buffer_count: int
    ) -> dict[str, Any]:
        return {"main": main, "transform": transform, "controls": controls, "buffer_count": buffer_count}

    def configure(self, config: dict[str, Any]) -> None:
        width, height = config["main"]["size"]
        self.config = config | {"main": config["main"] | {"size": (width & ~1, height & ~1)}}

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start_recording(self, encoder: Encoder, output: Output) -> None:
        if not isinstance(output, Output):
            raise RuntimeError("Must pass Output")
        encoder.output = output
        output.start()
        self.encoder = encoder

    def stop_recording(self) -> None:
        if self.encoder is None:
            raise RuntimeError("Encoder already stopped")
        self.lens.lets_go.wait()
        self.encoder.output.stop()

    def close(self) -> None:
        self.lens.lets_go.wait()
        self.is_closed = True

    def shoot(self, jpeg: bytes | memoryview, sensor_ns: int) -> None:
        """A frame comes out of the encoder, in the caller's thread."""
        encoder = self.encoder
        assert encoder is not None
        if encoder.firsttimestamp is None:
            encoder.firsttimestamp = sensor_ns // 1000
        timestamp = sensor_ns // 1000 - encoder.firsttimestamp
        encoder.output.outputframe(jpeg, True, timestamp, None, False)


def install(patch: pytest.MonkeyPatch, *, has_hardware: bool = False) -> Lens:
    """Let `import picamera2` find this; as on a Pi 5, or with the hardware encoder of those before."""
    Picamera2.lens = Lens()
    libcamera, picamera2, encoders, outputs = (
        ModuleType(name) for name in ("libcamera", "picamera2", "picamera2.encoders", "picamera2.outputs")
    )
    vars(libcamera).update(Transform=Transform)
    vars(picamera2).update(Picamera2=Picamera2)
    vars(encoders).update(
        JpegEncoder=JpegEncoder, MJPEGEncoder=MJPEGEncoder if has_hardware else LibavMjpegEncoder
    )
    vars(outputs).update(Output=Output)
    for module in (libcamera, picamera2, encoders, outputs):
        patch.setitem(sys.modules, module.__name__, module)
    patch.delitem(sys.modules, "pi_agent.picamera", raising=False)
    return Picamera2.lens
