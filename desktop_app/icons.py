"""Every icon, as paths in a 20x20 box: stroked at 1.75 with round caps, some parts filled."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from functools import cache

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

BOX = 20.0
STROKE = 1.75


class Icon(enum.Enum):
    CAR = enum.auto()
    CHIP = enum.auto()
    LOCK = enum.auto()
    WHEEL = enum.auto()
    TRIANGLE = enum.auto()
    OCTAGON = enum.auto()
    STRUCK = enum.auto()
    PERSON = enum.auto()
    INFO = enum.auto()
    CHECK = enum.auto()
    CAMERA = enum.auto()
    CHEVRON = enum.auto()
    MENU = enum.auto()
    GEAR = enum.auto()
    CROSS = enum.auto()


Paths = tuple[QPainterPath, QPainterPath]  # stroked, filled


def draw_icon(painter: QPainter, icon: Icon, x: float, y: float, color: QColor, size: float = BOX) -> None:
    """Draw it with its box's top left corner at x, y."""
    stroked, filled = paths(icon)
    painter.save()
    painter.translate(x, y)
    painter.scale(size / BOX, size / BOX)
    painter.setRenderHint(QPainter.Antialiasing)
    painter.strokePath(stroked, QPen(color, STROKE, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
    painter.fillPath(filled, color)
    painter.restore()


def window_icon() -> QIcon:
    """For title bars and task switchers: the car on its accent."""
    icon = QIcon()
    for side in (16, 32, 64, 128):
        pixmap = QPixmap(side, side)
        pixmap.fill(Qt.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.setPen(Qt.NoPen)
        painter.setBrush(QColor("#0A5FAE"))
        painter.drawRoundedRect(QRectF(0, 0, side, side), side * 0.2, side * 0.2)
        draw_icon(painter, Icon.CAR, side * 0.1, side * 0.1, QColor("#FFFFFF"), side * 0.8)
        painter.end()
        icon.addPixmap(pixmap)
    return icon


@cache
def paths(icon: Icon) -> Paths:
    stroked, filled = QPainterPath(), QPainterPath()
    _DRAW[icon](stroked, filled)
    return stroked, filled


def _line(path: QPainterPath, *points: tuple[float, float]) -> None:
    path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points]))


def _circle(path: QPainterPath, x: float, y: float, radius: float) -> None:
    path.addEllipse(QPointF(x, y), radius, radius)


def _box(path: QPainterPath, x: float, y: float, w: float, h: float, radius: float = 0.0) -> None:
    path.addRoundedRect(QRectF(x, y, w, h), radius, radius)


def _regular(path: QPainterPath, corners: int, radius: float, start_rad: float) -> None:
    turn = 2 * math.pi / corners
    points = [
        (10 + radius * math.cos(start_rad + i * turn), 10 + radius * math.sin(start_rad + i * turn))
        for i in range(corners)
    ]
    _line(path, *points, points[0])


def _car(stroked: QPainterPath, filled: QPainterPath) -> None:
    _box(stroked, 6.5, 2.5, 7, 15, 3.4)
    _line(stroked, (8, 8.5), (10, 7.6), (12, 8.5))
    for x, y in ((2.6, 4.2), (2.6, 11.4), (15, 4.2), (15, 11.4)):
        _box(filled, x, y, 2.4, 4.4, 1)


def _chip(stroked: QPainterPath, filled: QPainterPath) -> None:
    _box(stroked, 5.5, 5.5, 9, 9, 1.5)
    for at in (8.0, 12.0):
        _line(stroked, (at, 2), (at, 5.5))
        _line(stroked, (at, 14.5), (at, 18))
        _line(stroked, (2, at), (5.5, at))
        _line(stroked, (14.5, at), (18, at))


def _lock(stroked: QPainterPath, filled: QPainterPath) -> None:
    _box(stroked, 4, 9, 12, 8.5, 2)
    stroked.moveTo(6.5, 9)
    stroked.lineTo(6.5, 6)
    stroked.arcTo(QRectF(6.5, 2.5, 7, 7), 180, -180)
    stroked.lineTo(13.5, 9)


