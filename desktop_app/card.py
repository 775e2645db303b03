"""What every part of the window is built on.

`Instrument` is one widget that draws one frozen value: `read` takes from a
View what it shows, rounded as it shows it, `draw` paints that and nothing
else.  It repaints when the value has changed, and only then.

`Card` adds the panel with its title and the word at its right.  A new card is
one file with one class and one line in `main_window.py`:

    class Compass(Card[str]):
        title = "Compass"

        def read(self, view: View) -> str:
            return f"{math.degrees(view.odometry.heading_rad):.0f}°" if view.odometry else MISSING

        def draw(self, ink: Ink, content: str) -> None:
            ink.text(16, 60, content, READOUT, self.look.palette.text, bold=True)

        def words(self, content: str) -> str:
            return f"heading {content}"
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent, QMouseEvent
from PyQt5.QtWidgets import QWidget

from desktop_app.ink import Align, Ink
from desktop_app.painted import Ringed
from desktop_app.theme import BODY, Look
from desktop_app.view import View

PADDING: Final = 16.0
TITLE_BASELINE: Final = 25.0

Content = TypeVar("Content")


class Instrument(Ringed, QWidget, Generic[Content]):
    """One widget that draws one value taken from a View.  GUI thread."""

    title = ""  # what it is called, also to a screen reader
    clicked = pyqtSignal()  # if it is pressable: by the mouse, or by Enter while it has the focus
    is_pressable = False

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_OpaquePaintEvent)
        self.look = look
        self.is_compact = False
        self.view = View()
        self.content: Content = self.read(self.view)
        if self.is_pressable:
            self.setFocusPolicy(Qt.TabFocus)
            self.setCursor(Qt.PointingHandCursor)
        self.setAccessibleName(self.title)
        self.setAccessibleDescription(self.words(self.content))

    @abstractmethod
    def read(self, view: View) -> Content:
        """What to draw of this View: comparable, and rounded as it is drawn."""

    @abstractmethod
    def draw(self, ink: Ink, content: Content) -> None:
        """Paint the whole widget in design px."""

    def words(self, content: Content) -> str:
        """The value as a sentence for a screen reader."""
        return ""

    def show_view(self, view: View) -> None:
        """Draw this from now on; costs nothing when it looks the same."""
        self.view = view
        self.refresh()

    def refresh(self) -> None:
        content = self.read(self.view)
        if content == self.content:
            return
        self.content = content
        self.update()
        words = self.words(content)
        if words != self.accessibleDescription():
            self.setAccessibleDescription(words)  # Qt tells screen readers of the change

    def set_look(self, look: Look, *, is_compact: bool) -> None:
        """Another theme, scale or layout."""
        self.look, self.is_compact = look, is_compact
        self.refresh()
        self.update()

    def backdrop(self, ink: Ink) -> None:
        """What lies under the drawing; fills every pixel."""
        ink.painter.fillRect(ink.rect, self.look.palette.panel)

    def paint(self, ink: Ink) -> None:
        self.backdrop(ink)
        self.draw(ink, self.content)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.is_pressable and event.button() == Qt.LeftButton and self.rect().contains(event.pos()):
            self.clicked.emit()
        else:
            super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key_Return, Qt.Key_Enter)
        if self.is_pressable and is_enter and not event.isAutoRepeat():
            self.clicked.emit()
        else:
            super().keyPressEvent(event)


@dataclass(frozen=True, slots=True)
class Side:
    """The word at the right of a card's title."""

    text: str = ""
    tone: str = "text2"  # a role of the palette: text2, text3, amber, red, accent


NO_SIDE: Final = Side()


class Card(Instrument[Content]):
    """An instrument on a rounded panel, with a title and one word beside it."""

    def side(self, content: Content) -> Side:
        return NO_SIDE

    def backdrop(self, ink: Ink) -> None:
        palette = self.look.palette
        ink.painter.fillRect(ink.rect, palette.window)
        ink.plate(ink.rect, palette.panel, palette.line if palette.name == "light" else None)
        side = self.side(self.content)
        right = ink.rect.width() - PADDING
        title_width = ink.text(PADDING, TITLE_BASELINE, self.title, BODY, palette.text2, bold=True)
        ink.text(
            right,
            TITLE_BASELINE,
            side.text,
            BODY,
            getattr(palette, side.tone),
            align=Align.RIGHT,
            room=right - PADDING - title_width - 12,
        )

    def draw_row(self, ink: Ink, baseline: float, label: str, value: str, tone: str = "text") -> None:
        """A label at the left and its value at the right, on one line."""
        palette = self.look.palette
        right = ink.rect.width() - PADDING
        label_width = ink.text(PADDING, baseline, label, BODY, palette.text2)
        ink.text(
            right,
            baseline,
            value,
            BODY + 1,
            getattr(palette, tone),
            bold=True,
            align=Align.RIGHT,
            room=right - PADDING - label_width - 8,
        )
