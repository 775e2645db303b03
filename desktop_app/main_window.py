"""The window of one robot: puts the parts in their places and says what the person wants.

It knows nothing of links: it draws a View and emits signals.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

from PyQt5.QtCore import QEvent, QObject, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QCloseEvent, QKeyEvent, QMouseEvent, QResizeEvent
from PyQt5.QtWidgets import QApplication, QLineEdit, QPlainTextEdit, QWidget

from desktop_app.arrangement import (
    DEFAULT_PANEL,
    SMALLEST_SIZE,
    WINDOW_USUAL,
    Arrangement,
    arrange,
    granted_scale,
)
from desktop_app.banner_words import Action
from desktop_app.card import Instrument
from desktop_app.ground import Ground
from desktop_app.keys import Deed, deed_of
from desktop_app.lettering import Type
from desktop_app.picture import Picture
from desktop_app.theme import Look, ThemeChoice, choose_palette
from desktop_app.top_bar import TopBar, place
from desktop_app.view import Focus, KnownRobot, Sample, View
from pynet_car.messages import State

LIMIT_STEP: Final = 0.1
ZOOMS: Final = (100, 125, 150)  # per cent


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMemory:
    """What a window remembers until the next start."""

    theme: ThemeChoice = ThemeChoice.SYSTEM
    zoom: int = 100  # per cent
    panel_height: float = DEFAULT_PANEL
    shows_left: bool = True
    shows_panel: bool = True
    width: int = int(WINDOW_USUAL[0])
    height: int = int(WINDOW_USUAL[1])


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
    key_released = pyqtSignal(int)
    focus_changed = pyqtSignal(object)  # Focus; anything but DRIVE: keys are up; AWAY: all is neutral
    # What the person wants of the window.
    connect_asked = pyqtSignal(str)  # address as typed; "" is the simulated car of this computer
    forget_asked = pyqtSignal(str)
    snapshot_asked = pyqtSignal()
    toast_clicked = pyqtSignal(str)  # its key
    memory_changed = pyqtSignal(object)  # WindowMemory
    close_asked = pyqtSignal()  # then disarm and call `let_close`

    def __init__(self, memory: WindowMemory | None = None, face: str = "") -> None:
        self.memory = memory or WindowMemory()
        self._type = Type(face)
        super().__init__(self._make_look(1.0))
        self.setWindowTitle("pynet")
        self.setMinimumSize(QSize(int(SMALLEST_SIZE[0]), int(SMALLEST_SIZE[1])))
        self.view = View()
        self.focus = Focus.AWAY
        self.arrangement: Arrangement | None = None
        self._is_full_picture = False
        self._may_close = False
        self._down: set[int] = set()  # driving keys
        self.bar = TopBar(self.look, self)
        self.picture = Picture(self.look, self)
        self.right: tuple[Instrument[Any], ...] = ()
        self.left: tuple[Instrument[Any], ...] = ()
        self._wire()
        self.resize(self.memory.width, self.memory.height)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.installEventFilter(self)
        app.focusChanged.connect(self._on_focus)

    def _wire(self) -> None:
        self.bar.e_stop.pressed.connect(self.e_stop_pressed)
        self.bar.banner.asked.connect(self._do_action)
        self.bar.chip.clicked.connect(lambda: self._do(Deed.ROBOTS))

    # What it shows.

    def show_view(self, view: View) -> None:
        """Draw this from now on; only what looks different is painted again."""
        self.view = view
        self.bar.show_view(view)
        for part in (self.picture, *self.right, *self.left):
            if part.isVisibleTo(self):
                part.show_view(view)
        title = f"{view.robot_name or view.address} · pynet" if view.address else "pynet"
        if title != self.windowTitle():
            self.setWindowTitle(title)

    def add_samples(self, samples: list[Sample]) -> None:
        """Points for the charts, as they came."""

    def set_known(self, robots: tuple[KnownRobot, ...]) -> None:
        """The robots that the connect sheet lists."""

    # Its look and layout.

    def _make_look(self, scale: float) -> Look:
        return Look(choose_palette(self.memory.theme, QApplication.palette()), self._type, scale)

    def relayout(self) -> None:
        """Place everything anew: another size, theme, zoom or layout."""
        zoom = self.memory.zoom / 100
        self.look = self._make_look(granted_scale(self.width(), self.height(), zoom))
        self.arrangement = plan = arrange(
            self.width(),
            self.height(),
            zoom=zoom,
            panel_height=self.memory.panel_height,
            shows_left=self.memory.shows_left,
            shows_panel=self.memory.shows_panel,
            is_full_picture=self._is_full_picture,
        )
        self.bar.arrange(self.look, plan)
        self.picture.set_look(self.look, is_compact=plan.is_compact)
        self.picture.show_rails(self._is_full_picture)
        place(self.picture, plan.picture, plan.scale)
        self.show_view(self.view)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.relayout()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.ActivationChange:
            self._on_focus()
        elif event.type() == QEvent.PaletteChange and self.memory.theme is ThemeChoice.SYSTEM:
            self.relayout()

    # Focus: who may drive.

    def _on_focus(self) -> None:
        if self.isActiveWindow() and self.focusWidget() is None:
            self.picture.setFocus(Qt.ActiveWindowFocusReason)
        focus = self._focus_now()
        if focus is not Focus.DRIVE:
            self._down.clear()
        self.update()
        if focus is not self.focus:
            self.focus = focus
            self.focus_changed.emit(focus)

    def _focus_now(self) -> Focus:
        if not self.isActiveWindow() or self._is_typing():
            return Focus.AWAY
        return Focus.DRIVE if self.focusWidget() is self.picture else Focus.ELSEWHERE

    def _is_typing(self) -> bool:
        return isinstance(self.focusWidget(), (QLineEdit, QPlainTextEdit))

    # Keys.

    def eventFilter(self, target: QObject, event: QEvent) -> bool:
        """Sees every key of this window first: the E-STOP works whatever has the focus."""
        if (
            isinstance(event, QKeyEvent)
            and isinstance(target, QWidget)
            and target.window() is self
            and event.type() in (QEvent.KeyPress, QEvent.KeyRelease)
        ):
            return self._take_key(event)
        return False

    def _take_key(self, event: QKeyEvent) -> bool:
        """Act on it; False leaves it to the widget that has the focus."""
        key = event.key()
        if event.type() == QEvent.KeyRelease:
            return self._take_release(key, event.isAutoRepeat())
        deed = deed_of(key, event.modifiers(), is_typing=self._is_typing())
        if deed is Deed.ARM and self.focus is not Focus.DRIVE:
            return False  # Enter presses the button that has the focus
        if deed is not None:
            if not event.isAutoRepeat():
                self._do(deed)
            return True
        if self.focus is not Focus.DRIVE or key in (Qt.Key_Tab, Qt.Key_Backtab):
            return False
        if not event.isAutoRepeat() and key not in self._down:
            self._down.add(key)
            self.key_pressed.emit(key)
        return True

    def _take_release(self, key: int, is_repeat: bool) -> bool:
        if is_repeat:
            return key in self._down
        if key == Qt.Key_R:
            self.bar.banner.button.end_hold()
        if key not in self._down:
            return False
        self._down.discard(key)
        self.key_released.emit(key)
        return True

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
            case _:
                pass

    def _do_action(self, action: enum.Enum) -> None:
        """The banner's button."""
        match action:
            case Action.ARM:
                self.arm_asked.emit()
            case Action.DISARM:
                self.disarm_asked.emit()
            case Action.RESET:
                self.reset_asked.emit()
            case Action.TAKE:
                self._take()
            case Action.WHY:
                self._do(Deed.LOG)
            case Action.CONNECT:
                self._do(Deed.ROBOTS)

    def _take(self) -> None:
        self.take_asked.emit()

    def _disarm_or_close(self) -> None:
        if self.view.has_lease and self.view.state in (State.ARMING, State.ARMED, State.FAILSAFE):
            self.disarm_asked.emit()
        elif self._is_full_picture:
            self._do(Deed.FULL_PICTURE)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.picture.setFocus(Qt.MouseFocusReason)

    # The end.

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask to be closed: whoever drives the link disarms first, then calls `let_close`."""
        if self._may_close or not self.receivers(self.close_asked):
            app = QApplication.instance()
            if app is not None:
                app.removeEventFilter(self)
            event.accept()
        else:
            event.ignore()
            self.close_asked.emit()

    def let_close(self) -> None:
        """Nothing turns any more: go."""
        self._may_close = True
        self.close()
