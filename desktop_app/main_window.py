"""The window of one robot: puts the parts in their places and says what the person wants.

It knows nothing of links: it draws a View and emits signals.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

from PyQt5.QtCore import QEvent, QSize, pyqtSignal
from PyQt5.QtGui import QCloseEvent, QResizeEvent
from PyQt5.QtWidgets import QApplication

from desktop_app.arrangement import SMALLEST_SIZE, WINDOW_USUAL, arrange, granted_scale
from desktop_app.ask_sheets import FiguresSheet, TakeSheet
from desktop_app.banner_words import Action
from desktop_app.bottom_panel import Tab
from desktop_app.connect_sheet import ConnectSheet
from desktop_app.drive_panel import DriveCard, Pad
from desktop_app.events import EventsCard
from desktop_app.gamepad_sheet import GamepadSheet
from desktop_app.ground import Ground
from desktop_app.help_sheet import HelpSheet
from desktop_app.icons import window_icon
from desktop_app.keyboard import Keyboard
from desktop_app.keys import USUAL_KEYS, Deed, KeyMap
from desktop_app.lettering import Type
from desktop_app.link_card import LinkCard
from desktop_app.pair_sheet import PairSheet
from desktop_app.parts import Parts
from desktop_app.settings_sheet import SettingsSheet
from desktop_app.sheet import SheetBody
from desktop_app.theme import Look, ThemeChoice, choose_palette
from desktop_app.toasts import Toast
from desktop_app.top_bar import place
from desktop_app.view import LIVE_STATES, Connection, Focus, KnownRobot, Pairing, Sample, View
from desktop_app.window_memory import WindowMemory

LIMIT_STEP: Final = 0.1
_TABS: Final = {Deed.CHARTS: Tab.CHARTS, Deed.LOG: Tab.LOG, Deed.LEFT_COLUMN: Tab.LINK}


class MainWindow(Ground):
    """Everything a person sees of one robot.  GUI thread."""

    # What the person wants of the car.
    e_stop_pressed = pyqtSignal()  # in the very event of the press
    arm_asked = pyqtSignal()
    disarm_asked = pyqtSignal()
    reset_asked = pyqtSignal()  # was held for 1 s
    take_asked = pyqtSignal()  # confirmed, if somebody else drives
    give_asked = pyqtSignal()
    limit_asked = pyqtSignal(float)  # (0, 1]
    pad_dragged = pyqtSignal(float, float)  # throttle, steering in [-1, 1]
    pad_released = pyqtSignal()
    key_pressed = pyqtSignal(int)  # Qt.Key, never a repeat; only while the picture or the pad has the focus
    key_held_over = pyqtSignal(int)  # the same key, but it was down before
    key_released = pyqtSignal(int)
    focus_changed = pyqtSignal(object)  # Focus; anything but DRIVE: keys are up; AWAY: all is neutral
    # What the person wants of the window.
    connect_asked = pyqtSignal(str)  # address as typed; "" is the simulated car of this computer
    forget_asked = pyqtSignal(str)
    snapshot_asked = pyqtSignal()
    keys_asked = pyqtSignal(object)  # KeyMap
    mapping_asked = pyqtSignal(str, object)  # a gamepad's GUID, PadMapping
    toast_clicked = pyqtSignal(str)  # its key
    memory_changed = pyqtSignal(object)  # WindowMemory
    close_asked = pyqtSignal()  # then disarm and call `let_close`

    def __init__(
        self,
        memory: WindowMemory | None = None,
        *,
        face: str = "",
        room: QSize | None = None,
        keys: KeyMap = USUAL_KEYS,
    ) -> None:
        """`room` is what the screen has; None asks it.  The E-STOP must not lie outside of it."""
        self.memory = memory or WindowMemory()
        self._type = Type(face)
        self._keys = keys
        super().__init__(self._make_look(1.0))
        self.setWindowTitle("pynet")
        self.setWindowIcon(window_icon())
        room = room or QApplication.primaryScreen().availableGeometry().size()
        self.setMinimumSize(QSize(int(SMALLEST_SIZE[0]), int(SMALLEST_SIZE[1])).boundedTo(room))
        self.view = View()
        self.arrangement = arrange(*WINDOW_USUAL)
        self._is_full_picture = False
        self._may_close = False
        self.parts = Parts(self.look, self)
        self.bar, self.picture, self.sheets = self.parts.bar, self.parts.picture, self.parts.sheets
        self.connect_sheet = ConnectSheet(self.look)
        self.pair_sheet = PairSheet(self.look)
        self.settings_sheet = SettingsSheet(self.look)
        self.help_sheet = HelpSheet(self.look)
        self.gamepad_sheet = GamepadSheet(self.look)
        self.take_sheet = TakeSheet(self.look)
        self.figures_sheet = FiguresSheet(self.look)
        pad = self.parts.card(DriveCard).pad
        self.keyboard = Keyboard(self, (self.picture, pad), self.sheets)
        self.keyboard.keys = keys
        self._wire(pad)
        self.resize(QSize(self.memory.width, self.memory.height).boundedTo(room))

    @property
    def is_choosing(self) -> bool:
        """The robots are listed, to choose one."""
        return self.sheets.body is self.connect_sheet

    @property
    def focus(self) -> Focus:
        return self.keyboard.focus

    def _wire(self, pad: Pad) -> None:
        keyboard, banner, drive = self.keyboard, self.bar.banner, self.parts.card(DriveCard)
        keyboard.asked.connect(self._do)
        keyboard.let_go.connect(self._let_go)
        keyboard.pressed.connect(self.key_pressed)
        keyboard.held_over.connect(self.key_held_over)
        keyboard.released.connect(self.key_released)
        keyboard.focus_changed.connect(self.focus_changed)
        self.bar.e_stop.pressed.connect(self.e_stop_pressed)
        self.bar.chip.clicked.connect(lambda: self._do(Deed.ROBOTS))
        self.bar.menu.clicked.connect(lambda: self._do(Deed.LEFT_COLUMN))
        banner.asked.connect(self._do_action)
        self.picture.snapshot.clicked.connect(self.snapshot_asked)
        pad.dragged.connect(self.pad_dragged)
        pad.released.connect(self.pad_released)
        drive.limit_asked.connect(self.limit_asked)
        self.parts.card(LinkCard).clicked.connect(self._show_figures)
        self.parts.card(EventsCard).clicked.connect(lambda: self._do(Deed.LOG))
        self.parts.splitter.moved.connect(self._move_splitter)
        self.parts.panel.tab_chosen.connect(self._show_tab)
        self.parts.toasts.on_click = self.toast_clicked.emit
        self.sheets.closed.connect(self.picture.setFocus)
        self.connect_sheet.connect_asked.connect(self.connect_asked)
        self.connect_sheet.forget_asked.connect(self.forget_asked)
        self.connect_sheet.settings_asked.connect(lambda: self._do(Deed.SETTINGS))
        self.connect_sheet.help_asked.connect(lambda: self._do(Deed.HELP))
        self.pair_sheet.left.connect(self.sheets.close_sheet)
        self.pair_sheet.reshaped.connect(self.sheets.replace)
        self.settings_sheet.theme_asked.connect(lambda theme: self._remember(theme=theme))
        self.settings_sheet.zoom_asked.connect(lambda zoom: self._remember(zoom=zoom))
        self.settings_sheet.sounds_asked.connect(lambda on: self._remember(sounds=on))
        self.settings_sheet.keys_asked.connect(lambda: self._do(Deed.HELP))
        self.settings_sheet.gamepad_asked.connect(lambda: self._do(Deed.GAMEPAD))
        self.help_sheet.keys_asked.connect(self.keys_asked)
        self.help_sheet.gamepad_asked.connect(lambda: self._do(Deed.GAMEPAD))
        self.gamepad_sheet.mapping_asked.connect(self.mapping_asked)
        self.take_sheet.left.connect(self.sheets.close_sheet)
        self.take_sheet.taken.connect(self._take_now)

    # What it shows.

    def show_view(self, view: View) -> None:
        """Draw this from now on; only what looks different is painted again."""
        before, self.view = self.view, view
        if view.address != before.address or view.connection is Connection.NONE:
            self.picture.forget_picture()
        self.parts.show_view(view)
        came_up = view.connection is Connection.UP and before.connection is not Connection.UP
        for body in (self.connect_sheet, self.pair_sheet):
            if came_up and self.sheets.body is body and not body.is_typed_in:
                self.sheets.close_sheet()
        was_refused = view.pairing is not Pairing.NONE and before.pairing is Pairing.NONE
        is_free = self.sheets.body in (None, self.connect_sheet)
        if was_refused and is_free and view.connection is Connection.CONNECTING:
            self.open_pairing()
        title = f"{view.robot_name or view.address} · pynet" if view.address else "pynet"
        if title != self.windowTitle():
            self.setWindowTitle(title)

    def add_samples(self, samples: list[Sample]) -> None:
        """Points for the charts, as they came."""
        self.parts.panel.charts.add(samples)

    def set_known(self, robots: tuple[KnownRobot, ...]) -> None:
        """The robots that the connect sheet lists."""
        self.connect_sheet.set_known(robots)
        self.sheets.replace()

    def set_keys(self, keys: KeyMap) -> None:
        """From now on these keys do what they do, and are what the caps say."""
        self._keys = self.keyboard.keys = keys
        self.relayout()

    def open_pairing(self) -> None:
        """Ask for the code of the robot that this window is connecting to."""
        if self.sheets.body is not self.pair_sheet:
            self.pair_sheet.begin()
            self._open(self.pair_sheet)

    def show_toast(self, toast: Toast) -> None:
        self.parts.toasts.show(toast)

    def end_toast(self, key: str) -> None:
        """The cause of this warning is over."""
        self.parts.toasts.end(key)

    # Its look and layout.

    def _make_look(self, scale: float) -> Look:
        palette = choose_palette(self.memory.theme, QApplication.palette())
        return Look(palette, self._type, scale, self._keys)

    def relayout(self) -> None:
        """Place everything anew: another size, theme, zoom or layout."""
        memory, zoom = self.memory, self.memory.zoom / 100
        self.look = self._make_look(granted_scale(self.width(), self.height(), zoom))
        self.arrangement = plan = arrange(
            self.width(),
            self.height(),
            zoom=zoom,
            panel_height=memory.panel_height,
            shows_left=memory.shows_left,
            shows_panel=memory.shows_panel,
            is_full_picture=self._is_full_picture,
        )
        self.parts.arrange(self.look, plan)
        self.picture.show_rails(self._is_full_picture)
        self.settings_sheet.show_chosen(memory.theme, memory.zoom, sounds=memory.sounds)
        self.show_view(self.view)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.relayout()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.ActivationChange:
            self.keyboard.look_at_focus()
        elif event.type() == QEvent.PaletteChange and self.memory.theme is ThemeChoice.SYSTEM:
            self.relayout()

    def focusNextPrevChild(self, is_next: bool) -> bool:
        """Tab: past what a sheet covers."""
        for _ in range(100):
            if not super().focusNextPrevChild(is_next):
                return False
            if not self.parts.is_covered(self.focusWidget()):
                return True
        return False

    def _remember(self, **changes: object) -> None:
        self.memory = dataclasses.replace(self.memory, **changes)  # type: ignore[arg-type]  # by keyword
        self.relayout()
        self.memory_changed.emit(self.memory)

    def _move_splitter(self, by: float) -> None:
        if self.arrangement.panel is not None:
            self._remember(panel_height=self.arrangement.panel.height + by)

    # Tabs and the drawer.

    def _show_tab(self, tab: Tab) -> None:
        """F2, F6, F7: shows it; a second press of the drawer's own key closes the drawer."""
        parts = self.parts
        if self._is_full_picture:
            self._do(Deed.FULL_PICTURE)
        if self.arrangement.drawer is not None or (
            self.arrangement.is_compact and not self.arrangement.right
        ):
            was_open = parts.drawer_tab is not None
            parts.drawer_tab = None if parts.drawer_tab is tab else tab
            self.relayout()
            if parts.drawer_tab is not None and not was_open:
                parts.slide_in()
        elif tab is Tab.LINK:
            self._remember(shows_left=not self.memory.shows_left)
        elif self.memory.shows_panel and self.parts.panel.tab is tab:
            self._remember(shows_panel=False)
        else:
            self.parts.panel.show_tab(tab, is_drawer=False)
            self._remember(shows_panel=True)

    # Sheets.

    def _open(self, body: SheetBody) -> None:
        if self.sheets.body is body:
            self.sheets.close_sheet()
            return
        body.show_view(self.view)
        place(self.sheets, self.arrangement.sheet, self.look.scale)
        self.sheets.open_sheet(body)

    def _show_figures(self) -> None:
        self.figures_sheet.show_figures(self.view)
        self._open(self.figures_sheet)

    # Deeds.

    def _do(self, deed: Deed) -> None:
        match deed:
            case Deed.E_STOP:
                self.e_stop_pressed.emit()
            case Deed.ARM:
                self.arm_asked.emit()
            case Deed.DISARM_OR_CLOSE:
                self._disarm_or_close()
            case Deed.RESET:
                if self.bar.banner.content.action is Action.RESET:
                    self.bar.banner.button.start_hold()
            case Deed.TAKE:
                self._take()
            case Deed.GIVE:
                self.give_asked.emit()
            case Deed.LIMIT_DOWN | Deed.LIMIT_UP:
                step = LIMIT_STEP if deed is Deed.LIMIT_UP else -LIMIT_STEP
                self.limit_asked.emit(min(1.0, max(LIMIT_STEP, round(self.view.drive.limit + step, 2))))
            case Deed.SNAPSHOT:
                self.snapshot_asked.emit()
            case Deed.FULL_PICTURE:
                self._is_full_picture = not self._is_full_picture
                self.relayout()
            case Deed.CHARTS | Deed.LOG | Deed.LEFT_COLUMN:
                self._show_tab(_TABS[deed])
            case Deed.ROBOTS:
                self._open(self.connect_sheet)
            case Deed.PAIR if self.view.pairing is not Pairing.NONE:
                self.open_pairing()
            case Deed.SETTINGS:
                self._open(self.settings_sheet)
            case Deed.HELP:
                self._open(self.help_sheet)
            case Deed.GAMEPAD:
                self._open(self.gamepad_sheet)

    def _let_go(self, deed: Deed) -> None:
        if deed is Deed.RESET:
            self.bar.banner.button.end_hold()

    def _do_action(self, action: enum.Enum) -> None:
        """The banner's button."""
        match action:
            case Action.DISARM:
                self.disarm_asked.emit()
            case Action.RESET:
                self.reset_asked.emit()
            case Action():
                self._do(action.deed)

    def _take(self) -> None:
        """At once if nobody drives; else the sheet names who does, and asks."""
        status = self.view.status
        if status is None or self.view.has_lease:
            return
        if status.holder:
            self.take_sheet.ask(status.holder_name or "Somebody", self.view.robot_name or "the robot")
            self._open(self.take_sheet)
        else:
            self.take_asked.emit()

    def _take_now(self) -> None:
        self.sheets.close_sheet()
        self.take_asked.emit()

    def _disarm_or_close(self) -> None:
        if self.view.is_arming or (self.view.has_lease and self.view.state in LIVE_STATES):
            self.disarm_asked.emit()
        elif self.sheets.is_open:
            self.sheets.close_sheet()
        elif self.parts.drawer_tab is not None and self.arrangement.drawer is not None:
            self._show_tab(self.parts.drawer_tab)
        elif self._is_full_picture:
            self._do(Deed.FULL_PICTURE)

    # The end.

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask to be closed: whoever drives the link disarms first, then calls `let_close`."""
        if not self._may_close and self.receivers(self.close_asked):
            self.close_asked.emit()
            if not self._may_close:  # later
                event.ignore()
                return
        self.keyboard.stop()
        if not self.isMaximized():
            self.memory = dataclasses.replace(self.memory, width=self.width(), height=self.height())
        self.memory_changed.emit(self.memory)
        event.accept()

    def let_close(self) -> None:
        """Nothing turns any more: go."""
        self._may_close = True
        self.close()
