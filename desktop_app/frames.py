"""Camera frames -> pictures ready to paint: decoded and scaled in a thread of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg
from PyQt5.QtCore import QSize, Qt
from PyQt5.QtGui import QImage

from desktop_app.announcer import Announcer
from desktop_app.belief import DropGauge
from desktop_app.view import PICTURE_STALE_S, PictureView
from pynet_car.messages import CameraFrame
from pynet_core.mailbox import Mailbox

MAX_SIDE_PX: Final = 4096  # a header may claim 65535 x 65535, which would be 17 GB
RATE_OVER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame as it is painted.  The images own their bytes."""

    image: QImage  # RGB32, already of the size that was asked for
    grey: QImage | None  # of the same size, when it came stale already
    frame: CameraFrame
    arrived_s: float  # monotonic


class Frames:
    """`put` is called by the camera's thread, the rest by the GUI's; decoding is done by one of its own.

    `age_s` says how old a frame is, from its stamp and when it came.
    """

    def __init__(
        self, *, age_s: Callable[[int, float, float], float], on_corrupt: Callable[[], None] = lambda: None
    ) -> None:
        self.ready = Announcer()
        self.corrupt = 0  # frames that were no picture
        self._age_s = age_s
        self._on_corrupt = on_corrupt
        self._arrived: Mailbox[tuple[CameraFrame, float]] = Mailbox()
        self._newest: Picture | None = None
        self._target = QSize(640, 480)
        self._drops = DropGauge()
        self._rate = _Rate()
        self._thread = threading.Thread(target=self._run, name="pynet decode", daemon=True)
        self._thread.start()

    def put(self, frame: CameraFrame) -> None:
        """The camera's thread: the newest frame; one that was not decoded yet is replaced."""
        self._arrived.put((frame, time.monotonic()))

    def set_target(self, width_px: int, height_px: int) -> None:
        """The widget's size in device pixels; pictures fill it as far as their shape lets them."""
        self._target = QSize(max(1, min(width_px, MAX_SIDE_PX)), max(1, min(height_px, MAX_SIDE_PX)))

    def take(self) -> Picture | None:
        """The newest picture, None before the first; call it when `ready` was announced."""
        self.ready.answer()
        return self._newest

    @property
    def newest(self) -> Picture | None:
        return self._newest

    def age_s(self, now_s: float) -> float | None:
        """Of the newest picture; None before the first."""
        picture = self._newest
        if picture is None:
            return None
        return self._age_s(picture.frame.captured_ns, picture.arrived_s, now_s)

    def dropped(self) -> float | None:
        """The share of the camera's last 10 s that was never a picture here."""
        return self._drops.share()

    def figures(self, now_s: float) -> PictureView:
        return self._rate.figures(now_s)

    def close(self) -> None:
        """End the thread; idempotent."""
        self._arrived.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    # The decode thread.

    def _run(self) -> None:
        while not self._arrived.is_closed:
            arrived = self._arrived.take()
            picture = None if arrived is None else self._decode(*arrived)
            if picture is not None:
                self._newest = picture
                self.ready.announce()

    def _decode(self, frame: CameraFrame, arrived_s: float) -> Picture | None:
        """None when it is no picture: the one before stays, and ages."""
        try:
            image = decode(frame.jpeg)
        except ValueError:
            self.corrupt += 1
            if self.corrupt == 1:
                self._on_corrupt()
            return None
        self._drops.shown(arrived_s, frame.seq)
        self._rate.came(arrived_s, frame, image.size())
        size = image.size().scaled(self._target, Qt.KeepAspectRatio)
        if image.size() != size:
            image = image.scaled(size, Qt.IgnoreAspectRatio, Qt.SmoothTransformation)
        return Picture(image, self._grey_if_stale(image, frame, arrived_s), frame, arrived_s)

    def _grey_if_stale(self, image: QImage, frame: CameraFrame, arrived_s: float) -> QImage | None:
        if self._age_s(frame.captured_ns, arrived_s, time.monotonic()) <= PICTURE_STALE_S:
            return None
        return image.convertToFormat(QImage.Format_Grayscale8)


def decode(jpeg: bytes) -> QImage:
    """The picture, RGB32, in memory that Qt owns: a view of a numpy array would die with the array.

    Raises:
        ValueError: It is no JPEG, a broken one, or larger than MAX_SIDE_PX.
    """
    height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    if not (0 < height_px <= MAX_SIDE_PX and 0 < width_px <= MAX_SIDE_PX):
        raise ValueError(f"picture of {width_px} x {height_px} px, limit {MAX_SIDE_PX}")
    image = QImage(width_px, height_px, QImage.Format_RGB32)
    bits = image.bits()
    if bits is None:
        raise ValueError(f"no memory for a picture of {width_px} x {height_px} px")
    bits.setsize(image.sizeInBytes())
    # RGB32 is B, G, R, unused; at 4 bytes a pixel there is no gap between rows.
    buffer = np.asarray(memoryview(bits))  # type: ignore[arg-type]  # PyQt5-stubs do not know it is a buffer
    simplejpeg.decode_jpeg(jpeg, "BGRX", fastdct=True, fastupsample=True, buffer=buffer)
    return image


class _Rate:
    """Frames and bytes over the last second; written by the decode thread, read by the GUI's."""

    def __init__(self) -> None:
        self._came: deque[tuple[float, int]] = deque(maxlen=300)  # (when, bytes)
        self._size = QSize(0, 0)
        self._last_at_s = 0.0

    def came(self, at_s: float, frame: CameraFrame, size: QSize) -> None:
        self._came.append((at_s, len(frame.jpeg)))
        self._size, self._last_at_s = size, time.time()

    def figures(self, now_s: float) -> PictureView:
        came = [n for at_s, n in tuple(self._came) if now_s - at_s <= RATE_OVER_S]
        return PictureView(
            fps=len(came) / RATE_OVER_S,
            bits_per_s=8 * sum(came) / RATE_OVER_S,
            width_px=self._size.width(),
            height_px=self._size.height(),
            last_at_s=self._last_at_s,
        )
