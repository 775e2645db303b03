"""Eight boxes for a pairing code, a digit each."""

from __future__ import annotations

import re
from typing import Final

from PyQt5.QtCore import QRectF, Qt
from PyQt5.QtGui import (
    QClipboard,
    QContextMenuEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
)
from PyQt5.QtWidgets import QApplication, QLineEdit, QMenu, QWidget

from desktop_app.ink import Align, Ink
from desktop_app.painted import Painted
from desktop_app.theme import BANNER, Look
from pynet_core.pairing import CODE_DIGITS

GAP: Final = 6.0
MIDDLE: Final = 20.0  # between the two halves
WIDEST: Final = 38.0  # box
HEIGHT: Final = 52.0
_WRITTEN: Final = re.compile(r"(?<![0-9])[0-9]{4}[\s-]?[0-9]{4}(?![0-9])")


def digits_of(text: str) -> str:
    """The code in what was typed or pasted, as far as there is one: "Code:  4821 7730" too."""
    written: list[str] = _WRITTEN.findall(text)
    return re.sub(r"[^0-9]", "", written[-1] if written else text)[:CODE_DIGITS]


class CodeField(Painted, QLineEdit):
    """Holds digits only.  Typing into a filled box replaces its digit; pasting replaces all."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self.look = look
        self.setAccessibleName("Code of eight digits")
        self.setInputMethodHints(Qt.ImhDigitsOnly)
        self.setAcceptDrops(False)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.textEdited.connect(self._keep_digits)
        for changed in (self.textChanged, self.cursorPositionChanged, self.selectionChanged):
            changed.connect(lambda *_: self.update())

    @property
    def is_whole(self) -> bool:
        return len(self.text()) == CODE_DIGITS

    def paste_over(self, text: str) -> None:
        """Take the code in this text, if it has digits at all."""
        if digits_of(text) and not self.isReadOnly():
            self.setText(digits_of(text))

    def _keep_digits(self, text: str) -> None:
        digits = digits_of(text)
        if digits != text:
            at = len(digits_of(text[: self.cursorPosition()]))
            self.setText(digits)
            self.setCursorPosition(at)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.Paste):
            self.paste_over(QApplication.clipboard().text())
            return
        is_digit = re.fullmatch(r"[0-9]", event.text()) is not None
        if (
            is_digit
            and not self.isReadOnly()
            and not self.hasSelectedText()
            and self.cursorPosition() < len(self.text())
        ):
            self.setSelection(self.cursorPosition(), 1)
        super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MiddleButton:
            self.paste_over(QApplication.clipboard().text(QClipboard.Selection))
        x = event.localPos().x() / self.look.scale
        before = sum(box.right() + GAP / 2 < x for box in self._boxes())
        self.setCursorPosition(min(before, len(self.text())))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Nothing: a code is not selected by dragging."""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Nothing: Qt would paste beside what is there."""

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.selectAll()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.addAction("Paste", lambda: self.paste_over(QApplication.clipboard().text()))
        menu.exec(event.globalPos())

    def _boxes(self) -> list[QRectF]:
        width, height = self.design_size().width(), self.design_size().height()
        side = min(WIDEST, (width - (CODE_DIGITS - 2) * GAP - MIDDLE) / CODE_DIGITS)
        boxes, x = [], 0.0
        for i in range(CODE_DIGITS):
            boxes.append(QRectF(x, 0, side, height))
            x += side + (MIDDLE if i == CODE_DIGITS // 2 - 1 else GAP)
        return boxes

    def paint(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.painter.fillRect(ink.rect, palette.panel)
        text, is_live = self.text(), not self.isReadOnly()
        at = self.cursorPosition() if self.hasFocus() and is_live else -1
        chosen = range(self.selectionStart(), self.selectionStart() + len(self.selectedText()))
        for i, box in enumerate(self._boxes()):
            is_chosen = i in chosen
            is_here = i == at and not chosen
            edge = palette.accent if is_here or is_chosen else palette.edge if is_live else palette.line
            fill = palette.accent if is_chosen else palette.window
            ink.plate(box, fill, edge, radius=6, width=2 if is_here else 1)
            color = palette.on_accent if is_chosen else palette.text if is_live else palette.text3
            if i < len(text):
                middle = box.center()
                ink.text(middle.x(), middle.y() + 8, text[i], BANNER, color, bold=True, align=Align.CENTER)
            if is_here:  # a line under the digit that would be replaced, or where the next one comes
                x = box.center().x()
                y = box.bottom() - 9
                ink.line(x - 8, y, x + 8, y, palette.accent, 2)
