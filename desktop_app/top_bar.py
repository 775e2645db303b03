"""The bar at the top: robot, link, lease, banner, E-STOP.  Nothing ever covers it, nothing in it moves."""

from __future__ import annotations

from typing import Any

from PyQt5.QtCore import QRectF
from PyQt5.QtGui import QPainter
from PyQt5.QtWidgets import QWidget

from desktop_app.arrangement import Arrangement, Box
from desktop_app.banner import Banner
from desktop_app.button import Button
from desktop_app.card import Instrument
from desktop_app.e_stop import EStopButton
from desktop_app.ground import Ground
from desktop_app.icons import Icon
from desktop_app.lease import LeaseBadge
from desktop_app.link_card import LinkBadge
from desktop_app.robot_chip import RobotChip
from desktop_app.theme import Look
from desktop_app.view import View


class TopBar(Ground):
    role = "panel"

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(look, parent)
        self.menu = Button(look, "", self, icon=Icon.MENU)
        self.menu.setAccessibleName("Menu")
        self.chip = RobotChip(look, self)
        self.link = LinkBadge(look, self)
        self.lease = LeaseBadge(look, self)
        self.banner = Banner(look, self)
        self.e_stop = EStopButton(look, self)
        self._instruments: tuple[Instrument[Any], ...] = (
            self.chip,
            self.link,
            self.lease,
            self.banner,
            self.e_stop,
        )

    def show_view(self, view: View) -> None:
        for instrument in self._instruments:
            instrument.show_view(view)

    def arrange(self, look: Look, arrangement: Arrangement) -> None:
        self.look = look
        scale = arrangement.scale
        place(self, arrangement.bar, scale)
        self.menu.setVisible(arrangement.menu is not None)
        self.menu.set_look(look)
        if arrangement.menu is not None:
            place(self.menu, arrangement.menu, scale)
        boxes = (
            arrangement.chip,
            arrangement.link_badge,
            arrangement.lease,
            arrangement.banner,
            arrangement.e_stop,
        )
        for instrument, box in zip(self._instruments, boxes, strict=True):
            instrument.set_look(look, is_compact=arrangement.is_compact)
            place(instrument, box, scale)
        self.update()

    def draw_more(self, painter: QPainter) -> None:
        line = QRectF(0, self.height() - 1, self.width(), 1)
        painter.fillRect(line, self.look.palette.line)


def place(widget: QWidget, box: Box, scale: float) -> None:
    """Put the widget where the box stands, edges rounded to whole px."""
    left, top = round(box.x * scale), round(box.y * scale)
    widget.setGeometry(left, top, round(box.right * scale) - left, round(box.bottom * scale) - top)
