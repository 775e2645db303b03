"""Short notes over the picture's lower right corner: what you started, or must know now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QRectF, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QMouseEvent, QPainterPath, QRegion
from PyQt5.QtWidgets import QWidget

from desktop_app.icons import Icon
from desktop_app.ink import Ink
from desktop_app.painted import Painted
from desktop_app.theme import BODY, SECOND, Look

SHOWN_MS: Final = 4000
AT_MOST: Final = 2
WIDTH: Final = 300.0
MARGIN: Final = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Toast:
    """`key` names the cause: a second toast of one key takes the first one's place."""

    key: str
    title: str
    text: str = ""
    action: str = ""  # "Open folder": a click emits the key
    is_warning: bool = False  # stays until `end`
    icon: Icon = Icon.CHECK


class ToastPlate(Painted, QWidget):
    """One toast.  Opaque, so that the picture under it is not painted twice."""

    clicked = pyqtSignal(str)
    over = pyqtSignal(object)  # this plate

    def __init__(self, look: Look, toast: Toast, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.toast = toast
        self.setAccessibleName(toast.title)
        self.setAccessibleDescription(f"{toast.text} {toast.action}".strip())
        if toast.action:
            self.setFocusPolicy(Qt.TabFocus)
            self.setCursor(Qt.PointingHandCursor)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(lambda: self.over.emit(self))
        self.set_look(look)

    def live(self, shown_ms: int) -> None:
        """Emit `over` after this long."""
        self._timer.start(shown_ms)

    def set_look(self, look: Look) -> None:
        self.look = look
        room = WIDTH - 46 - 12
        self._titles = look.type.wrap(self.toast.title, BODY, room, bold=True)[:2]
        more = " · ".join(part for part in (self.toast.text, self.toast.action) if part)
        self._lines = look.type.wrap(more, SECOND, room)[:3]
        height = 20.0 + 18 * len(self._titles) + 17 * len(self._lines)
        self.resize(round(WIDTH * look.scale), round(height * look.scale))
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), 8 * look.scale, 8 * look.scale)
        self.setMask(QRegion(outline.toFillPolygon().toPolygon()))
        self.update()

    def paint(self, ink: Ink) -> None:
        rect, palette = ink.rect, self.look.palette
        edge = palette.accent if self.hasFocus() else palette.amber if self.toast.is_warning else palette.edge
        ink.painter.fillRect(rect, edge)
        ink.plate(rect.adjusted(1, 1, -1, -1), palette.panel, radius=7)
        tone = palette.amber if self.toast.is_warning else palette.text
        icon = Icon.TRIANGLE if self.toast.is_warning else self.toast.icon
        ink.icon(icon, 14, rect.height() / 2 - 10, tone)
        y = 24.0
        for line in self._titles:
            ink.text(46, y, line, BODY, palette.text, bold=True)
            y += 18
        for line in self._lines:
            ink.text(46, y, line, SECOND, palette.text2)
            y += 17

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.clicked.emit(self.toast.key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter):
            self.clicked.emit(self.toast.key)
        else:
            event.ignore()


class Toasts:
    """At most two, stacked from the corner upwards; the rest waits its turn.  GUI thread."""

    def __init__(self, look: Look, over: QWidget) -> None:
        self._look = look
        self._over = over
        self._waiting: list[Toast] = []
        self.shown: list[ToastPlate] = []
        self.on_click: Callable[[str], None] = lambda key: None

    def show(self, toast: Toast) -> None:
        """Show it now, or when there is room."""
        self.end(toast.key)
        self._waiting.append(toast)
        self._fill()
        if not toast.is_warning:  # told late it would be old news
            QTimer.singleShot(SHOWN_MS, lambda: self._give_up(toast))

    def end(self, key: str) -> None:
        """The cause is over."""
        self._waiting = [toast for toast in self._waiting if toast.key != key]
        for plate in [plate for plate in self.shown if plate.toast.key == key]:
            self._remove(plate)

    def set_look(self, look: Look) -> None:
        self._look = look
        for plate in self.shown:
            plate.set_look(look)
        self.place()

    def place(self) -> None:
        """Stack them anew: the picture has another size."""
        margin = round(MARGIN * self._look.scale)
        bottom = self._over.height() - margin
        for plate in self.shown:
            plate.move(self._over.width() - margin - plate.width(), bottom - plate.height())
            bottom -= plate.height() + margin

    def _fill(self) -> None:
        self._waiting.sort(key=lambda toast: not toast.is_warning)
        while self._waiting and len(self.shown) < AT_MOST:
            toast = self._waiting.pop(0)
            plate = ToastPlate(self._look, toast, self._over)
            plate.clicked.connect(self._click)
            plate.over.connect(self._remove)
            self.shown.append(plate)
            plate.show()
            if not toast.is_warning:
                plate.live(SHOWN_MS)
        self.place()

    def _give_up(self, toast: Toast) -> None:
        if toast in self._waiting:
            self._waiting.remove(toast)

    def _remove(self, plate: ToastPlate) -> None:
        if plate in self.shown:
            self.shown.remove(plate)
            plate.hide()
            plate.deleteLater()
            self._fill()

    def _click(self, key: str) -> None:
        self.on_click(key)
        self.end(key)
