"""Dialogs as sheets inside the window: under the top bar, left of the right column, never over either."""

from __future__ import annotations

from typing import Final

from PyQt5.QtCore import QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QPainter, QResizeEvent
from PyQt5.QtWidgets import QFrame, QLineEdit, QScrollArea, QWidget

from desktop_app.arrangement import Box, sheet_box
from desktop_app.button import Button
from desktop_app.ground import Ground
from desktop_app.ink import Drawn, Ink
from desktop_app.keys import Deed
from desktop_app.theme import BANNER, BODY, Look
from desktop_app.view import View

EDGE: Final = 32.0
HEAD: Final = 92.0
RADIUS: Final = 12.0


class SheetBody(Ground):
    """What a sheet is about.  Places its children in `lay_out`, writes its words in `write`."""

    role = "panel"
    title = ""
    under = ""
    under_tone = "text2"
    told = pyqtSignal()  # title or under have changed

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.drawn: tuple[Drawn, ...] = ()
        self.view = View()

    def wanted_height(self, width: float) -> float:
        """In design px, for this width."""
        return 300.0

    def lay_out(self, width: float) -> None:
        """Place the children, in design px by `put`."""

    def write(self, ink: Ink) -> None:
        """Draw the words that are no children."""

    def first(self) -> QWidget | None:
        """What gets the focus when the sheet opens."""
        return None

    @property
    def is_typed_in(self) -> bool:
        """Closing it by itself would send the next keys to the car."""
        return False

    def show_view(self, view: View) -> None:
        self.view = view

    def take_key(self, key: int, modifiers: Qt.KeyboardModifiers) -> bool:
        """A key went down: True, the sheet waited for one, and it does nothing else."""
        return False

    def set_look(self, look: Look) -> None:
        self.look = look
        for child in self.findChildren(Button):
            child.set_look(look)
        for field in self.findChildren(QLineEdit):
            dress_field(field, look)
        self.update()

    def put(self, widget: QWidget, x: float, y: float, width: float, height: float) -> None:
        scale = self.look.scale
        widget.setGeometry(QRectF(x * scale, y * scale, width * scale, height * scale).toRect())

    def draw_more(self, painter: QPainter) -> None:
        scale = self.look.scale
        painter.save()
        painter.scale(scale, scale)
        ink = Ink(painter, self.look, QRectF(0, 0, self.width() / scale, self.height() / scale))
        self.write(ink)
        painter.restore()
        self.drawn = tuple(ink.drawn)


