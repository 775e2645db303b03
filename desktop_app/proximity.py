"""What is around the car, seen from above: a sector for each ranger, at its bearing."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from desktop_app.banner_words import DRIVES_AT
from desktop_app.card import NO_SIDE, PADDING, Card, Side
from desktop_app.ink import Align, Ink
from desktop_app.theme import AXIS, MISSING, ON_RED, READOUT, RED_FILL, SMALL_READOUT
from desktop_app.view import Connection, RangeView, View
from pynet_car.messages import ReadingState

RANGE_M: Final = 2.0  # at the rim
RING_M: Final = 0.5
FAR_M: Final = 0.8  # beyond it nothing needs a look
CLOSE_M: Final = 0.4
WHEELS_TURN_DEG: Final = 26.0  # drawn at full steering

# At a height of 322: centre of the car to its bumper, to the rims, and the body.
_ORIGIN: Final = 40.0
_RIM: Final = 152.0
_REAR_RIM: Final = 72.0
_BODY: Final = (42.0, 76.0)
_TOP: Final = 66.0
_NUMBER: Final = (56.0, 26.0)  # box of a number with its plate
_BELOW: Final = 34.0


class Kind(enum.StrEnum):
    """How a sector is drawn; the words are for screen readers."""

    FAR = "free"
    NEAR = "near"
    CLOSE = "close"
    CLEAR = "clear"
    FAULT = "fault"
    STALE = "stale"
    UNKNOWN = "no value"


@dataclass(frozen=True, slots=True)
class Sector:
    name: str
    bearing_deg: float  # + left
    kind: Kind
    value_m: float
    is_braking: bool

    @property
    def is_rear(self) -> bool:
        return abs(self.bearing_deg) > 100

    @property
    def word(self) -> str:
        match self.kind:
            case Kind.FAR | Kind.NEAR | Kind.CLOSE:
                return f"{self.value_m:.2f}"
            case Kind.UNKNOWN:
                return MISSING
            case _:
                return self.kind.value


@dataclass(frozen=True, slots=True)
class Around:
    sectors: tuple[Sector, ...] = ()
    side: Side = NO_SIDE
    steering: float | None = None  # done, + left
    empty: str = ""


class ProximityCard(Card[Around]):
    title = "Proximity"

    def read(self, view: View) -> Around:
        if view.connection in (Connection.NONE, Connection.CONNECTING):
            return Around(empty=MISSING)
        if not view.ranges:
            known = view.description is not None
            return Around(empty="This robot has no rangers." if known else MISSING)
        status = view.status
        sectors = [_sector(ranger, is_assumed=view.is_assumed) for ranger in view.ranges]
        if status and not view.is_assumed:
            if status.blocked_forward and view.drive.throttle > DRIVES_AT:
                sectors = _brake(sectors, is_rear=False)
            if status.blocked_backward and view.drive.throttle < -DRIVES_AT:
                sectors = _brake(sectors, is_rear=True)
        return Around(
            sectors=tuple(sorted(sectors, key=lambda sector: -sector.bearing_deg)),
            side=_side(view, sectors),
            steering=None if status is None or view.is_assumed else round(status.steering, 2),
        )

    def side(self, content: Around) -> Side:
        return content.side

    def words(self, content: Around) -> str:
        return ". ".join(
            f"{sector.name.replace('_', ' ').capitalize()} "
            + (
                f"{sector.value_m:.2f} metres, {sector.kind.value}"
                if sector.kind in (Kind.FAR, Kind.NEAR, Kind.CLOSE)
                else sector.kind.value
            )
            for sector in content.sectors
        )

    def draw(self, ink: Ink, content: Around) -> None:
        palette = self.look.palette
        rect = ink.rect
        if content.empty:
            x, y = rect.center().x(), rect.center().y() + 6
            ink.text(
                x, y, content.empty, SMALL_READOUT, palette.text3, align=Align.CENTER, room=rect.width() - 32
            )
            return
        plan = _Plan.fit(rect, content.sectors)
        for sector in content.sectors:
            self._draw_sector(ink, plan, sector)
        self._draw_car(ink, plan, content.steering or 0.0)
        ink.text(PADDING, rect.height() - 15, "metres, ring 0.5", AXIS, palette.text3)

    def _draw_sector(self, ink: Ink, plan: _Plan, sector: Sector) -> None:
        palette = self.look.palette
        painter = ink.painter
        rim = plan.rim(sector)
        wedge = plan.slice(sector, 0.0, RANGE_M)
        painter.fillPath(wedge, palette.raised)
        painter.setBrush(Qt.NoBrush)
        painter.setPen(QPen(palette.line, 1))
        for step in range(1, round(RANGE_M / RING_M)):
            plan.arc(painter, sector, step * RING_M)
        color: QColor = palette.text
        match sector.kind:
            case Kind.FAR | Kind.NEAR | Kind.CLOSE:
                color, width = {
                    Kind.FAR: (palette.text, 4.0),
                    Kind.NEAR: (palette.amber, 7.0),
                    Kind.CLOSE: (palette.red, 11.0),
                }[sector.kind]
                at_m = min(sector.value_m, RANGE_M)
                behind = plan.slice(sector, at_m, RANGE_M)
                hatch = QColor(palette.edge if sector.kind is Kind.FAR else color)
                hatch.setAlpha(170)  # the arc is what counts
                ink.hatch(behind, hatch, pitch=5.5, width=1.1)
                painter.setPen(QPen(color, width * max(0.75, plan.k), Qt.SolidLine, Qt.FlatCap))
                plan.arc(painter, sector, at_m)
            case Kind.CLEAR:
                color = palette.text2
                pen = QPen(palette.text2, 2, Qt.CustomDashLine, Qt.FlatCap)
                pen.setDashPattern([3.5, 3])
                painter.setPen(pen)
                plan.arc(painter, sector, RANGE_M * (1 - 4 / rim))
            case Kind.FAULT:
                color = palette.amber
                ink.hatch(wedge, palette.amber, pitch=8, width=2.4)
            case _:
                color = palette.text3
                ink.hatch(wedge, palette.edge, pitch=6, width=1.5)
        if sector.is_braking:
            painter.setPen(QPen(palette.text, 2.5))
            painter.setBrush(Qt.NoBrush)
            painter.drawPath(wedge)
        self._draw_number(ink, plan, sector, color)

    def _draw_number(self, ink: Ink, plan: _Plan, sector: Sector, color: QColor) -> None:
        place = plan.number(sector)
        size = READOUT if plan.k > 0.8 else SMALL_READOUT
        width = ink.width(sector.word, size, bold=True)
        plate = QRectF(place.x() - width / 2 - 8, place.y() - 13, width + 16, 26)
        if sector.kind is Kind.NEAR:
            ink.plate(plate, edge=self.look.palette.amber, radius=5, width=1.75)
        elif sector.kind is Kind.CLOSE:
            ink.plate(plate, RED_FILL, radius=5)
            color = ON_RED
        baseline = place.y() + size * 0.365
        ink.text(place.x(), baseline, sector.word, size, color, bold=True, align=Align.CENTER)

    def _draw_car(self, ink: Ink, plan: _Plan, steering: float) -> None:
        palette = self.look.palette
        painter, k = ink.painter, plan.k
        width, height = _BODY[0] * k, _BODY[1] * k
        painter.save()
        painter.translate(plan.centre)
        body = QRectF(-width / 2, -height / 2, width, height)
        painter.setPen(QPen(palette.text, 2))
        painter.setBrush(palette.panel)
        painter.drawRoundedRect(body, 9 * k, 9 * k)
        painter.setPen(QPen(palette.text, 1.8, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
        painter.drawPolyline(
            QPolygonF(
                [
                    QPointF(-8 * k, -height / 2 + 22 * k),
                    QPointF(0, -height / 2 + 12 * k),
                    QPointF(8 * k, -height / 2 + 22 * k),
                ]
            )
        )
        wheel = QRectF(-4.5 * k, -10 * k, 9 * k, 20 * k)
        painter.setPen(QPen(palette.panel, 1))
        painter.setBrush(palette.text)
        for y, turn in ((-height / 2 + 15 * k, -steering * WHEELS_TURN_DEG), (height / 2 - 15 * k, 0.0)):
            for x in (-width / 2 - 0.5, width / 2 + 0.5):
                painter.save()
                painter.translate(x, y)
                painter.rotate(turn)
                painter.drawRoundedRect(wheel, 2 * k, 2 * k)
                painter.restore()
        painter.restore()


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the car and its sectors stand on the card."""

    centre: QPointF
    k: float  # all lengths are for a card 322 high
    halves_deg: dict[str, float]  # half a sector's width, by its name

    @classmethod
    def fit(cls, rect: QRectF, sectors: tuple[Sector, ...]) -> _Plan:
        """As large as the card lets it be, without a sector or number leaving it."""
        halves = {sector.name: _half_deg(sector, sectors) for sector in sectors}
        has_rear = any(sector.is_rear for sector in sectors)
        below = _REAR_RIM if has_rear else _BODY[1] / 2
        foot = _BELOW if has_rear else 22.0
        k = (rect.height() - _TOP - foot) / (_RIM + below)
        for sector in sectors:
            if sector.is_rear:
                continue
            edge = abs(math.sin(math.radians(min(90.0, abs(sector.bearing_deg) + halves[sector.name]))))
            number = abs(math.sin(math.radians(sector.bearing_deg)))
            k = min(k, (rect.width() / 2 - 14) / (_RIM * max(edge, 0.01)))
            if number > 0.01:
                beside = _air(sector.bearing_deg) + (_NUMBER[0] / 2 + 10) / number
                k = min(k, (rect.width() / 2 / number - beside) / _RIM)
        used = (_RIM + below) * k
        top = _TOP + (rect.height() - _TOP - foot - used) / 2
        return cls(QPointF(rect.center().x(), top + _RIM * k), k, halves)

    def rim(self, sector: Sector) -> float:
        return (_REAR_RIM if sector.is_rear else _RIM) * self.k

    def radius(self, sector: Sector, at_m: float) -> float:
        origin = (_BODY[1] / 2 - 4 if sector.is_rear else _ORIGIN) * self.k
        return origin + (self.rim(sector) - origin) * at_m / RANGE_M

    def slice(self, sector: Sector, from_m: float, to_m: float) -> QPainterPath:
        """The part of a sector between two distances."""
        path = QPainterPath()
        outer, inner = self._circle(sector, to_m), self._circle(sector, from_m)
        half = self.halves_deg[sector.name]
        start = 90 + sector.bearing_deg - half
        path.arcMoveTo(outer, start)
        path.arcTo(outer, start, 2 * half)
        path.arcTo(inner, start + 2 * half, -2 * half)
        path.closeSubpath()
        return path

    def arc(self, painter: QPainter, sector: Sector, at_m: float) -> None:
        half = self.halves_deg[sector.name]
        start = 90 + sector.bearing_deg - half
        painter.drawArc(self._circle(sector, at_m), round(start * 16), round(2 * half * 16))

    def number(self, sector: Sector) -> QPointF:
        out = self.rim(sector) + _air(sector.bearing_deg)
        turn = math.radians(sector.bearing_deg)
        return QPointF(self.centre.x() - out * math.sin(turn), self.centre.y() - out * math.cos(turn))

    def _circle(self, sector: Sector, at_m: float) -> QRectF:
        radius = self.radius(sector, at_m)
        return QRectF(self.centre.x() - radius, self.centre.y() - radius, 2 * radius, 2 * radius)


