"""Every key of one window, seen first: the E-STOP works whatever has the focus, and no repeat counts."""

from __future__ import annotations

from PyQt5 import sip
from PyQt5.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent
from PyQt5.QtWidgets import QApplication, QLineEdit, QPlainTextEdit, QWidget

from desktop_app.keys import ALSO_COVERED, NAVIGATES, USUAL_KEYS, Deed
from desktop_app.sheet import Sheets
from desktop_app.view import Focus


class Keyboard(QObject):
    """Filters the application's events for one window, and knows whether that window may drive."""

    asked = pyqtSignal(object)  # Deed
    let_go = pyqtSignal(object)  # Deed: its key is up again
    pressed = pyqtSignal(int)  # a key that is no deed, while the window may drive
    held_over = pyqtSignal(int)  # the same, but it was down before the window might drive
    released = pyqtSignal(int)
    focus_changed = pyqtSignal(object)  # Focus

    def __init__(self, window: QWidget, driving: tuple[QWidget, ...], sheets: Sheets) -> None:
        """`driving` are the widgets whose focus lets keys drive.

        An open sheet is asked first about each press: one that waited for it
        has it alone.  The E-STOP's keys stop all the same.
        """
        super().__init__(window)
        self._window = window
        self._driving = driving
        self._sheets = sheets
        self.keys = USUAL_KEYS
        self._keys: set[int] = set()  # down now, and told of
        self._deeds: dict[int, Deed] = {}
        self._is_stopped = False
        self.focus = Focus.AWAY
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        self._app = app
        app.installEventFilter(self)
        app.focusChanged.connect(self.look_at_focus)
        sheets.opened.connect(self.look_at_focus)  # whatever has the focus now
        sheets.closed.connect(self.look_at_focus)

    def stop(self) -> None:
        """The window goes.  Idempotent."""
        if not self._is_stopped:
            self._is_stopped = True
            self._app.removeEventFilter(self)
            self._app.focusChanged.disconnect(self.look_at_focus)

    # Focus.

    def look_at_focus(self) -> None:
        """Who has the focus now?  Keys that are down count as up when driving is over."""
        if sip.isdeleted(self._window):  # Qt moves the focus once more while it tears the window down
            return
        if self._window.isActiveWindow() and self._window.focusWidget() is None:
            self._driving[0].setFocus(Qt.ActiveWindowFocusReason)
        focus = self._focus_now()
        if focus is not Focus.DRIVE:
            self.forget_keys()
        if focus is not self.focus:
            self.focus = focus
            self.focus_changed.emit(focus)

    def forget_keys(self) -> None:
        """Whatever is down counts as up: its release may go to somebody else."""
        self._keys.clear()
        for deed in self._deeds.values():
            self.let_go.emit(deed)
        self._deeds.clear()

    def _focus_now(self) -> Focus:
        if not self._window.isActiveWindow() or self._sheets.is_open or self._is_typing():
            return Focus.AWAY
        return Focus.DRIVE if self._window.focusWidget() in self._driving else Focus.ELSEWHERE

    def _is_typing(self) -> bool:
        widget = self._window.focusWidget()
        return isinstance(widget, (QLineEdit, QPlainTextEdit)) and not widget.isReadOnly()

    # Keys.

    def eventFilter(self, target: QObject, event: QEvent) -> bool:
        """True: it was for us, and no widget sees it."""
        if (
            not isinstance(event, QKeyEvent)
            or sip.isdeleted(self._window)
            or event.type() not in (QEvent.KeyPress, QEvent.KeyRelease)
            or not isinstance(target, QWidget)
        ):
            return False
        if target.window() is not self._window:
            return self._is_of_ours(target.window()) and self._press_in_menu(event)
        if event.type() == QEvent.KeyPress:
            return self._press(event)
        return self._release(event)

    def _is_of_ours(self, other: QWidget) -> bool:
        """A menu that a field of this window has opened."""
        owner = other.parentWidget()
        return owner is not None and owner.window() is self._window

    def _press_in_menu(self, event: QKeyEvent) -> bool:
        """It has its keys to itself, all but the E-STOP's."""
        deed = self.keys.deed(event.key(), event.modifiers(), is_typing=self._is_typing())
        is_stop = deed is Deed.E_STOP and event.type() == QEvent.KeyPress
        if is_stop and not event.isAutoRepeat():
            self.asked.emit(deed)
        return is_stop

    def _press(self, event: QKeyEvent) -> bool:
        key = event.key()
        deed = self.keys.deed(key, event.modifiers(), is_typing=self._is_typing())
        is_heard = not event.isAutoRepeat() and self._sheets.take_key(key, event.modifiers())
        if is_heard and deed is not Deed.E_STOP:
            return True
        if deed is not None and self._sheets.is_open and deed not in ALSO_COVERED:
            deed = None
        if deed is not None and self.focus is not Focus.DRIVE and (deed is Deed.ARM or _navigates(key)):
            return False  # Enter presses the button that has the focus
        if deed is not None:
            if not event.isAutoRepeat():
                self._deeds[key] = deed
                self.asked.emit(deed)
            return True
        if self.focus is not Focus.DRIVE or key in (Qt.Key_Tab, Qt.Key_Backtab):
            return False
        if key in self._keys and not event.isAutoRepeat():  # it was up meanwhile, and nobody told
            self._keys.discard(key)
            self.released.emit(key)
        if key not in self._keys:
            self._keys.add(key)
            (self.held_over if event.isAutoRepeat() else self.pressed).emit(key)
        return True

    def _release(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key not in self._keys and key not in self._deeds:
            return False
        if event.isAutoRepeat():  # X sends a release before each repeat
            return True
        if key in self._deeds:
            self.let_go.emit(self._deeds.pop(key))
        else:
            self._keys.discard(key)
            self.released.emit(key)
        return True


def _navigates(key: int) -> bool:
    return key in NAVIGATES or key == Qt.Key_Enter
