"""What every `ports.Camera` promises, shown on one that sends 20 to 60 frames a second by itself.

Needs nothing that a bare Debian with picamera2 has not: tests/system/test_picamera.py runs
it there too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice, pairwise

from pi_agent.ports import Camera

MakeCamera = Callable[[], Camera]


def frames_are_jpegs_newer_and_newer(make: MakeCamera) -> None:
    camera = make()
    began_ns = time.monotonic_ns()
    frames = [(frame, time.monotonic_ns()) for frame in islice(camera.frames(), 10)]
    camera.close()
    assert len(frames) == 10
    for frame, taken_ns in frames:
        assert frame.jpeg[:2] == b"\xff\xd8", "it starts like a JPEG"
        assert frame.jpeg[-2:] == b"\xff\xd9", "and ends like one"
        assert frame.width_px > 0
        assert frame.height_px > 0
        assert began_ns - 10**9 < frame.captured_ns <= taken_ns, "stamped on our clock, when it was taken"
    for (before, _), (after, _) in pairwise(frames):
        assert after.seq > before.seq
        assert after.captured_ns > before.captured_ns


def who_comes_late_gets_the_newest(make: MakeCamera) -> None:
    camera = make()
    frames = camera.frames()
    first = next(frames)
    time.sleep(1.0)  # the camera does not wait
    second = next(frames)
    age_ns = time.monotonic_ns() - second.captured_ns
    camera.close()
    assert second.seq - first.seq >= 5, "those in between are counted"
    assert age_ns < 500_000_000, f"the newest, not the next: it is {age_ns / 1e6:.0f} ms old"


def closing_ends_the_frames(make: MakeCamera) -> None:
    camera = make()
    is_showing = threading.Event()

    def show() -> None:
        for _ in camera.frames():
            is_showing.set()

    showing = threading.Thread(target=show, daemon=True)
    showing.start()
    assert is_showing.wait(20)
    camera.close()
    camera.close()
    showing.join(10)
    assert not showing.is_alive()
    assert next(iter(camera.frames()), None) is None, "and it stays closed"


def another_one_can_be_had_after_it(make: MakeCamera) -> None:
    for _ in range(2):
        camera = make()
        frames = camera.frames()
        next(frames)
        camera.close()
        assert next(frames, None) is None


CONTRACT: tuple[Callable[[MakeCamera], None], ...] = (
    frames_are_jpegs_newer_and_newer,
    who_comes_late_gets_the_newest,
    closing_ends_the_frames,
    another_one_can_be_had_after_it,
)
