"""What is written over the picture, as plain values, and the drawing of it.

The overlay is the same in both themes: dark plates, white words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QPainterPath, QPolygonF

from desktop_app.ink import Align, Ink
from desktop_app.keys import USUAL_KEYS, KeyMap
from desktop_app.proximity import CLOSE_M
from desktop_app.theme import (
    AGE,
    AMBER_FILL,
    BODY,
    MINUS,
    MISSING,
    ON_AMBER,
    ON_PLATE,
    ON_PLATE2,
    ON_RED,
    PLATE,
    PLATE_SOLID,
    READOUT,
    RED_FILL,
    SECOND,
    SMALL_READOUT,
    SPEED,
    STALE_AGE,
    TRACK,
)
from desktop_app.view import Connection, DriveView, View
from desktop_app.words import no_robot
from pynet_car.messages import ReadingState

MEASURED_WITHIN_S: Final = 0.3  # an odometry older than that is no speed of now
MARGIN: Final = 12.0
FRAME: Final = 10.0  # of a stale picture
NEAR_HEIGHT: Final = 34.0
NEAR_WIDTH: Final = 112.0  # at most: "0.39 m" in the widest face


@dataclass(frozen=True, slots=True)
class Near:
    side: str  # "ahead", "left", "right", "behind"
    place: float  # along that side, from the left or from the top, 0 to 1
    distance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    figure: str = MISSING
    share: float | None = None  # of the top speed, [0, 1]; None: not known
    under: str = ""  # the last one and its age, or "no encoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """The words and figures over the picture, rounded as drawn."""

    message: tuple[str, ...] = ()  # in the middle, when there is no picture
    speed: Speed = Speed()
    limit: str = ""
    limit_share: float = 0.0
    shows_speed: bool = False
    rate: tuple[str, ...] = ()
    last_at: str = ""
    near: tuple[Near, ...] = ()
    throttle: tuple[float, float | None] = (0.0, None)  # asked, done
    steering: tuple[float, float | None] = (0.0, None)

    @property
    def limit_short(self) -> str:
        """Beside the speed, which says the unit already."""
        return f"limit {self.limit.removesuffix(' m/s')}"


def overlay_of(view: View, keys: KeyMap = USUAL_KEYS) -> Overlay:
    """What to write over the picture for this View."""
    if view.connection in (Connection.NONE, Connection.CONNECTING):
        return Overlay(message=_no_picture(view, keys))
    status = view.status if not view.is_assumed else None
    picture = view.picture
    return Overlay(
        message=_no_picture(view, keys),
        speed=_speed(view),
        limit=limit_words(view),
        limit_share=round(limit_share(view.drive), 2),
        shows_speed=True,
        rate=(
            f"{picture.fps:.0f} fps",
            f"{picture.width_px} × {picture.height_px}",
            f"{picture.bits_per_s / 1e6:.1f} Mbit/s",
        ),
        last_at=_time_of_day(picture.last_at_s),
        near=_near(view),
        throttle=(round(view.drive.throttle, 2), round(status.duty, 2) if status else None),
        steering=(round(view.drive.steering, 2), round(status.steering, 2) if status else None),
    )


def limit_words(view: View) -> str:
    """The limit in m/s where the robot says how fast it can go, else as a share of full throttle."""
    top = view.drive.top_speed_mps
    return f"{limit_share(view.drive) * top:.1f} m/s" if top else f"{view.drive.limit * 100:.0f} %"


def limit_share(drive: DriveView) -> float:
    """Of the top speed, [0, 1]: the robot cuts throttle at its own limit, if that is lower."""
    return min(1.0, drive.limit / drive.full_throttle)


def signed(value: float) -> str:
    """+0.35 or −0.35."""
    return f"{value:+.2f}".replace("-", MINUS)


def _no_picture(view: View, keys: KeyMap) -> tuple[str, ...]:
    if view.connection in (Connection.NONE, Connection.CONNECTING) and view.connection_error:
        return (view.connection_error,)
    if view.connection is Connection.NONE:
        return (no_robot(keys),)
    if view.connection is Connection.CONNECTING:
        return (f"Connecting to {view.robot_name or view.address}… {view.waiting_s:.0f} s",)
    if view.description is not None and not view.description.has_camera:
        name = view.robot_name or "This robot"
        return (f"{name} has no camera.", "Driving works; speed is held to 0.5 m/s.")
    if view.picture_age_s is None:
        return (f"Waiting for the first picture… {view.waiting_s:.0f} s",)
    return ()


def _speed(view: View) -> Speed:
    streams = view.description.streams if view.description else ()
    if view.description is not None and not any(stream.name == "encoder" for stream in streams):
        return Speed(under="no encoder")
    odometry = view.odometry
    if odometry is None or not math.isfinite(odometry.velocity_mps):
        return Speed()
    figure = f"{abs(odometry.velocity_mps):.2f}"
    if view.is_assumed or view.odometry_age_s > MEASURED_WITHIN_S or odometry.state is not ReadingState.OK:
        return Speed(under=f"{figure} m/s, {view.odometry_age_s:.1f} s ago")
    top = view.drive.top_speed_mps
    back = MINUS if odometry.velocity_mps < -0.005 else ""
    share = round(min(1.0, abs(odometry.velocity_mps) / top), 3) if top else None
    return Speed(figure=back + figure, share=share)


def _near(view: View) -> tuple[Near, ...]:
    if view.is_assumed:
        return ()
    found = []
    for ranger in view.ranges:
        reading = ranger.reading
        if ranger.is_stale or reading.state is not ReadingState.OK or not reading.value < CLOSE_M:
            continue
        bearing = math.remainder(ranger.bearing_rad, 2 * math.pi)
        side, place = _side(bearing)
        found.append(Near(side, place, f"{reading.value:.2f} m"))
    return tuple(found)


def _side(bearing_rad: float) -> tuple[str, float]:
    """The edge of the picture a bearing points through, and where on it."""
    degrees = math.degrees(bearing_rad)
    if abs(degrees) <= 32:
        return "ahead", round(0.5 - degrees / 32 * 0.22, 2)
    if abs(degrees) >= 120:
        return "behind", 0.5
    return ("left" if degrees > 0 else "right"), 0.5


def _time_of_day(at_s: float) -> str:
    if not at_s:
        return ""
    at = datetime.fromtimestamp(at_s)
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


# --- drawing; `area` is where the picture stands, in design px ---


def draw_age(ink: Ink, area: QRectF, age_ms: float) -> None:
    words = f"{age_ms:.0f} ms"
    width = 30 + ink.width(words, AGE, bold=True) + 8 + ink.width("Picture", BODY) + 12
    plate = QRectF(area.left() + MARGIN, area.top() + MARGIN, width, 36)
    ink.plate(plate, PLATE, radius=6)
    middle = plate.center().y()
    ink.plate(QRectF(plate.left() + 11, middle - 4.5, 9, 9), ON_PLATE, radius=4.5)
    x = plate.left() + 30
    x += ink.text(x, middle + 7, words, AGE, ON_PLATE, bold=True) + 8
    ink.text(x, middle + 6, "Picture", BODY, ON_PLATE2)


def draw_rate(ink: Ink, area: QRectF, words: tuple[str, ...], color: QColor) -> None:
    """Top right, as many of the words as there is room for beside the age."""
    words = tuple(word for word in words if word)
    while words:
        width = sum(ink.width(word, BODY) for word in words) + 16 * (len(words) - 1) + 24
        if width <= area.width() - 2 * MARGIN - 190:
            break
        words = words[:-1]
    if not words:
        return
    plate = QRectF(area.right() - MARGIN - width, area.top() + MARGIN + 4, width, 28)  # beside 36 high ones
    ink.plate(plate, PLATE, radius=6)
    x = plate.left() + 12
    for word in words:
        x += ink.text(x, plate.center().y() + 5, word, BODY, color) + 16


def draw_speed(ink: Ink, area: QRectF, overlay: Overlay) -> None:
    height = 62.0 if overlay.speed.share is None and overlay.speed.figure != MISSING else 84.0
    plate = QRectF(area.left() + MARGIN, area.bottom() - MARGIN - height, 196, height)
    ink.plate(plate, PLATE, radius=6)
    left = plate.left() + 14
    room = plate.right() - left - 12
    if overlay.speed.figure == MISSING:
        x = left + ink.text(left, plate.top() + 48, MISSING, SPEED - 8, ON_PLATE2, bold=True)
        ink.text(x + 10, plate.top() + 40, "m/s", SMALL_READOUT, ON_PLATE2)
        ink.text(left, plate.bottom() - 14, overlay.speed.under, BODY, ON_PLATE2, room=room)
        return
    beside = max(ink.width("m/s", SMALL_READOUT), ink.width(overlay.limit_short, SECOND))
    width = ink.text(
        left, plate.top() + 47, overlay.speed.figure, SPEED, ON_PLATE, bold=True, room=room - beside - 10
    )
    x = left + width + 10
    ink.text(x, plate.top() + 29, "m/s", SMALL_READOUT, ON_PLATE)
    ink.text(x, plate.top() + 47, overlay.limit_short, SECOND, ON_PLATE2, room=plate.right() - x - 8)
    if overlay.speed.share is None:  # where the bar ends is not known
        return
    bar = QRectF(left, plate.bottom() - 22, room, 8)
    ink.plate(bar, TRACK, radius=4)
    if overlay.speed.share:
        ink.plate(
            QRectF(bar.left(), bar.top(), max(8.0, bar.width() * overlay.speed.share), 8), ON_PLATE, radius=4
        )
    tick = bar.left() + bar.width() * overlay.limit_share
    ink.painter.fillRect(QRectF(tick - 3.5, bar.center().y() - 9, 7, 18), PLATE_SOLID)
    ink.painter.fillRect(QRectF(tick - 1.5, bar.center().y() - 9, 3, 18), ON_PLATE)


def draw_near(ink: Ink, area: QRectF, near: tuple[Near, ...]) -> None:
    """Red plates at the edges; those of one side are pushed apart, never one on the other."""
    taken: dict[str, float] = {}  # per side, where the next plate may begin
    for item in sorted(near, key=lambda item: item.place):
        width = ink.width(item.distance, READOUT, bold=True) + 44
        across = area.left() + area.width() * item.place - width / 2
        upright = area.top() + area.height() * item.place - NEAR_HEIGHT / 2
        start = taken.get(item.side, -math.inf)
        match item.side:
            case "ahead":  # a line below the age and the rate
                x, y, turn = max(across, start), area.top() + 2 * MARGIN + 36, 0
            case "behind":
                x, y, turn = max(across, start), area.bottom() - MARGIN - NEAR_HEIGHT, 180
            case "left":
                x, y, turn = area.left() + MARGIN, max(upright, start), 270
            case _:
                x, y, turn = area.right() - MARGIN - width, max(upright, start), 90
        is_row = item.side in ("ahead", "behind")
        taken[item.side] = (x + width if is_row else y + NEAR_HEIGHT) + 8
        _draw_near_plate(ink, QRectF(x, y, width, NEAR_HEIGHT), item.distance, turn)


def _draw_near_plate(ink: Ink, plate: QRectF, distance: str, turn_deg: int) -> None:
    """The distance, and an arrow out of the picture."""
    ink.plate(plate, RED_FILL, ON_RED, radius=6, width=1.5)
    painter = ink.painter
    painter.save()
    painter.translate(plate.left() + 19, plate.center().y())
    painter.rotate(turn_deg)
    painter.setPen(Qt.NoPen)
    painter.setBrush(ON_RED)
    painter.drawPolygon(QPolygonF([QPointF(0, -7), QPointF(7, 6), QPointF(-7, 6)]))
    painter.restore()
    ink.text(plate.left() + 34, plate.center().y() + 6.5, distance, READOUT, ON_RED, bold=True)


def draw_stale_frame(ink: Ink, area: QRectF) -> None:
    ring = QPainterPath()
    ring.addRect(area)
    hole = QPainterPath()
    hole.addRoundedRect(area.adjusted(FRAME, FRAME, -FRAME, -FRAME), 4, 4)
    ring = ring.subtracted(hole)
    ink.painter.fillPath(ring, ON_AMBER)
    ink.hatch(ring, AMBER_FILL, pitch=20, width=7)


def stale_plate(area: QRectF) -> QRectF:
    """Between what may be near at the sides."""
    plate = QRectF(0, 0, min(372.0, area.width() - 2 * (MARGIN + NEAR_WIDTH + 8)), 126)
    plate.moveCenter(QPointF(area.center().x(), area.top() + area.height() * 0.4))
    return plate


def draw_stale_plate(ink: Ink, area: QRectF, age_s: float) -> None:
    plate = stale_plate(area)
    solid = QColor(PLATE_SOLID)
    solid.setAlpha(235)
    ink.plate(plate, solid, AMBER_FILL, radius=8, width=2)
    x = plate.center().x()
    ink.text(x, plate.top() + 28, "PICTURE", BODY, AMBER_FILL, bold=True, align=Align.CENTER)
    ink.text(x, plate.top() + 72, f"{age_s:.1f} s old", STALE_AGE, ON_PLATE, bold=True, align=Align.CENTER)
    words = "This is not what the car sees now."
    ink.text(x, plate.top() + 107, words, BODY + 1, ON_PLATE2, align=Align.CENTER, room=plate.width() - 24)


def draw_message(ink: Ink, area: QRectF, lines: tuple[str, ...]) -> None:
    """In the middle; what another machine or its system says may be longer than the picture is wide."""
    room = area.width() - 48
    smaller = [part for line in lines for part in ink.look.type.wrap(line, SMALL_READOUT, room)]
    y = area.center().y() - 10 * (len(smaller) - 1)
    for line in smaller:
        ink.text(area.center().x(), y, line, SMALL_READOUT, ON_PLATE2, align=Align.CENTER, room=room)
        y += 24


def draw_rails(ink: Ink, area: QRectF, overlay: Overlay) -> None:
    """F11: steering along the bottom edge, throttle along the right one; + is left and forward."""
    length = min(320.0, area.width() - 2 * 230)
    across = QRectF(area.center().x() - length / 2, area.bottom() - MARGIN - 20, length, 10)
    _rail(ink, across, overlay.steering, is_upright=False)
    height = min(280.0, area.height() - 160)
    upright = QRectF(area.right() - MARGIN - 20, area.center().y() - height / 2, 10, height)
    _rail(ink, upright, overlay.throttle, is_upright=True)


def _rail(ink: Ink, rail: QRectF, pair: tuple[float, float | None], *, is_upright: bool) -> None:
    ink.plate(rail.adjusted(-8, -8, 8, 8), PLATE, radius=8)
    ink.plate(rail, TRACK, radius=5)
    asked, done = pair
    middle = rail.center()

    def at(value: float) -> QPointF:
        if is_upright:
            return QPointF(middle.x(), middle.y() - value * rail.height() / 2)
        return QPointF(middle.x() - value * rail.width() / 2, middle.y())

    if done is not None and abs(done) > 0.005:
        bar = QRectF(middle, at(done)).normalized()
        bar = bar.adjusted(-3, 0, 3, 0) if is_upright else bar.adjusted(0, -3, 0, 3)
        ink.painter.fillRect(bar, ON_PLATE)
    ink.painter.setPen(Qt.NoPen)
    centre = at(asked)
    ink.plate(QRectF(centre.x() - 7, centre.y() - 7, 14, 14), edge=QColor("#5AB6FF"), radius=7, width=2.5)
