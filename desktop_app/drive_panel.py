"""The drive card: what is asked, what is done, and the limit.  Drag on the pad to drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QPointF, QRect, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QMouseEvent, QPen, QPolygonF, QResizeEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.card import PADDING, Card, Instrument, Side
from desktop_app.ground import draw_ring
from desktop_app.ink import Align, Ink
from desktop_app.keys import KeyMap
from desktop_app.limit_slider import LimitSlider
from desktop_app.overlay import limit_words, signed
from desktop_app.teleop import Direction
from desktop_app.theme import BODY, MISSING, READOUT, SECOND, SMALL_READOUT, Look
from desktop_app.view import Connection, View

RAIL: Final = 10.0


@dataclass(frozen=True, slots=True)
class Hands:
    """Asked and done; None is not known, and drawn as such."""

    asked: tuple[float, float] | None = None  # throttle, steering
    done: tuple[float, float] | None = None
    limit: float = 1.0


def hands_of(view: View) -> Hands:
    if view.connection in (Connection.NONE, Connection.CONNECTING) or view.status is None:
        return Hands(limit=round(view.drive.limit, 2))
    drive, status = view.drive, view.status
    asked = (round(drive.throttle, 2), round(drive.steering, 2)) if view.has_lease else None
    done = None if view.is_assumed else (round(status.duty, 2), round(status.steering, 2))
    return Hands(None if view.is_assumed else asked, done, round(drive.limit, 2))


def steering_words(value: float) -> str:
    """L 0.39 or R 0.39: the wire's + is left."""
    if abs(value) < 0.005:
        return "0.00"
    return f"{'L' if value > 0 else 'R'} {abs(value):.2f}"


