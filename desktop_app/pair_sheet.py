"""Pairing with a robot that does not know this laptop: what to type there, and its code here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PyQt5.QtCore import QRectF, pyqtSignal
from PyQt5.QtGui import QIntValidator
from PyQt5.QtWidgets import QLineEdit, QWidget

from desktop_app.button import Button, Tone
from desktop_app.code_field import HEIGHT, CodeField
from desktop_app.icons import Icon
from desktop_app.ink import Align, Ink
from desktop_app.lettering import MONO_FACES, find_face, make_font
from desktop_app.sheet import SheetBody
from desktop_app.theme import BODY, SECOND, SMALL_READOUT, Look
from desktop_app.view import Pairing, View
from pynet_core.pairing import one_word
from pynet_core.pairing_link import PAIRING_PORT

COMMAND: Final = "sudo pynet-agent pair"
ONE_TRY: Final = "One try for each code. A wrong one shows a new one."
BOTH_KEEP: Final = "Both ends keep each other's key. Nothing leaves your network."
OTHER_KEY: Final = (
    "What answers at this address has another key. A robot that was reinstalled has a new one. "
    "If yours was not, something else poses as it."
)
SIDE: Final = 320.0  # the right part's width, where there is room for two
TALL: Final = 308.0
_INDENT: Final = 36.0


class PairSheet(SheetBody):
    """Asks and shows; whoever makes it does the pairing.  GUI thread."""

    title = "Pair with a robot"
    under = "It does not know this laptop yet."
    pair_asked = pyqtSignal(str, int)  # the code, eight digits; the port where the robot pairs
    forget_asked = pyqtSignal()  # the key that this address had
    left = pyqtSignal()
    reshaped = pyqtSignal()  # another title or height

    def __init__(self, look: Look, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(look)
        self._clock = clock
        self._name = ""
        self._told, self._is_wrong = "", False
        self._since_s: float | None = None  # an attempt runs
        self._is_warning = False
        self.code = CodeField(look, self)
        self.code.textChanged.connect(self._dress)
        self.code.returnPressed.connect(self._pair)
        self.port = QLineEdit(str(PAIRING_PORT), self)
        self.port.setAccessibleName("Port where the robot pairs")
        self.port.setValidator(QIntValidator(1, 65535, self.port))
        self.port.textChanged.connect(self._dress)
        self.port.returnPressed.connect(self._pair)
        self.pair = Button(look, "Pair and connect", self, tone=Tone.ACCENT)
        self.pair.clicked.connect(self._pair)
        self.leave = Button(look, "Cancel", self)
        self.leave.clicked.connect(self.left)
        self.forget = Button(look, "Forget and pair again", self)
        self.forget.clicked.connect(self.forget_asked)
        self._dress()

    # What happens to it.

    def set_name(self, name: str) -> None:
        """What the robot will call this computer."""
        self._name = one_word(name)

    def begin(self) -> None:
        """Anew: no code, nothing told."""
        self.code.clear()
        self._told, self._since_s = "", None
        self._dress()

    def show_running(self) -> None:
        """An attempt has begun."""
        self._told, self._is_wrong, self._since_s = "", False, self._clock()
        self._dress()

    def show_failed(self, words: str) -> None:
        """It came to nothing; why, and what to do."""
        self._told, self._is_wrong, self._since_s = words, True, None
        self.code.clear()
        self._dress()
        if self.isVisible():
            self.code.setFocus()

    def show_done(self) -> None:
        """The two are paired: nothing is left to ask."""
        self.begin()
        if self.isVisible():
            self.left.emit()

    @property
    def is_typed_in(self) -> bool:
        return bool(self.code.text()) and self._since_s is None

    def first(self) -> QWidget:
        return self.leave if self._is_warning else self.code

    def show_view(self, view: View) -> None:
        super().show_view(view)
        robot = view.robot_name or view.address or "a robot"
        is_warning = view.pairing is Pairing.CHANGED
        title = f"{robot} has another key" if is_warning else f"Pair with {robot}"
        if (title, is_warning) != (self.title, self._is_warning):
            self.title, self._is_warning = title, is_warning
            self.under = view.address if view.robot_name else ""
            self._dress()
            self.reshaped.emit()
            if self.isVisible():
                self.first().setFocus()
        if self._since_s is not None:
            words = f"Pairing with {robot}… {self._clock() - self._since_s:.0f} s"
            if words != self._told:
                self._told = words
                self.update()

    def _dress(self) -> None:
        is_running = self._since_s is not None
        for widget in (self.code, self.port, self.pair):
            widget.setVisible(not self._is_warning)
        self.forget.setVisible(self._is_warning)
        # Not disabled: the focus would move on to Cancel, and a second Enter would press it.
        self.code.setReadOnly(is_running)
        self.port.setReadOnly(is_running)
        self.pair.setEnabled(self._can_pair())
        self.update()

    def _can_pair(self) -> bool:
        return self.code.is_whole and self.port.hasAcceptableInput() and self._since_s is None

    def _pair(self) -> None:
        if self._can_pair():
            self.pair_asked.emit(self.code.text(), int(self.port.text()))

    # Two columns where there is room for them, else one above the other.

    def set_look(self, look: Look) -> None:
        super().set_look(look)
        self.code.look = look
        self.code.update()

    def wanted_height(self, width: float) -> float:
        if self._is_warning:
            return 190.0
        return TALL if self._is_wide(width) else 2 * TALL - 50

    def _is_wide(self, width: float) -> bool:
        return width >= 640

    def _boxes(self) -> tuple[QRectF, QRectF]:
        """The steps, and the plate with what is known."""
        width = self.width() / self.look.scale - 8
        if self._is_wide(width):
            side = min(SIDE, width * 0.43)
            return QRectF(4, 4, width - side - 28, TALL - 8), QRectF(4 + width - side, 4, side, TALL - 8)
        return QRectF(4, 4, width, TALL - 30), QRectF(4, TALL - 22, width, TALL - 36)

    def lay_out(self, width: float) -> None:
        if self._is_warning:
            self.put(self.forget, 4, 130, 210, 40)
            self.put(self.leave, 226, 130, 120, 40)
            return
        steps, side = self._boxes()
        self.put(self.code, steps.left() + _INDENT, steps.top() + 136, steps.width() - _INDENT, HEIGHT)
        x, inner = side.left() + 22, side.width() - 44
        self.put(self.port, side.right() - 22 - 68, side.top() + 58, 68, 36)
        self.put(self.pair, x, side.bottom() - 108, inner, 40)
        self.put(self.leave, x, side.bottom() - 58, inner, 40)

    def write(self, ink: Ink) -> None:
        if self._is_warning:
            self._write_warning(ink)
            return
        steps, side = self._boxes()
        self._write_steps(ink, steps)
        self._write_side(ink, side)

    def _write_warning(self, ink: Ink) -> None:
        palette, room = self.look.palette, ink.rect.width() - 8
        ink.icon(Icon.TRIANGLE, 4, 2, palette.amber)
        y = 18.0
        for line in self.look.type.wrap(self.view.connection_error, SMALL_READOUT, room - 34, bold=True)[:2]:
            ink.text(34, y, line, SMALL_READOUT, palette.amber, bold=True)
            y += 21
        y += 8
        for line in self.look.type.wrap(OTHER_KEY, BODY, room):
            ink.text(4, y, line, BODY, palette.text)
            y += 19

    def _write_steps(self, ink: Ink, box: QRectF) -> None:
        palette, x, y = self.look.palette, box.left() + _INDENT, box.top()
        room = box.right() - x
        self._write_number(ink, "1", box.left(), y + 12)
        ink.text(x, y + 17, "On the robot, run", BODY + 1, palette.text, room=room)
        plate = QRectF(x, y + 34, min(room, 360.0), 40)
        ink.plate(plate, palette.window, palette.line, radius=6)
        mono = make_font(find_face(MONO_FACES), BODY + 1, False)
        ink.painter.setFont(mono)
        ink.painter.setPen(palette.text)
        ink.painter.drawText(plate.adjusted(14, 0, 0, 0), 0x0081, COMMAND)  # left, vertically centred
        self._write_number(ink, "2", box.left(), y + 108)
        ink.text(x, y + 113, "Type the eight digits it shows", BODY + 1, palette.text, room=room)
        y += 136 + HEIGHT + 24
        words, color = self._told or ONE_TRY, palette.text2
        if self._told and self._is_wrong:
            color = palette.amber
            ink.icon(Icon.TRIANGLE, box.left() + 2, y - 15, color)
        for line in self.look.type.wrap(words, BODY, room)[:4]:
            ink.text(x, y, line, BODY, color)
            y += 19

    def _write_number(self, ink: Ink, number: str, x: float, middle: float) -> None:
        palette = self.look.palette
        ink.plate(QRectF(x, middle - 12, 24, 24), edge=palette.text2, radius=12, width=1.5)
        ink.text(x + 12, middle + 4.5, number, BODY, palette.text, bold=True, align=Align.CENTER)

    def _write_side(self, ink: Ink, box: QRectF) -> None:
        palette = self.look.palette
        ink.plate(box, palette.raised, palette.line)
        x, right = box.left() + 22, box.right() - 22
        label = ink.text(x, box.top() + 36, "This laptop is called", BODY, palette.text2)
        room = right - x - label - 12
        name = ink.shorten(self._name, BODY, room, bold=True)
        ink.text(right, box.top() + 36, name, BODY, palette.text, bold=True, align=Align.RIGHT, room=room)
        ink.text(x, box.top() + 81, "The robot pairs on port", BODY, palette.text2)
        y = box.top() + 124
        for line in self.look.type.wrap(BOTH_KEEP, SECOND, right - x):
            ink.text(x, y, line, SECOND, palette.text2)
            y += 18