def _wheel(stroked: QPainterPath, filled: QPainterPath) -> None:
    _circle(stroked, 10, 10, 8.4)
    _line(stroked, (2.2, 8.6), (10, 9.6), (17.8, 8.6))
    _line(stroked, (10, 9.6), (10, 18))
    _circle(filled, 10, 10, 2.4)


def _triangle(stroked: QPainterPath, filled: QPainterPath) -> None:
    _line(stroked, (10, 2.5), (18.3, 17), (1.7, 17), (10, 2.5))
    _line(stroked, (10, 8), (10, 11.4))
    _circle(filled, 10, 14.2, 1.15)


def _octagon(stroked: QPainterPath, filled: QPainterPath) -> None:
    _regular(stroked, 8, 8.6, math.pi / 8)
    _line(stroked, (6.6, 10), (13.4, 10))


def _struck(stroked: QPainterPath, filled: QPainterPath) -> None:
    _circle(stroked, 10, 10, 8)
    _line(stroked, (4.6, 15.4), (15.4, 4.6))


def _person(stroked: QPainterPath, filled: QPainterPath) -> None:
    _circle(stroked, 10, 6.2, 3.5)
    stroked.moveTo(3.6, 17.5)
    stroked.cubicTo(3.8, 13.6, 6.4, 12.2, 10, 12.2)
    stroked.cubicTo(13.6, 12.2, 16.2, 13.6, 16.4, 17.5)


def _info(stroked: QPainterPath, filled: QPainterPath) -> None:
    _circle(stroked, 10, 10, 8)
    _line(stroked, (10, 9.6), (10, 14))
    _circle(filled, 10, 6.3, 1.15)


def _check(stroked: QPainterPath, filled: QPainterPath) -> None:
    _circle(stroked, 10, 10, 8)
    _line(stroked, (6.2, 10.3), (8.9, 13), (13.8, 7.4))


def _camera(stroked: QPainterPath, filled: QPainterPath) -> None:
    _box(stroked, 2, 5.5, 16, 11.5, 2)
    _line(stroked, (7, 5.5), (8.4, 3), (11.6, 3), (13, 5.5))
    _circle(stroked, 10, 11, 3.2)


def _chevron(stroked: QPainterPath, filled: QPainterPath) -> None:
    _line(stroked, (5.5, 7.8), (10, 12.3), (14.5, 7.8))


def _menu(stroked: QPainterPath, filled: QPainterPath) -> None:
    for y in (5, 10, 15):
        _line(stroked, (3, y), (17, y))


def _gear(stroked: QPainterPath, filled: QPainterPath) -> None:
    _circle(stroked, 10, 10, 5.2)
    _circle(filled, 10, 10, 1.6)
    for i in range(8):
        cos, sin = math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)
        _line(stroked, (10 + 5.4 * cos, 10 + 5.4 * sin), (10 + 8.2 * cos, 10 + 8.2 * sin))


def _cross(stroked: QPainterPath, filled: QPainterPath) -> None:
    _line(stroked, (5, 5), (15, 15))
    _line(stroked, (15, 5), (5, 15))


_DRAW: dict[Icon, Callable[[QPainterPath, QPainterPath], None]] = {
    Icon.CAR: _car,
    Icon.CHIP: _chip,
    Icon.LOCK: _lock,
    Icon.WHEEL: _wheel,
    Icon.TRIANGLE: _triangle,
    Icon.OCTAGON: _octagon,
    Icon.STRUCK: _struck,
    Icon.PERSON: _person,
    Icon.INFO: _info,
    Icon.CHECK: _check,
    Icon.CAMERA: _camera,
    Icon.CHEVRON: _chevron,
    Icon.MENU: _menu,
    Icon.GEAR: _gear,
    Icon.CROSS: _cross,
}