def _half_deg(sector: Sector, sectors: tuple[Sector, ...]) -> float:
    """Half the width of a sector: what its neighbours leave, at most 18 degrees."""
    gaps = [
        abs(math.remainder(other.bearing_deg - sector.bearing_deg, 360.0))
        for other in sectors
        if other is not sector
    ]
    return max(3.0, min([36.0, *(gap - 4.0 for gap in gaps)]) / 2)


def _air(bearing_deg: float) -> float:
    """From the rim to the middle of a number at this bearing, so that its box does not touch the sector."""
    turn = math.radians(bearing_deg)
    return 5.0 + (_NUMBER[0] * abs(math.sin(turn)) + _NUMBER[1] * abs(math.cos(turn))) / 2


def _sector(ranger: RangeView, *, is_assumed: bool) -> Sector:
    reading = ranger.reading
    value = reading.value if math.isfinite(reading.value) else 0.0
    if is_assumed:
        kind = Kind.UNKNOWN
    elif ranger.is_stale or reading.state is ReadingState.STALE:
        kind = Kind.STALE
    elif reading.state is ReadingState.FAULT or not math.isfinite(reading.value):
        kind = Kind.FAULT
    elif reading.state is ReadingState.OUT_OF_RANGE:
        kind = Kind.CLEAR
    elif value < CLOSE_M:
        kind = Kind.CLOSE
    else:
        kind = Kind.NEAR if value <= FAR_M else Kind.FAR
    bearing = math.degrees(math.remainder(ranger.bearing_rad, 2 * math.pi))
    measured = kind in (Kind.FAR, Kind.NEAR, Kind.CLOSE)
    return Sector(reading.channel, round(bearing, 1), kind, round(value, 2) if measured else 0.0, False)


