"""From JPEG to a picture: decoded, scaled, grey when old, and never the reason that anything dies."""

from __future__ import annotations

import functools
import gc
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QColor
from pytestqt.qtbot import QtBot

from desktop_app.frames import MAX_SIDE_PX, Frames, decode
from pynet_car.messages import CameraFrame


def jpeg(color: tuple[int, int, int] = (200, 30, 60), width_px: int = 64, height_px: int = 48) -> bytes:
    """RGB."""
    data: bytes = simplejpeg.encode_jpeg(
        np.full((height_px, width_px, 3), color, np.uint8), quality=90, colorspace="RGB"
    )
    return data


def frame(seq: int, data: bytes | None = None) -> CameraFrame:
    return CameraFrame(
        seq=seq,
        captured_ns=time.monotonic_ns(),
        width_px=64,
        height_px=48,
        jpeg=jpeg() if data is None else data,
    )


def shows(frames: Frames, seq: int) -> Callable[[], bool]:
    return lambda: frames.newest is not None and frames.newest.frame.seq == seq


def counted(frames: Frames, corrupt: int) -> bool:
    return frames.corrupt == corrupt


@pytest.fixture
def frames() -> Iterator[Frames]:
    frames = Frames(age_s=lambda captured_ns, at_s, now_s: now_s - captured_ns / 1e9)
    yield frames
    frames.close()


def wait(until: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 5.0
    while not until():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_a_frame_becomes_a_picture_of_the_widgets_size(qtbot: QtBot, frames: Frames) -> None:
    frames.set_target(800, 400)
    with qtbot.waitSignal(frames.ready.announced):
        frames.put(frame(7))
    picture = frames.take()
    assert picture is not None
    assert (picture.image.width(), picture.image.height()) == (533, 400)
    assert picture.frame.seq == 7
    assert picture.grey is None
    color = QColor(picture.image.pixel(5, 5))
    assert abs(color.red() - 200) < 6
    assert abs(color.blue() - 60) < 6


def test_the_picture_outlives_the_buffer_it_was_decoded_from() -> None:
    image = decode(jpeg((10, 200, 30)))
    gc.collect()
    junk = [bytearray(b"\xff" * 64 * 48 * 4) for _ in range(50)]
    assert abs(QColor(image.pixel(60, 40)).green() - 200) < 6
    assert junk


def test_one_signal_however_many_frames_while_the_gui_does_not_look(frames: Frames) -> None:
    said: list[int] = []
    # In the decode thread: there is no event loop here.
    frames.ready.announced.connect(lambda: said.append(1), Qt.DirectConnection)  # type: ignore[call-arg]
    for seq in range(20):
        frames.put(frame(seq))
        wait(shows(frames, seq))
    assert len(said) == 1
    frames.take()
    frames.put(frame(99))
    wait(shows(frames, 99))
    wait(lambda: len(said) == 2)


def test_a_corrupt_frame_is_counted_and_the_one_before_ages_on(frames: Frames) -> None:
    frames.put(frame(1))
    wait(lambda: frames.newest is not None)
    good = jpeg()
    for seq, data in enumerate((b"", b"\xff\xd8", good[:200], good[: len(good) // 2], b"GIF89a" * 50), 2):
        frames.put(frame(seq, data))
        wait(functools.partial(counted, frames, seq - 1))
    assert frames.newest is not None
    assert frames.newest.frame.seq == 1
    frames.put(frame(9))
    wait(shows(frames, 9))


def test_a_frame_that_comes_late_is_grey_at_once(frames: Frames) -> None:
    old = CameraFrame(
        seq=1,
        captured_ns=time.monotonic_ns() - 900_000_000,
        width_px=64,
        height_px=48,
        jpeg=jpeg(),
    )
    frames.put(old)
    wait(lambda: frames.newest is not None)
    assert frames.newest is not None
    grey = frames.newest.grey
    assert grey is not None
    color = QColor(grey.pixel(5, 5))
    assert color.red() == color.green() == color.blue()


def test_a_header_that_claims_a_huge_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=str(MAX_SIDE_PX)):
        decode(jpeg(width_px=MAX_SIDE_PX + 1, height_px=8))


@given(st.binary(max_size=300), st.integers(0, 600))
def test_noise_in_a_jpeg_is_a_value_error_or_a_picture(noise: bytes, at: int) -> None:
    data = bytearray(jpeg())
    data[at : at + len(noise)] = noise
    try:
        image = decode(bytes(data))
    except ValueError:
        return
    assert not image.isNull()


def test_figures_count_the_last_second(frames: Frames) -> None:
    for seq in range(10):
        frames.put(frame(seq))
        wait(shows(frames, seq))
    figures = frames.figures(time.monotonic())
    assert figures.fps == 10.0
    assert (figures.width_px, figures.height_px) == (64, 48)
    assert figures.bits_per_s == 10 * 8 * len(jpeg())
    assert frames.figures(time.monotonic() + 5.0).fps == 0.0


def test_closing_ends_the_thread(frames: Frames) -> None:
    frames.close()
    assert not any(thread.name == "pynet decode" for thread in threading.enumerate() if thread.is_alive())
