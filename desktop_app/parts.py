"""The parts of the window, made once, and put in their places for each arrangement."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from PyQt5.QtCore import QPoint, QVariantAnimation
from PyQt5.QtWidgets import QStyle, QWidget

from desktop_app.arrangement import Arrangement, Box
from desktop_app.bottom_panel import HEADER, BottomPanel, Tab
from desktop_app.card import Card, Instrument
from desktop_app.drive_panel import DriveCard
from desktop_app.events import EventsCard
from desktop_app.link_card import LinkCard
from desktop_app.picture import Picture
from desktop_app.proximity import ProximityCard
from desktop_app.robot_card import RobotCard
from desktop_app.sheet import Sheets
from desktop_app.splitter import Splitter
from desktop_app.theme import Look
from desktop_app.toasts import Toasts
from desktop_app.top_bar import TopBar, place
from desktop_app.view import View

DRAWER_MS: Final = 120
LINK_IN_DRAWER: Final = 250.0  # design px
_Part = TypeVar("_Part", bound=Instrument[Any])

# The cards, from the top down.  A new one goes in here and gets its box in `arrangement.py`.
LEFT: Final[tuple[type[Card[Any]], ...]] = (LinkCard, EventsCard)
RIGHT: Final[tuple[type[Card[Any]], ...]] = (ProximityCard, DriveCard, RobotCard)


class Parts:
    """Children of one window, in the order in which Tab visits them.  GUI thread."""

    def __init__(self, look: Look, window: QWidget) -> None:
        self.bar = TopBar(look, window)
        self.left: tuple[Instrument[Any], ...] = tuple(card(look, window) for card in LEFT)
        self.picture = Picture(look, window)
        self.splitter = Splitter(look, window)
        self.panel = BottomPanel(look, window)
        self.right: tuple[Instrument[Any], ...] = tuple(card(look, window) for card in RIGHT)
        self.sheets = Sheets(look, window)
        self.toasts = Toasts(look, self.picture)
        self.drawer_tab: Tab | None = None  # compact layout: what is open
        self._window = window
        self._slide = QVariantAnimation(window)
        self._slide.setDuration(DRAWER_MS)
        self._slide.valueChanged.connect(self._move_drawer)
        self._ends: list[tuple[QWidget, QPoint]] = []  # where the drawer's widgets come to rest

    def card(self, kind: type[_Part]) -> _Part:
        """The card of this class."""
        return next(card for card in (*self.left, *self.right) if isinstance(card, kind))

    def is_covered(self, widget: QWidget | None) -> bool:
        """Whether an open sheet lies over this widget."""
        under = (self.picture, self.splitter, self.panel, *self.left)
        return (
            self.sheets.is_open
            and widget is not None
            and any(part is widget or part.isAncestorOf(widget) for part in under)
        )

    def show_view(self, view: View) -> None:
        self.bar.show_view(view)
        self.panel.show_view(view)
        for part in (self.picture, *self.left, *self.right):
            if part.isVisibleTo(self._window):
                part.show_view(view)
        if self.sheets.body is not None:
            self.sheets.body.show_view(view)

    def arrange(self, look: Look, plan: Arrangement) -> None:
        """Give each part its look and its place, or hide it."""
        self._slide.stop()
        self.bar.arrange(look, plan)
        instruments: tuple[Instrument[Any], ...] = (self.picture, self.panel, *self.left, *self.right)
        for part in instruments:
            part.set_look(look, is_compact=plan.is_compact)
        self.splitter.set_look(look)
        _put(self.picture, plan.picture, look)
        _put(self.splitter, plan.splitter, look)
        _put(self.sheets, plan.sheet if self.sheets.is_open else None, look)
        for card, box in zip(self.right, plan.right or (None,) * len(self.right), strict=True):
            _put(card, box, look)
        self._arrange_panel(look, plan)
        self.toasts.set_look(look)
        self.sheets.set_look(look)

    def _arrange_panel(self, look: Look, plan: Arrangement) -> None:
        """The bottom panel and the left column; in the compact layout both are in the drawer."""
        box, left = plan.panel, plan.left
        if plan.drawer is not None:
            box = plan.drawer if self.drawer_tab is not None else None
            if self.drawer_tab is Tab.LINK:
                left = _in_drawer(plan.drawer)
            if self.drawer_tab is not None:
                self.panel.show_tab(self.drawer_tab, is_drawer=True)
        else:
            tab = Tab.CHARTS if self.panel.tab is Tab.LINK else self.panel.tab
            self.panel.show_tab(tab, is_drawer=False)
        _put(self.panel, box, look)
        for card, its_box in zip(self.left, left or (None,) * len(self.left), strict=True):
            _put(card, its_box, look)
        if plan.drawer is not None:
            self.panel.raise_()
            for card in self.left:
                card.raise_()
            self.sheets.raise_()

    def slide_in(self) -> None:
        """Let the drawer come from below, unless the system asks for less motion."""
        if not self._window.style().styleHint(QStyle.SH_Widget_Animation_Duration):
            return
        shown = [part for part in (self.panel, *self.left) if part.isVisibleTo(self._window)]
        self._slide.stop()
        self._ends = [(part, part.pos()) for part in shown]
        self._slide.setStartValue(self._window.height() - self.panel.y())
        self._slide.setEndValue(0)
        self._slide.start()

    def _move_drawer(self, down: int) -> None:
        for part, end in self._ends:
            part.move(end.x(), end.y() + down)


def _put(part: QWidget, box: Box | None, look: Look) -> None:
    part.setVisible(box is not None)
    if box is not None:
        place(part, box, look.scale)


def _in_drawer(drawer: Box) -> tuple[Box, ...]:
    """The left column's cards side by side under the drawer's tabs."""
    height = drawer.height - HEADER - 4
    link = Box(drawer.x + 2, drawer.y + HEADER, LINK_IN_DRAWER, height)
    return (link, Box(link.right, link.y, drawer.right - link.right - 2, height))