def _brake(sectors: list[Sector], *, is_rear: bool) -> list[Sector]:
    """Outline what the reflex brakes for: the nearest on that side, and every one it cannot trust."""
    there = [sector for sector in sectors if (abs(sector.bearing_deg) > 90) == is_rear]
    measured = [sector for sector in there if sector.kind in (Kind.FAR, Kind.NEAR, Kind.CLOSE)]
    causes = [sector for sector in there if sector.kind in (Kind.FAULT, Kind.STALE)]
    if measured:
        causes.append(min(measured, key=lambda sector: sector.value_m))
    return [Sector(s.name, s.bearing_deg, s.kind, s.value_m, True) if s in causes else s for s in sectors]


def _side(view: View, sectors: list[Sector]) -> Side:
    if view.is_assumed:
        return Side(f"{view.status_age_s:.1f} s ago", "amber")
    measured = [sector for sector in sectors if sector.kind in (Kind.FAR, Kind.NEAR, Kind.CLOSE)]
    if not measured:
        is_clear = bool(sectors) and all(sector.kind is Kind.CLEAR for sector in sectors)
        return Side("All clear" if is_clear else "")
    nearest = min(measured, key=lambda sector: sector.value_m)
    tone = {Kind.FAR: "text2", Kind.NEAR: "amber", Kind.CLOSE: "red"}[nearest.kind]
    return Side(f"Nearest {nearest.value_m:.2f} m", tone)
