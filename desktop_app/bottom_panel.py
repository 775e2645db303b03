"""The panel under the picture, or the drawer over it: charts and log behind tabs.

Files and replay get their tabs when they exist.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PyQt5.QtWidgets import QAbstractButton, QWidget

from desktop_app.card import PADDING, Instrument
from desktop_app.charts import Charts
from desktop_app.events import Log
from desktop_app.ink import Align, Ink
from desktop_app.keys import Deed
from desktop_app.theme import AXIS, BODY, Look
from desktop_app.view import View

HEADER: Final = 36.0


class Tab(enum.Enum):
    CHARTS = ("Charts", Deed.CHARTS)
    LOG = ("Log", Deed.LOG)
    LINK = ("Link", Deed.LEFT_COLUMN)  # in the drawer only: its cards have the left column elsewhere


class TabButton(QAbstractButton):
    """Drawn by the panel: here are its place, its name and its keyboard."""

    def __init__(self, tab: Tab, parent: QWidget) -> None:
        super().__init__(parent)
        self.tab = tab
        self.setText(tab.value[0])
        self.setCheckable(True)
        self.setFocusPolicy(Qt.TabFocus)

    def paintEvent(self, event: object) -> None:
        """Nothing: the header under it shows the words."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key_Return, Qt.Key_Enter):
            self.click()
        else:
            event.ignore()

    def focusInEvent(self, event: object) -> None:
        self.parentWidget().update()

    def focusOutEvent(self, event: object) -> None:
        self.parentWidget().update()


@dataclass(frozen=True, slots=True)
class Header:
    tab: Tab
    tabs: tuple[Tab, ...]
    told: str
    tone: str


class BottomPanel(Instrument[Header]):
    """Shows one of its pages; LINK leaves the room below the header to the window."""

    title = "Panel"
    tab_chosen = pyqtSignal(object)  # Tab

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        self.tab = Tab.CHARTS
        self._tabs: tuple[Tab, ...] = (Tab.CHARTS, Tab.LOG)
        self._told = ("", "text2")
        super().__init__(look, parent)
        self.charts = Charts(look, self)
        self.log = Log(look, self)
        self.charts.told.connect(self._tell)
        self._buttons = {tab: TabButton(tab, self) for tab in Tab}
        for tab, button in self._buttons.items():
            button.clicked.connect(lambda _=False, tab=tab: self.tab_chosen.emit(tab))
        self.log.hide()

    def read(self, view: View) -> Header:
        told = self._told if self.tab is Tab.CHARTS else ("", "text2")
        return Header(self.tab, self._tabs, *told)

    def words(self, content: Header) -> str:
        return f"{content.tab.value[0]} {content.told}".strip()

    def show_view(self, view: View) -> None:
        super().show_view(view)
        self.charts.show_view(view)  # hidden too: it must know which lanes to keep samples of
        if self.charts.isVisible():
            self.charts.tick()
        if self.log.isVisibleTo(self):
            self.log.show_view(view)

    def show_tab(self, tab: Tab, *, is_drawer: bool) -> None:
        self.tab = tab
        self._tabs = (Tab.CHARTS, Tab.LOG, Tab.LINK) if is_drawer else (Tab.CHARTS, Tab.LOG)
        self.charts.setVisible(tab is Tab.CHARTS)
        self.log.setVisible(tab is Tab.LOG)
        self.refresh()
        self._place()
        self.show_view(self.view)

    def set_look(self, look: Look, *, is_compact: bool) -> None:
        super().set_look(look, is_compact=is_compact)
        self.charts.set_look(look, is_compact=is_compact)
        self.log.set_look(look, is_compact=is_compact)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _tell(self, words: str, tone: str) -> None:
        self._told = (words, tone)
        self.refresh()

    def _place(self) -> None:
        scale, size = self.look.scale, self.design_size()
        page = QRectF(2, HEADER, size.width() - 4, size.height() - HEADER - 3)
        for widget in (self.charts, self.log):
            widget.setGeometry(QRectF(page.topLeft() * scale, page.size() * scale).toRect())
        for tab, button in self._buttons.items():
            button.setVisible(tab in self._tabs)
            button.setChecked(tab is self.tab)
            button.setAccessibleName(", ".join(self._words_of(tab)))
        for tab, box in self._tab_boxes():
            area = QRectF(box.topLeft() * scale, box.size() * scale).toRect()
            self._buttons[tab].setGeometry(area)

    def _tab_boxes(self) -> list[tuple[Tab, QRectF]]:
        x = PADDING - 8
        boxes = []
        for tab in self._tabs:
            word, key = self._words_of(tab)
            width = (
                8 + self.look.type.width(word, BODY, True) + 8 + self.look.type.width(key, AXIS, False) + 12
            )
            boxes.append((tab, QRectF(x, 2, width, HEADER - 4)))
            x += width + 8
        return boxes

    def _words_of(self, tab: Tab) -> tuple[str, str]:
        """Its word and its key."""
        word, deed = tab.value
        return word, self.look.keys.cap(deed)

    def backdrop(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.painter.fillRect(ink.rect, palette.window)
        ink.plate(ink.rect, palette.panel, palette.line if palette.name == "light" else None)

    def draw(self, ink: Ink, content: Header) -> None:
        palette = self.look.palette
        ink.line(1, HEADER - 0.5, ink.rect.width() - 1, HEADER - 0.5, palette.line)
        right = 0.0
        for tab, box in self._tab_boxes():
            word, key = self._words_of(tab)
            is_shown = tab is content.tab
            x = box.left() + 8
            width = ink.text(x, 23, word, BODY, palette.text if is_shown else palette.text2, bold=is_shown)
            if is_shown:
                ink.plate(QRectF(x, HEADER - 3, width, 3), palette.accent, radius=1.5)
            ink.text(x + self.look.type.width(word, BODY, True) + 8, 23, key, AXIS, palette.text3)
            if self._buttons[tab].hasFocus():
                ink.plate(box.adjusted(0, 2, 0, -3), edge=palette.accent, radius=5, width=2)
            right = box.right()
        room = ink.rect.width() - right - PADDING - 12
        tone = getattr(palette, content.tone)
        x = ink.rect.width() - PADDING
        ink.text(x, 23, content.told, BODY, tone, align=Align.RIGHT, room=room)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click beside the tabs is not one on the picture."""
