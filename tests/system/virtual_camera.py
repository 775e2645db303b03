"""Our camera adapter over the real picamera2, on libcamera's virtual camera.  Runs in `picamera_root` only.

    python -m tests.system.virtual_camera [--seconds N]

What the virtual camera lacks is added here and nowhere else: it has no
/dev/dma_heap to put frames in, knows NV12 only, has no raw stream, sends as
fast as it is asked, and (libcamera 0.4.0) does not say that a frame is good.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any


class _Anything(type):
    def __getattr__(cls, name: str) -> str:
        return name


class _Names(metaclass=_Anything):
    pass


# picamera2 imports it for a preview on a screen that nobody here has.
sys.modules["pykms"] = ModuleType("pykms")
vars(sys.modules["pykms"]).update(PixelFormat=_Names, PlaneType=_Names)

import libcamera  # noqa: E402
import numpy as np  # noqa: E402
import picamera2.picamera2 as inside  # noqa: E402
import simplejpeg  # noqa: E402
from picamera2 import MappedArray, Picamera2  # noqa: E402
from picamera2.allocators.allocator import Allocator, Sync  # noqa: E402
from picamera2.encoders import JpegEncoder  # noqa: E402

from pi_agent.config import CameraConfig  # noqa: E402
from pi_agent.picamera import PiCamera  # noqa: E402
from pynet_core.errors import HardwareError  # noqa: E402
from tests.agent.camera_contract import CONTRACT, frames_are_jpegs_newer_and_newer  # noqa: E402


class MemorySync(Sync):  # type: ignore[misc]
    def __init__(self, allocator: MemoryAllocator, buffer: Any, write: bool) -> None:
        self._memory = allocator.memory[buffer]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *args: object) -> None: ...


class MemoryAllocator(Allocator):  # type: ignore[misc]
    """Frames in plain memory, the two planes of NV12 one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.sync = MemorySync
        self.memory: dict[Any, mmap.mmap] = {}
        self._buffers: dict[Any, list[Any]] = {}

    def allocate(self, libcamera_config: Any, use_case: Any) -> None:
        self.close()
        for stream in libcamera_config:
            made = []
            luma = stream.stride * stream.size.height
            for number in range(stream.buffer_count):
                fd = os.memfd_create(f"frame-{number}")
                os.ftruncate(fd, stream.frame_size)
                planes = []
                for offset, length in ((0, luma), (luma, stream.frame_size - luma)):
                    plane = libcamera.FrameBuffer.Plane()
                    plane.fd, plane.offset, plane.length = fd, offset, length
                    planes.append(plane)
                made.append(libcamera.FrameBuffer(planes))
                self.memory[made[-1]] = mmap.mmap(fd, stream.frame_size)
                os.close(fd)
            self._buffers[stream.stream] = made

    def buffers(self, stream: Any) -> Any:
        return self._buffers[stream]

    def close(self) -> None:
        self.memory, self._buffers = {}, {}


class _Good:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class _LibcameraWithStatus:
    FrameMetadata = SimpleNamespace(Status=SimpleNamespace(Success=_Good()))

    def __getattr__(self, name: str) -> Any:
        return getattr(libcamera, name)


inside.libcamera = _LibcameraWithStatus()
inside.DmaAllocator = MemoryAllocator  # `close` makes a fresh one


class VirtualCamera(Picamera2):  # type: ignore[misc]
    """picamera2 with what the virtual camera needs; sends at `fps` until `stalls`."""

    def __init__(self, fps: float) -> None:
        super().__init__(allocator=MemoryAllocator())
        self._period_s = 1.0 / fps
        self._next_s = time.monotonic()
        self.stalls = False
        self.pre_callback = self._pace

    def _get_raw_modes(self) -> list[dict[str, Any]]:
        return [{"format": "SRGGB10", "size": (1280, 720)}]

    def create_video_configuration(self, main: dict[str, Any] | None = None, **rest: Any) -> Any:
        return super().create_video_configuration((main or {}) | {"format": "NV12"}, raw=None, **rest)

    def _pace(self, request: Any) -> None:
        while self.stalls:
            time.sleep(0.01)
        now_s = time.monotonic()
        self._next_s = max(self._next_s + self._period_s, now_s - self._period_s)
        time.sleep(max(0.0, self._next_s - now_s))


