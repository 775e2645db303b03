"""Ctrl+K: the robots this window knows, and a field for any other."""

from __future__ import annotations

import itertools

from PyQt5.QtCore import QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QKeyEvent
from PyQt5.QtWidgets import QAbstractButton, QLineEdit, QWidget

from desktop_app.button import Button, Tone
from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.keys import Deed
from desktop_app.painted import Ringed
from desktop_app.sheet import SheetBody
from desktop_app.theme import BODY, READOUT, SECOND, SMALL_READOUT, Look
from desktop_app.view import Connection, KnownRobot, View

ROW = 72.0
GAP = 12.0
SIDE = 344.0  # the right part's width, where there is room for two
PLACEHOLDERS = ("Name or address, e.g. rover.local:1857", "Name or address", "Address")
NONE_KNOWN = "None yet. Type a name or an address."
FOOT = ("Robots answer on the same network. A guest", "Wi-Fi often hides them from each other.")


def row_words(robot: KnownRobot) -> tuple[str, str]:
    """What a click does or what is, and what is known of the robot."""
    if not robot.address:
        word = "Starting…" if robot.is_starting else "Connected" if robot.is_connected else "Start"
        return word, "no robot needed"
    if robot.is_found:
        return "Connect", "found here"
    if robot.is_paired is False:
        return "Needs a code", "not paired yet"
    word = "Connected" if robot.is_connected else "Connect"
    if robot.is_paired:
        return word, "key known"
    return word, "simulated" if robot.simulated else "remembered"


class RobotRow(Ringed, QAbstractButton):
    """One known robot: a click connects."""

    def __init__(self, look: Look, robot: KnownRobot, parent: QWidget) -> None:
        super().__init__(parent)
        self.look = look
        self.robot = robot
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.StrongFocus)
        self.setCursor(Qt.PointingHandCursor)
        self.setAccessibleName(" ".join((robot.name or robot.address, robot.address, robot.board)).strip())
        words = "connected" if robot.is_connected else "press Enter to connect"
        self.setAccessibleDescription(f"{row_words(robot)[1]}, {words}")

    def set_look(self, look: Look) -> None:
        self.look = look
        self.update()

    def paint(self, ink: Ink) -> None:
        rect, palette = ink.rect, self.look.palette
        ink.painter.fillRect(rect, palette.panel)
        is_hot = self.underMouse() or self.isDown()
        edge = palette.accent if self.robot.is_connected else palette.edge if is_hot else palette.line
        ink.plate(rect, palette.raised, edge, width=2 if self.robot.is_connected else 1)
        middle = rect.height() / 2
        box = QRectF(14, middle - 22, 44, 44)
        ink.plate(box, palette.panel, palette.line)
        ink.icon(
            Icon.CHIP if self.robot.simulated else Icon.CAR, box.left() + 10, box.top() + 10, palette.text, 24
        )
        # The button to forget it stands at the right end.
        right = rect.width() - 50
        word, under = row_words(self.robot)
        width = ink.text(right, middle - 3, word, BODY, palette.accent, bold=True, align=Align.RIGHT)
        width = max(width, ink.text(right, middle + 16, under, SECOND, palette.text2, align=Align.RIGHT))
        room = right - width - 12 - 72
        name = ink.shorten(self.robot.name or self.robot.address, SMALL_READOUT, room, bold=True)
        ink.text(72, middle - 3, name, SMALL_READOUT, palette.text, bold=True, room=room)
        where = " · ".join(part for part in (self.robot.address, self.robot.board) if part)
        if not ink.fits(where, SECOND, room):
            where = self.robot.address
        ink.text(72, middle + 16, ink.shorten(where, SECOND, room), SECOND, palette.text2, room=room)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter):
            self.click()
        else:
            event.ignore()