class Pad(Instrument[Hands]):
    """Throttle up and down, steering left and right; the hollow ring is asked, the dot is done."""

    title = "Drive pad"
    dragged = pyqtSignal(float, float)  # throttle, steering in [-1, 1]
    released = pyqtSignal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(look, parent)
        self.setFocusPolicy(Qt.StrongFocus)
        self._is_dragged = False

    def read(self, view: View) -> Hands:
        return hands_of(view)

    def words(self, content: Hands) -> str:
        asked, done = content.asked, content.done
        told = [f"asked throttle {signed(asked[0])}, steering {steering_words(asked[1])}"] if asked else []
        told += [f"done throttle {signed(done[0])}, steering {steering_words(done[1])}"] if done else []
        return "; ".join(told) or "no value"

    def draw(self, ink: Ink, content: Hands) -> None:
        palette, rect = self.look.palette, ink.rect
        centre = rect.center()
        ink.plate(rect, palette.raised, palette.edge)
        ink.line(8, centre.y(), rect.width() - 8, centre.y(), palette.line)
        ink.line(centre.x(), 8, centre.x(), rect.height() - 8, palette.line)
        for sign in (-1, 1):
            y = self._at(rect, sign * content.limit, 0.0).y()
            ink.dashes(1, y, rect.width() - 1, y, palette.text3, 1.75, 7, 4.5)
        ink.plate(QRectF(centre.x() - 8, centre.y() - 8, 16, 16), edge=palette.edge, radius=8, width=1.25)
        asked = content.asked
        ring = palette.accent if asked is not None else palette.text3
        at = self._at(rect, *(asked or (0.0, 0.0)))
        if asked is not None and content.done is not None:
            to = self._at(rect, *content.done)
            ink.line(at.x(), at.y(), to.x(), to.y(), palette.text2, 1.5)
        ink.plate(QRectF(at.x() - 14, at.y() - 14, 28, 28), edge=ring, radius=14, width=3)
        if content.done is not None:
            to = self._at(rect, *content.done)
            ink.plate(QRectF(to.x() - 6.5, to.y() - 6.5, 13, 13), palette.text, radius=6.5)

    @staticmethod
    def _at(rect: QRectF, throttle: float, steering: float) -> QPointF:
        """The whole ring stays on the pad at full deflection."""
        reach = (rect.width() - 32) / 2
        return QPointF(rect.center().x() - steering * reach, rect.center().y() - throttle * reach)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.MouseFocusReason)
        if event.button() == Qt.LeftButton:
            self._is_dragged = True
            self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._is_dragged:
            self._drag(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.LeftButton:
            self.drop()

    def drop(self) -> None:
        """The hand is off the pad."""
        if self._is_dragged:
            self._is_dragged = False
            self.released.emit()

    def _drag(self, event: QMouseEvent) -> None:
        size, scale = self.design_size(), self.look.scale
        reach = (size.width() - 32) / 2
        throttle = (size.height() / 2 - event.localPos().y() / scale) / reach
        steering = (size.width() / 2 - event.localPos().x() / scale) / reach
        self.dragged.emit(_unit(throttle), _unit(steering))


@dataclass(frozen=True, slots=True)
class DriveContent:
    hands: Hands
    side: Side
    limit: str


class DriveCard(Card[DriveContent]):
    title = "Drive"
    limit_asked = pyqtSignal(float)  # (0, 1]

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(look, parent)
        self.pad = Pad(look, self)
        self.slider = LimitSlider(look, self)
        self.slider.limit_asked.connect(self.limit_asked)

    def read(self, view: View) -> DriveContent:
        is_off = view.connection in (Connection.NONE, Connection.CONNECTING)
        if is_off:
            side = Side()
        elif view.drive.hint:
            side = Side(view.drive.hint, "amber")
        elif not view.has_lease:
            side = Side("You watch", "text2")
        else:
            side = Side(_source_words(view.drive.source, self.look.keys), "text2")
        return DriveContent(hands_of(view), side, limit_words(view))

    def side(self, content: DriveContent) -> Side:
        return content.side

    def words(self, content: DriveContent) -> str:
        return f"{content.side.text}. Limit {content.limit}"

    def show_view(self, view: View) -> None:
        super().show_view(view)
        self.pad.show_view(view)
        self.slider.show_limit(view.drive.limit, self.content.limit)

    def set_look(self, look: Look, *, is_compact: bool) -> None:
        super().set_look(look, is_compact=is_compact)
        self.pad.set_look(look, is_compact=is_compact)
        self.slider.set_look(look)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        scale = self.look.scale
        pad, _, _ = self._boxes()
        size = self.design_size()
        self.pad.setGeometry(_px(pad, scale))
        left, right = (86.0, 84.0) if self.is_compact else (96.0, 88.0)
        self.slider.setGeometry(
            _px(QRectF(left, self._slider_middle() - 16, size.width() - left - right, 32), scale)
        )

    def _slider_middle(self) -> float:
        return self.design_size().height() - (20.0 if self.is_compact else 27.0)

    def _boxes(self) -> tuple[QRectF, QRectF, QRectF]:
        """Pad, throttle rail, steering rail."""
        size = self.design_size()
        top = 40.0
        below = 64.0 if self.is_compact else 92.0  # steering rail, its marker, the slider
        side = max(80.0, min(size.height() - top - below, size.width() - 150.0))
        pad = QRectF(PADDING, top, side, side)
        return (
            pad,
            QRectF(pad.right() + 12, top, RAIL, side),
            QRectF(pad.left(), pad.bottom() + (9 if self.is_compact else 12), side, RAIL),
        )

    def draw(self, ink: Ink, content: DriveContent) -> None:
        palette, rect = self.look.palette, ink.rect
        pad, upright, across = self._boxes()
        hands = content.hands
        throttle = _pair(hands, 0)
        steering = _pair(hands, 1)
        self._draw_rail(ink, upright, *throttle, is_upright=True)
        self._draw_rail(ink, across, *steering, is_upright=False)
        x = upright.right() + 24
        step = min(78.0, max(68.0, pad.height() * 0.425))
        self._draw_figures(ink, x, pad.top() + 10, "Throttle", *_words(throttle, signed))
        self._draw_figures(ink, x, pad.top() + 10 + step, "Steering", *_words(steering, steering_words))
        if not self.is_compact:
            y = pad.bottom() - 14
            ink.plate(QRectF(x, y - 9, 10, 10), edge=palette.accent, radius=5, width=2.25)
            ink.text(x + 15, y, "asked", SECOND, palette.text2)
            ink.plate(QRectF(x, y + 9, 10, 10), palette.text, radius=5)
            ink.text(x + 15, y + 18, "done", SECOND, palette.text2)
            line = self._slider_middle() - 26
            ink.line(PADDING, line, rect.width() - PADDING, line, palette.line)
        baseline = self._slider_middle() + 4.5
        ink.text(PADDING, baseline, "Speed limit", SECOND if self.is_compact else BODY, palette.text2)
        ink.text(
            rect.width() - PADDING,
            baseline,
            content.limit,
            BODY + 1,
            palette.text,
            bold=True,
            align=Align.RIGHT,
        )
        for part in (self.pad, self.slider):
            if part.hasFocus() and part.shows_focus:
                ink.painter.save()
                ink.painter.scale(1 / self.look.scale, 1 / self.look.scale)
                draw_ring(ink.painter, part, self.look)
                ink.painter.restore()

    def _draw_figures(self, ink: Ink, x: float, y: float, label: str, done: str, asked: str) -> None:
        palette = self.look.palette
        is_known = asked != MISSING
        gap = 21.0 if not self.is_compact else 22.0
        ink.text(x, y, label, SECOND, palette.text2)
        size = SMALL_READOUT if self.is_compact else READOUT
        color = palette.text if done != MISSING else palette.text3
        ink.text(x, y + gap, done, size, color, bold=True)
        tone: QColor = palette.accent if is_known else palette.text3
        ink.plate(QRectF(x, y + gap + 10.5, 10, 10), edge=tone, radius=5, width=2.25)
        ink.text(x + 15, y + gap + 20, asked, BODY, tone)

    def _draw_rail(
        self, ink: Ink, rail: QRectF, asked: float | None, done: float | None, *, is_upright: bool
    ) -> None:
        palette, painter = self.look.palette, ink.painter
        ink.plate(rail, palette.raised, palette.edge, radius=RAIL / 2)
        middle = rail.center()

        def at(value: float) -> QPointF:
            if is_upright:
                return QPointF(middle.x(), middle.y() - value * (rail.height() / 2 - 3))
            return QPointF(middle.x() - value * (rail.width() / 2 - 3), middle.y())

        if done is not None and abs(done) > 0.005:
            bar = QRectF(middle, at(done)).normalized()
            bar = bar.adjusted(-3, 0, 3, 0) if is_upright else bar.adjusted(0, -3, 0, 3)
            ink.plate(bar, palette.text, radius=1.5)
        if is_upright:
            ink.line(rail.left() - 3, middle.y(), rail.right() + 3, middle.y(), palette.edge, 1.25)
        else:
            ink.line(middle.x(), rail.top() - 3, middle.x(), rail.bottom() + 3, palette.edge, 1.25)
        if asked is None:
            return
        tip = at(asked)
        if is_upright:
            x = rail.right() + 3
            mark = [QPointF(x, tip.y()), QPointF(x + 8.5, tip.y() - 5.5), QPointF(x + 8.5, tip.y() + 5.5)]
        else:
            y = rail.bottom() + 3
            mark = [QPointF(tip.x(), y), QPointF(tip.x() - 5.5, y + 8.5), QPointF(tip.x() + 5.5, y + 8.5)]
        painter.setPen(QPen(palette.accent, 1.75, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin))
        painter.setBrush(Qt.NoBrush)
        painter.drawPolygon(QPolygonF(mark))


def _pair(hands: Hands, axis: int) -> tuple[float | None, float | None]:
    """Asked and done of one axis."""
    return (hands.asked[axis] if hands.asked else None, hands.done[axis] if hands.done else None)


def _words(pair: tuple[float | None, float | None], written: Callable[[float], str]) -> tuple[str, str]:
    """Done and asked, in words."""
    asked, done = pair
    return (MISSING if done is None else written(done), MISSING if asked is None else written(asked))


def _source_words(source: str, keys: KeyMap) -> str:
    if source != "Keys":
        return source
    order = (Direction.FORWARD, Direction.LEFT, Direction.BACK, Direction.RIGHT)
    caps = [keys.cap(direction) for direction in order]
    return f"Keyboard · {' '.join(caps)}" if max(map(len, caps)) == 1 else "Keyboard"


def _unit(value: float) -> float:
    return max(-1.0, min(1.0, value))


def _px(box: QRectF, scale: float) -> QRect:
    return QRectF(box.topLeft() * scale, box.size() * scale).toRect()