class Nv12Encoder(JpegEncoder):  # type: ignore[misc]
    def encode_func(self, request: Any, name: str) -> bytes:
        width, height = request.config[name]["size"]
        with MappedArray(request, name, reshape=False) as mapped:
            luma, chroma = np.split(mapped.array[: width * height * 3 // 2], [width * height])
            pairs = chroma.reshape(height // 2, width // 2, 2)
            planes = (np.ascontiguousarray(pairs[..., colour]) for colour in (0, 1))
            jpeg: bytes = simplejpeg.encode_jpeg_yuv_planes(luma.reshape(height, width), *planes, self.q)
            return jpeg


def camera(
    config: CameraConfig, *, hang_s: float = 3.0, opened: list[VirtualCamera] | None = None
) -> PiCamera:
    def open_camera() -> VirtualCamera:
        made = VirtualCamera(config.fps)
        if opened is not None:
            opened.append(made)
        return made

    return PiCamera(
        config,
        open_camera=open_camera,
        make_encoder=lambda config: Nv12Encoder(num_threads=2, q=config.quality),
        hang_s=hang_s,
    )


def measure(config: CameraConfig, seconds: float) -> dict[str, float]:
    """Rate, ages at delivery and cost of a camera that runs `seconds`; its pictures are looked at too."""
    lens = camera(config)
    ages, sizes, shown = [], set(), []
    begun_s = cpu_s = 0.0
    for frame in lens.frames():
        if not begun_s:
            begun_s, cpu_s = time.monotonic(), time.process_time()
        ages.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
        if len(ages) % 10 == 1:
            shown.append(simplejpeg.decode_jpeg(frame.jpeg).shape)
        sizes.add((frame.width_px, frame.height_px))
        if time.monotonic() - begun_s > seconds:
            break
    took_s, used_s = time.monotonic() - begun_s, time.process_time() - cpu_s
    lens.close()
    assert sizes == {(config.width_px, config.height_px)}
    assert set(shown) == {(config.height_px, config.width_px, 3)}
    ages.sort()
    return {
        "fps": round((len(ages) - 1) / took_s, 1),
        "age_p50_ms": round(ages[len(ages) // 2], 1),
        "age_p99_ms": round(ages[int(len(ages) * 0.99)], 1),
        "cpu_percent": round(100 * used_s / took_s),
    }


def a_stall_is_an_error_and_the_next_try_succeeds(config: CameraConfig) -> None:
    opened: list[VirtualCamera] = []
    lens = camera(config, hang_s=0.5, opened=opened)
    frames = lens.frames()
    next(frames)
    opened[0].stalls = True
    try:
        for _ in frames:
            pass
    except HardwareError as exc:
        assert "no frame for 0.5 s" in str(exc)
    else:
        raise AssertionError("it said nothing")
    opened[0].stalls = False
    deadline = time.monotonic() + 20
    while True:
        try:
            next(lens.frames())
            break
        except HardwareError:
            assert time.monotonic() < deadline, "it never came back"
            time.sleep(0.2)
    assert len(opened) >= 2
    lens.close()


def a_second_one_is_refused_in_words(config: CameraConfig) -> None:
    first, second = camera(config), camera(config)
    frames = first.frames()
    next(frames)
    try:
        next(second.frames())
    except HardwareError as exc:
        assert "perhaps another program has it" in str(exc)
    else:
        raise AssertionError("two had the same camera")
    finally:
        first.close()
        list(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="each measurement's length")
    parser.add_argument("--none", action="store_true", help="there is no camera: show what is said then")
    arguments = parser.parse_args()
    if arguments.none:
        try:
            next(camera(CameraConfig()).frames())
        except HardwareError as exc:
            print(json.dumps({"said": str(exc)}))
        return
    config = CameraConfig()
    for promise in CONTRACT:
        promise(lambda: camera(config))
    frames_are_jpegs_newer_and_newer(lambda: camera(CameraConfig(upside_down=True)))
    a_second_one_is_refused_in_words(config)
    a_stall_is_an_error_and_the_next_try_succeeds(config)
    large = CameraConfig(width_px=1280, height_px=720)
    figures = {"640x480": measure(config, arguments.seconds), "1280x720": measure(large, arguments.seconds)}
    print(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)  # libcamera's threads have nothing to end


if __name__ == "__main__":
    main()