class ConnectSheet(SheetBody):
    title = "Connect to a robot"
    under = "Choose one, or type where another is."
    connect_asked = pyqtSignal(str)
    pair_asked = pyqtSignal(str)  # an address: ask for its code, whether it has refused us or not
    forget_asked = pyqtSignal(str)
    settings_asked = pyqtSignal()
    help_asked = pyqtSignal()

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._rows: list[tuple[RobotRow, Button]] = []
        self.field = QLineEdit(self)
        self.field.setAccessibleName("Name or address of a robot")
        self.field.setMaxLength(255)
        self.field.returnPressed.connect(self._connect_typed)
        self._is_typed_in = False
        self.field.textEdited.connect(lambda: self._note_typing(True))
        self.connect_asked.connect(lambda: self._note_typing(False))
        self.pair_asked.connect(lambda: self._note_typing(False))
        self.go = Button(look, "Connect", self, tone=Tone.ACCENT)
        self.go.clicked.connect(self._connect_typed)
        self.pair = Button(look, "Pair…", self, icon=Icon.LOCK)
        self.pair.setAccessibleName("Pair with this robot")
        self.pair.clicked.connect(self._pair_typed)
        self.field.textChanged.connect(lambda text: self.pair.setEnabled(bool(text.strip())))
        self.pair.setEnabled(False)
        self.settings = Button(look, "Settings", self, icon=Icon.GEAR)
        self.settings.clicked.connect(self.settings_asked)
        self.help = Button(look, "Help", self, icon=Icon.INFO)
        self.help.clicked.connect(self.help_asked)

    def set_known(self, robots: tuple[KnownRobot, ...]) -> None:
        """List these, in this order."""
        if robots == tuple(row.robot for row, _ in self._rows):
            return
        focused = next((row.robot.address for row, _ in self._rows if row.hasFocus()), None)
        for row, forget in self._rows:
            row.deleteLater()
            forget.deleteLater()
        self._rows = []
        for robot in robots:
            row = RobotRow(self.look, robot, self)
            row.clicked.connect(lambda _=False, where=robot.address: self.connect_asked.emit(where))
            forget = Button(self.look, "", self, icon=Icon.CROSS)
            forget.setAccessibleName(f"Forget {robot.name or robot.address}")
            forget.clicked.connect(lambda _=False, where=robot.address: self.forget_asked.emit(where))
            row.show()
            forget.setVisible(bool(robot.address) and not robot.is_found)
            self._rows.append((row, forget))
            if robot.address == focused:
                row.setFocus()

    def _note_typing(self, is_typed_in: bool) -> None:
        self._is_typed_in = is_typed_in

    @property
    def is_typed_in(self) -> bool:
        return self._is_typed_in

    def first(self) -> QWidget:
        """The robot used last; who has none yet types."""
        return next((row for row, _ in self._rows if row.robot.address), self.field)

    def show_view(self, view: View) -> None:
        before = self._told()
        super().show_view(view)
        if self._told() != before:
            self.update()

    def set_look(self, look: Look) -> None:
        super().set_look(look)
        for row, _ in self._rows:
            row.set_look(look)

    def _told(self) -> tuple[str, bool]:
        """What goes on or went wrong, and whether it went wrong."""
        if self.view.connection_error:
            return self.view.connection_error, True
        if self.view.connection is Connection.CONNECTING:
            return f"Connecting to {self.view.address}… {self.view.waiting_s:.0f} s", False
        return "", False

    def _connect_typed(self) -> None:
        typed = self.field.text().strip()
        if typed:
            self.connect_asked.emit(typed)

    def _pair_typed(self) -> None:
        self.pair_asked.emit(self.field.text().strip())

    # Two columns where there is room for them, else one above the other.

    def _is_wide(self, width: float) -> bool:
        return width >= 640

    def wanted_height(self, width: float) -> float:
        rows = max(1, len(self._rows)) * (ROW + GAP)
        return max(rows + 8, 330.0) if self._is_wide(width) else rows + 330.0

    def _side_box(self) -> QRectF:
        width = self.width() / self.look.scale - 8
        if self._is_wide(width):
            side = min(SIDE, width * 0.47)
            return QRectF(4 + width - side, 4, side, 316)
        return QRectF(4, max(1, len(self._rows)) * (ROW + GAP) + 4, width, 316)

    def lay_out(self, width: float) -> None:
        rows = itertools.chain.from_iterable(self._rows)  # made last, but read first
        in_order = [*rows, self.field, self.go, self.pair, self.settings, self.help]
        for one, after in itertools.pairwise(in_order):
            QWidget.setTabOrder(one, after)
        side = self._side_box()
        rows_width = side.left() - 4 - 28 if self._is_wide(width) else width
        y = 4.0
        for row, forget in self._rows:
            self.put(row, 4, y, rows_width, ROW)
            self.put(forget, 4 + rows_width - 42, y + ROW / 2 - 16, 32, 32)
            forget.raise_()
            y += ROW + GAP
        x, inner = side.left() + 22, side.width() - 44
        self.put(self.field, x, side.top() + 50, inner, 40)
        self.put(self.go, x, side.top() + 100, inner * 0.56 - 6, 40)
        self.put(self.pair, x + inner * 0.56 + 6, side.top() + 100, inner * 0.44 - 6, 40)
        fitting = (words for words in PLACEHOLDERS if self.look.type.fits(words, 14, inner - 28))
        self.field.setPlaceholderText(next(fitting, ""))
        half = (inner - 12) / 2
        is_narrow = half < 140
        self.settings.mark, self.help.mark = (None, None) if is_narrow else (Icon.GEAR, Icon.INFO)
        self.settings.key, self.help.key = (
            ("", "") if is_narrow else (self.look.keys.cap(Deed.SETTINGS), self.look.keys.cap(Deed.HELP))
        )
        self.put(self.settings, x, side.bottom() - 62, half + 12, 40)
        self.put(self.help, x + half + 24, side.bottom() - 62, half - 12, 40)

    def write(self, ink: Ink) -> None:
        palette = self.look.palette
        side = self._side_box()
        ink.plate(side, palette.raised, palette.line)
        x, room = side.left() + 22, side.width() - 44
        ink.text(x, side.top() + 34, "Not in the list?", READOUT - 3, palette.text, bold=True)
        told, is_wrong = self._told()
        y = side.top() + 164
        if told:
            color: QColor = palette.amber if is_wrong else palette.text2
            for line in self.look.type.wrap(told, BODY, room)[:4]:
                ink.text(x, y, line, BODY, color)
                y += 19
        else:
            for line in self.look.type.wrap(" ".join(FOOT), SECOND, room):
                ink.text(x, y, line, SECOND, palette.text2)
                y += 18
        if not self._rows:
            ink.text(4, 30, NONE_KNOWN, BODY, palette.text2, room=side.left() - 20)
