"""The Pi's camera over a picamera2 that is not one: stamps, newest only, hangs, absence."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pi_agent.camera import CameraFeed, LateCamera
from pi_agent.config import CameraConfig
from pynet_car.messages import CameraFrame, Event
from pynet_core.errors import HardwareError
from tests.agent import fake_picamera2
from tests.agent.camera_contract import CONTRACT, MakeCamera
from tests.agent.fake_picamera2 import Lens, Transform

CONFIG = CameraConfig(width_px=641, height_px=480, fps=25.0, quality=80)


@pytest.fixture
def lens(monkeypatch: pytest.MonkeyPatch) -> Lens:
    return fake_picamera2.install(monkeypatch)


def in_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_a_frame_is_what_the_encoder_gave_stamped_when_the_sensor_took_it(lens: Lens) -> None:
    camera = LateCamera(CONFIG)
    frames = camera.frames()
    shot_ns = time.monotonic_ns() - 40_000_000
    in_thread(lambda: lens.now.shoot(b"\xff\xd8 one", shot_ns))
    first = next(frames)
    assert (first.jpeg, first.seq, first.width_px, first.height_px) == (b"\xff\xd8 one", 1, 640, 480)
    assert 0 <= shot_ns - first.captured_ns < 1000  # it counts microseconds
    lens.now.shoot(memoryview(b"two"), shot_ns + 33_333_333)
    second = next(frames)
    assert (second.jpeg, second.seq) == (b"two", 2)
    assert 0 <= shot_ns + 33_333_333 - second.captured_ns < 2000
    camera.close()
    assert list(frames) == []
    assert lens.opened[0].is_closed


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_it_keeps(promise: Callable[[MakeCamera], None], lens: Lens) -> None:
    ended = threading.Event()

    def shoot() -> None:
        while not ended.wait(0.03):
            for camera in lens.opened[-1:]:
                if camera.encoder is not None and not camera.is_closed:
                    camera.shoot(b"\xff\xd8 picture \xff\xd9", time.monotonic_ns())

    shooting = in_thread(shoot)
    promise(lambda: LateCamera(CONFIG))
    ended.set()
    shooting.join()


def test_it_asks_for_size_rate_and_planes_without_conversion(lens: Lens) -> None:
    camera = LateCamera(CONFIG)
    frames = camera.frames()
    in_thread(lambda: lens.now.shoot(b"1", time.monotonic_ns()))
    next(frames)
    asked = lens.opened[0].config
    assert asked["main"]["format"] == "YUV420"
    assert asked["controls"] == {"FrameDurationLimits": (40_000, 40_000)}
    encoder: Any = lens.opened[0].encoder
    assert (type(encoder).__name__, encoder.q) == ("JpegEncoder", 80)
    frames.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_upside_down", [False, True])
def test_a_camera_that_hangs_head_down_is_turned_in_the_sensor(lens: Lens, is_upside_down: bool) -> None:
    camera = LateCamera(CameraConfig(upside_down=is_upside_down))
    frames = camera.frames()
    in_thread(lambda: lens.now.shoot(b"1", time.monotonic_ns()))
    next(frames)
    assert lens.opened[0].config["transform"] == Transform(hflip=is_upside_down, vflip=is_upside_down)
    camera.close()


@pytest.mark.parametrize(
    ("quality", "low", "high"), [(60, 4.5e6, 6.5e6), (75, 6.5e6, 8.5e6), (100, 3e7, 5e7)]
)
def test_up_to_the_pi_4_the_hardware_encodes_at_a_rate_of_about_that_quality(
    monkeypatch: pytest.MonkeyPatch, quality: int, low: float, high: float
) -> None:
    lens = fake_picamera2.install(monkeypatch, has_hardware=True)
    camera = LateCamera(CameraConfig(quality=quality))
    frames = camera.frames()
    in_thread(lambda: lens.now.shoot(b"1", time.monotonic_ns()))
    next(frames)
    encoder: Any = lens.opened[0].encoder
    assert type(encoder).__name__ == "MJPEGEncoder"
    assert low < encoder.bitrate < high
    camera.close()


def test_of_frames_that_wait_only_the_newest_is_shown_and_the_others_are_counted(lens: Lens) -> None:
    camera = LateCamera(CONFIG)
    frames = camera.frames()
    in_thread(lambda: lens.now.shoot(b"1", time.monotonic_ns()))
    next(frames)
    for number in (b"2", b"3", b"4"):
        lens.now.shoot(number, time.monotonic_ns())
    frame = next(frames)
    assert (frame.jpeg, frame.seq) == (b"4", 4)
    camera.close()


def test_a_stamp_is_never_from_the_future_nor_of_another_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_picamera2.install(monkeypatch)
    from pi_agent.picamera import on_our_clock

    monkeypatch.setattr(time, "monotonic_ns", lambda: 1_000_000_000)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: 7_000_000_000)  # it has slept six seconds
    assert on_our_clock(960_000_000) == 960_000_000
    assert on_our_clock(6_960_000_000) == 960_000_000
    assert on_our_clock(7_100_000_000) == 1_000_000_000


def test_without_picamera2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.delitem(sys.modules, "pi_agent.picamera", raising=False)
    with pytest.raises(HardwareError, match="sudo apt install python3-picamera2"):
        next(LateCamera(CONFIG).frames())


def test_without_a_camera_it_says_where_to_look(lens: Lens) -> None:
    lens.is_plugged = False
    with pytest.raises(HardwareError, match="no camera is found: look at its ribbon cable"):
        next(LateCamera(CONFIG).frames())


def test_a_camera_that_another_program_has_is_told_and_had_later(lens: Lens) -> None:
    lens.is_busy = True
    camera = LateCamera(CONFIG)
    with pytest.raises(HardwareError, match="perhaps another program has it: Camera __init__"):
        next(camera.frames())
    lens.is_busy = False
    in_thread(lambda: lens.now.shoot(b"1", time.monotonic_ns()))
    assert next(camera.frames()).jpeg == b"1"
    camera.close()


def test_a_camera_that_stops_sending_is_opened_anew(lens: Lens) -> None:
    from pi_agent.picamera import PiCamera

    camera = PiCamera(CONFIG, hang_s=0.05)
    frames = camera.frames()
    in_thread(lambda: lens.now.shoot(b"1", time.monotonic_ns()))
    next(frames)
    with pytest.raises(HardwareError, match=r"no frame for 0.05 s"):
        next(frames)
    assert lens.opened[0].is_closed
    again = camera.frames()
    lens.opened.clear()
    in_thread(lambda: lens.now.shoot(b"2", time.monotonic_ns()))
    assert next(again).seq == 2
    camera.close()


def test_a_driver_that_does_not_let_go_holds_nobody_up_and_is_told(
    lens: Lens, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pi_agent import picamera

    monkeypatch.setattr(picamera, "RELEASE_S", 0.01)
    lens.lets_go.clear()
    camera = picamera.PiCamera(CONFIG, hang_s=0.05)
    with pytest.raises(HardwareError, match="no frame for"):
        next(camera.frames())
    with pytest.raises(HardwareError, match="hangs in its driver"):
        next(camera.frames())
    lens.lets_go.set()
    assert camera._releasing is not None
    camera._releasing.join(10)
    lens.opened.clear()
    in_thread(lambda: lens.now.shoot(b"2", time.monotonic_ns()))
    assert next(camera.frames()).jpeg == b"2"
    camera.close()


def test_closing_wakes_a_feed_that_waits_for_a_frame_and_gives_the_camera_back(lens: Lens) -> None:
    told: list[Event] = []
    shown: list[CameraFrame] = []
    feed = CameraFeed(LateCamera(CONFIG), shown.append, told.append)
    feed.start()
    lens.now.shoot(b"1", time.monotonic_ns())
    feed.stop()
    assert not feed._thread.is_alive()
    assert lens.opened[0].is_closed
    assert told == []


def test_a_car_without_a_camera_says_so_once_and_goes_on(lens: Lens) -> None:
    lens.is_plugged = False
    told: list[Event] = []
    feed = CameraFeed(LateCamera(CONFIG), lambda frame: None, told.append, retry_s=0.001)
    feed.start()
    deadline = time.monotonic() + 10
    while not told and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)  # it has tried again by now
    feed.stop()
    assert [event.kind for event in told] == ["camera_fault"]
    assert feed.state.startswith("fails: no camera is found")