class Sheets(Ground):
    """The part of the window that sheets may cover.  Opaque: what lies under it is not painted."""

    opened = pyqtSignal()
    closed = pyqtSignal()

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(look, parent)
        self.body: SheetBody | None = None
        self.drawn: tuple[Drawn, ...] = ()
        self._frame = QRectF()
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QFrame.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.NoFocus)
        self._close = Button(look, "Close", self, key=look.keys.cap(Deed.DISARM_OR_CLOSE))
        self._close.clicked.connect(self.close_sheet)
        self.hide()

    def open_sheet(self, body: SheetBody) -> None:
        """Show this one instead of whatever is open."""
        if self.body is not None:
            self._take_out()
        self.body = body
        body.told.connect(self.update)
        body.set_look(self.look)
        self._scroll.setWidget(body)
        body.show()
        self.show()
        self.raise_()
        self._place()
        first = body.first()
        first = first if first is not None and first.isEnabled() else self._close
        first.setFocus(Qt.ShortcutFocusReason)  # with its ring: one sees what Enter would press
        self.opened.emit()

    def close_sheet(self) -> None:
        if self.body is None:
            return
        self._take_out()
        self.body = None
        self.hide()
        self.closed.emit()

    def _take_out(self) -> None:
        assert self.body is not None
        self.body.told.disconnect(self.update)
        body = self._scroll.takeWidget()
        body.setParent(self)  # kept: a sheet is made once
        body.hide()

    def take_key(self, key: int, modifiers: Qt.KeyboardModifiers) -> bool:
        """Whether the open sheet waited for this key press, and has it now."""
        return self.body is not None and self.body.take_key(key, modifiers)

    @property
    def is_open(self) -> bool:
        return self.body is not None

    def set_look(self, look: Look) -> None:
        self.look = look
        self._close.set_look(look)
        self._close.show_as("Close", look.keys.cap(Deed.DISARM_OR_CLOSE), self._close.tone)
        self._scroll.setStyleSheet(_scroll_style(look))
        if self.body is not None:
            self.body.set_look(look)
        self._place()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        if self.body is None:
            return
        scale = self.look.scale
        area = Box(0, 0, self.width() / scale, self.height() / scale)
        width = sheet_box(area, HEAD).width - 2 * EDGE
        wanted = self.body.wanted_height(width)
        box = sheet_box(area, HEAD + wanted + EDGE)
        self._frame = QRectF(box.x, box.y, box.width, box.height)
        button = self._close.design_width()
        self._close.setGeometry(
            QRectF(
                (box.right - EDGE - button) * scale, (box.y + 28) * scale, button * scale, 36 * scale
            ).toRect()
        )
        # A ring's width of room at each side, so that the focus of a child at the edge is not cut.
        view = QRectF(box.x + EDGE - 4, box.y + HEAD, width + 8, box.height - HEAD - 12)
        self._scroll.setGeometry(QRectF(view.topLeft() * scale, view.size() * scale).toRect())
        bar = 14.0 if wanted > view.height() else 0.0
        self.body.resize(round((width + 8 - bar) * scale), round(max(wanted, view.height()) * scale))
        self.body.lay_out(width - bar)
        self.update()

    def replace(self) -> None:
        """The open sheet wants another height."""
        self._place()

    def draw_more(self, painter: QPainter) -> None:
        if self.body is None:
            return
        painter.save()
        painter.scale(self.look.scale, self.look.scale)
        palette = self.look.palette
        ink = Ink(painter, self.look, self._frame)
        ink.plate(self._frame, palette.panel, palette.edge, radius=RADIUS)
        x, y = self._frame.left() + EDGE, self._frame.top()
        room = self._frame.width() - 2 * EDGE - self._close.design_width() - 16
        ink.text(x, y + 49, self.body.title, BANNER, palette.text, bold=True, room=room)
        tone = getattr(palette, self.body.under_tone)
        under = ink.shorten(self.body.under, BODY, room)  # names that others chose stand in it
        ink.text(x, y + 73, under, BODY, tone, room=room)
        painter.restore()
        self.drawn = tuple(ink.drawn)


def dress_field(field: QLineEdit, look: Look) -> None:
    """A text field in the window's look."""
    palette = look.palette
    field.setFont(look.type.font(round(14 * look.scale), False))
    radius, pad = round(6 * look.scale), round(10 * look.scale)
    field.setStyleSheet(
        f"QLineEdit {{ background: {palette.window.name()}; color: {palette.text.name()};"
        f" border: 1px solid {palette.edge.name()}; border-radius: {radius}px; padding: 0 {pad}px;"
        f" selection-background-color: {palette.accent.name()};"
        f" selection-color: {palette.on_accent.name()}; }}"
        f"QLineEdit:focus {{ border: 2px solid {palette.accent.name()}; }}"
    )
    colors = field.palette()
    colors.setColor(colors.PlaceholderText, palette.text3)
    field.setPalette(colors)


def _scroll_style(look: Look) -> str:
    palette = look.palette
    width = round(10 * look.scale)
    return (
        f"QScrollArea, QScrollArea > QWidget > QWidget {{ background: {palette.panel.name()}; }}"
        f"QScrollBar:vertical {{ background: {palette.panel.name()}; width: {width}px; margin: 0; }}"
        f"QScrollBar::handle:vertical {{ background: {palette.edge.name()}; border-radius: 4px;"
        f" min-height: 32px; margin: 1px; }}"
        "QScrollBar::add-line, QScrollBar::sub-line { height: 0; }"
        "QScrollBar::add-page, QScrollBar::sub-page { background: none; }"
    )
