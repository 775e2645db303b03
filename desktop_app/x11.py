"""Two things that Qt tells too late or wrongly on X11, and that a car would act on.

The focus: Qt waits 100 ms before it says that a window is no longer active, in
case the focus comes right back.  Another program may have had the keyboard to
itself meanwhile (a hotkey, Alt+Tab), and got the release of a key.  Repeats: a held key comes as release and
press, again and again, and Qt marks them as repeats only when both are in its
queue already (measured in Xvfb: most are not), so a held key looks let go.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
from collections.abc import Callable
from typing import Any, Final

from PyQt5.QtCore import QAbstractNativeEventFilter, QCoreApplication, QEvent, QObject
from PyQt5.QtGui import QKeyEvent, QWindow

_log = logging.getLogger(__name__)

_EVENT: Final = b"xcb_generic_event_t"
_FOCUS_IN: Final = 9
_FOCUS_OUT: Final = 10
_SENT: Final = 0x80  # this bit says that another program made the event up
_INSIDE: Final = (2, 5)  # NotifyInferior, NotifyPointer: it stays within the window


class _FocusEvent(ctypes.Structure):
    """xcb_focus_in_event_t, which is xcb_focus_out_event_t."""

    _fields_ = (
        ("response_type", ctypes.c_uint8),
        ("detail", ctypes.c_uint8),
        ("sequence", ctypes.c_uint16),
        ("window", ctypes.c_uint32),
    )


class FocusWatch(QAbstractNativeEventFilter):
    """Install it on the QApplication; on other platforms it never sees an event.

    `on_focus(window id, has it)` is called in the GUI thread, before Qt has
    seen the event.
    """

    def __init__(self, on_focus: Callable[[int, bool], None]) -> None:
        super().__init__()
        self._on_focus = on_focus

    def nativeEventFilter(self, kind: Any, message: Any) -> tuple[bool, int]:
        if kind == _EVENT:
            event = _FocusEvent.from_address(int(message))
            number = event.response_type & ~_SENT
            if number in (_FOCUS_IN, _FOCUS_OUT) and event.detail not in _INSIDE:
                self._on_focus(event.window, number == _FOCUS_IN)
        return False, 0


class RepeatMender(QObject):
    """An event filter for the QApplication that marks the repeats Qt has missed.

    `is_down(X keycode)` says how the key really is now.
    """

    def __init__(self, is_down: Callable[[int], bool]) -> None:
        super().__init__()
        self._is_down = is_down
        self._released: dict[int, int] = {}  # keycode -> the X server's time of its newest release, ms

    def eventFilter(self, target: QObject, event: QEvent) -> bool:
        """Every key event comes by here once on its way to the window, before any widget has it."""
        if (
            event.type() in (QEvent.KeyPress, QEvent.KeyRelease)
            and isinstance(target, QWindow)
            and isinstance(event, QKeyEvent)
            and not event.isAutoRepeat()
            and self._is_repeat(event)
        ):
            mended = QKeyEvent(
                event.type(),
                event.key(),
                event.modifiers(),
                event.nativeScanCode(),
                event.nativeVirtualKey(),
                event.nativeModifiers(),
                event.text(),
                True,  # a repeat
                event.count(),
            )
            QCoreApplication.sendEvent(target, mended)
            return True
        return False

    def _is_repeat(self, event: QKeyEvent) -> bool:
        code, at_ms = event.nativeScanCode(), event.timestamp()
        if event.type() == QEvent.KeyRelease:
            self._released[code] = at_ms
            return self._is_down(code)
        # The server gives the release and the press of a repeat one and the same time; fingers cannot.
        return self._released.get(code) == at_ms


class KeyState:
    """How the keys of the X server really are; a connection of its own.  GUI thread."""

    def __init__(self) -> None:
        self._x11: Any = None
        self._display: ctypes.c_void_p | None = None
        self._keys = ctypes.create_string_buffer(32)
        try:
            self._x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
        except OSError as exc:
            _log.warning("repeats of keys are not told apart: %s", exc)
            return
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        opened = self._x11.XOpenDisplay(None)
        self._display = ctypes.c_void_p(opened) if opened else None

    def is_down(self, keycode: int) -> bool:
        """One round trip to the server, 0.1 ms on this computer; False where there is none."""
        if self._display is None or not 0 <= keycode < 256:
            return False
        self._x11.XQueryKeymap(self._display, self._keys)
        return bool(self._keys.raw[keycode // 8] >> (keycode % 8) & 1)

    def close(self) -> None:
        if self._display is not None:
            self._x11.XCloseDisplay(self._display)
            self._display = None
