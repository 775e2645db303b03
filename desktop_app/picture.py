"""The camera's picture with what is written over it; an old one is never shown as live.

The decode thread scales; here the image is painted 1:1.  Its age is judged by
this widget's own clock in the GUI thread, ten times a second even when no
picture comes: whatever else has died, a frozen picture turns grey.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PyQt5.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QImage, QMouseEvent, QPainterPath, QPaintEvent, QResizeEvent
from PyQt5.QtWidgets import QWidget

from desktop_app import overlay as over
from desktop_app.card import Instrument
from desktop_app.ink import Ink
from desktop_app.overlay import Overlay, overlay_of
from desktop_app.snapshot_button import SIDE as BUTTON
from desktop_app.snapshot_button import SnapshotButton
from desktop_app.theme import AMBER_FILL, LETTERBOX, ON_PLATE2, Look
from desktop_app.view import PICTURE_STALE_S, View

TICK_MS: Final = 100
DARKENED: Final = QColor(0, 0, 0, round(0.43 * 255))


class Picture(Instrument[Overlay]):
    """The biggest region of the window.  Keys drive while it has the focus.  GUI thread."""

    title = "Picture"
    painted = pyqtSignal(int, "qint64")  # number of the picture, monotonic ns at the end of its first paint
    room_changed = pyqtSignal(QSize)  # device px a picture may fill: what the decode thread scales to

    def __init__(
        self, look: Look, parent: QWidget | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._image: QImage | None = None
        self._grey: QImage | None = None
        self._number = -1
        self._unpainted = False
        self._captured_at_s = 0.0
        self._shown_age = ""
        self._shows_rails = False
        super().__init__(look, parent)
        self.setFocusPolicy(Qt.StrongFocus)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.tick)
        self._timer.start()
        self.snapshot = SnapshotButton(look, self)

    # What to show.

    def set_picture(self, image: QImage, grey: QImage | None, number: int, captured_at_s: float) -> None:
        """Show this from the next paint on.

        `image` is scaled to fit `room_px`, and nothing may write to it any
        more; `grey` is its greyscale copy, made here when it is needed if it
        is None; `captured_at_s` is when it was exposed, on `clock`.
        """
        self._image, self._grey = image, grey
        self._number, self._captured_at_s = number, captured_at_s
        self._unpainted = True
        self._place_button()
        self.update()

    def forget_picture(self) -> None:
        """Nothing to show any more: another robot, or none."""
        if self._image is not None:
            self._image = self._grey = None
            self._place_button()
            self.update()

    def show_rails(self, shows: bool) -> None:
        """Steering and throttle along the edges: F11."""
        self._shows_rails = shows
        self.update()

    @property
    def age_s(self) -> float | None:
        return None if self._image is None else max(0.0, self._clock() - self._captured_at_s)

    @property
    def is_stale(self) -> bool:
        age_s = self.age_s
        return age_s is not None and age_s > PICTURE_STALE_S

    @property
    def room_px(self) -> QSize:
        ratio = self.devicePixelRatioF()
        return QSize(round(self.width() * ratio), round(self.height() * ratio))

    def tick(self) -> None:
        """Repaint if the age in words has changed since the last paint."""
        if self._age_words() != self._shown_age:
            self._place_button()
            self.update()

    def _age_words(self) -> str:
        age_s = self.age_s
        if age_s is None:
            return ""
        return f"{age_s:.1f} s old" if age_s > PICTURE_STALE_S else f"{age_s * 1000:.0f} ms"

    # The instrument.

    def read(self, view: View) -> Overlay:
        return overlay_of(view, self.look.keys)

    def words(self, content: Overlay) -> str:
        if content.message:
            return " ".join(content.message)
        age = "stale picture" if self.is_stale else "live picture"
        near = "".join(f", {item.distance} {item.side}" for item in content.near)
        return f"{age}, {content.speed.figure} metres per second, limit {content.limit}{near}"

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_button()
        self.room_changed.emit(self.room_px)

    def set_look(self, look: Look, *, is_compact: bool) -> None:
        super().set_look(look, is_compact=is_compact)
        self.snapshot.set_look(look)
        self._place_button()

    def _place_button(self) -> None:
        """Right of the rate, once there is a picture to take."""
        self.snapshot.setVisible(self._image is not None)
        if self._image is None:
            return
        plates, scale = self._plates(self._image_box()), self.look.scale
        x, y = plates.right() - over.MARGIN - BUTTON, plates.top() + over.MARGIN
        self.snapshot.setGeometry(QRectF(x * scale, y * scale, BUTTON * scale, BUTTON * scale).toRect())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.MouseFocusReason)

    def backdrop(self, ink: Ink) -> None:
        ink.painter.fillRect(ink.rect, LETTERBOX)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._unpainted:
            self._unpainted = False
            self.painted.emit(self._number, time.monotonic_ns())

    def draw(self, ink: Ink, content: Overlay) -> None:
        self._shown_age = self._age_words()
        is_stale = self.is_stale
        area = self._image_box()
        if self._image is not None:
            self._draw_image(ink, area, is_stale)
        else:
            over.draw_message(ink, area, content.message or ("Waiting for the first picture…",))
        if is_stale:
            over.draw_stale_frame(ink, area)
        plates = self._plates(area)
        beside = plates.adjusted(0, 0, -BUTTON - over.MARGIN + 4, 0)  # left of the button
        if content.shows_speed:
            over.draw_speed(ink, plates, content)
        age_s = self.age_s
        if age_s is not None and content.shows_speed:
            if is_stale:
                over.draw_rate(ink, beside, ("0 fps", f"last picture {content.last_at}"), AMBER_FILL)
                over.draw_stale_plate(ink, plates, age_s)
            else:
                over.draw_age(ink, plates, age_s * 1000)
                over.draw_rate(ink, beside, content.rate, ON_PLATE2)
        over.draw_near(ink, plates, content.near)
        if self._shows_rails:
            over.draw_rails(ink, plates, content)
        else:
            self._round_corners(ink)

    def _round_corners(self, ink: Ink) -> None:
        outside = QPainterPath()
        outside.addRect(ink.rect)
        inside = QPainterPath()
        inside.addRoundedRect(ink.rect, 6, 6)
        ink.painter.fillPath(outside.subtracted(inside), self.look.palette.window)

    def _plates(self, area: QRectF) -> QRectF:
        """Where plates stand: inside the frame of a stale picture."""
        frame = over.FRAME if self.is_stale else 0.0
        return area.adjusted(frame, frame, -frame, -frame)

    def _image_box(self) -> QRectF:
        """Where the picture stands, in design px; the whole widget without one."""
        box, scale = self._image_px(), self.look.scale
        return QRectF(box.topLeft() / scale, box.size() / scale)

    def _image_px(self) -> QRectF:
        """The same in the widget's px, exactly: painting 1:1 depends on it."""
        room, ratio = QSizeF(self.width(), self.height()), self.devicePixelRatioF()
        if self._image is None:
            return QRectF(QPointF(0, 0), room)
        size = QSizeF(self._image.width() / ratio, self._image.height() / ratio)
        fitted = size.scaled(room, Qt.KeepAspectRatio)
        # While the window is being resized a picture or two still has the old size: that one is stretched.
        if abs(fitted.width() - size.width()) > 2 or abs(fitted.height() - size.height()) > 2:
            size = fitted
        corner = QPointF((room.width() - size.width()) // 2, (room.height() - size.height()) // 2)
        return QRectF(corner, size)

    def _draw_image(self, ink: Ink, area: QRectF, is_stale: bool) -> None:
        assert self._image is not None
        image = self._image
        if is_stale:
            if self._grey is None:
                self._grey = self._image.convertToFormat(QImage.Format_Grayscale8)
            image = self._grey
        painter, scale = ink.painter, self.look.scale
        painter.save()
        painter.scale(1 / scale, 1 / scale)
        painter.drawImage(self._image_px(), image)
        painter.restore()
        if is_stale:
            painter.fillRect(area, DARKENED)
