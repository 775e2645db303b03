"""A real X server without a screen (Xvfb), and hands on its keyboard (XTest)."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any, Final

WIDTH_PX: Final = 1440
HEIGHT_PX: Final = 900

_REVERT_TO_PARENT: Final = 2
_Z_PIXMAP: Final = 2
_ASYNC: Final = 1


def missing() -> str:
    """What this machine lacks for it, '' if nothing."""
    lacks = [] if shutil.which("Xvfb") else ["Xvfb (Debian: xvfb)"]
    for name in ("X11", "Xtst"):
        if ctypes.util.find_library(name) is None:
            lacks.append(f"lib{name} (Debian: lib{name.lower()}-6)")
    return f"needs {', '.join(lacks)}" if lacks else ""


@contextlib.contextmanager
def x_server() -> Iterator[X]:
    """A server of its own, on a display nobody else has."""
    ours, theirs = os.pipe()
    command = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", f"{WIDTH_PX}x{HEIGHT_PX}x24", "-noreset"]
    with subprocess.Popen(
        command, pass_fds=[theirs], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        os.close(theirs)
        try:
            with os.fdopen(ours) as told:
                number = told.readline().strip()
            if not number:
                raise OSError(f"Xvfb ended with {server.wait()}")
            x = X(f":{number}")
            try:
                yield x
            finally:
                x.close()
        finally:
            server.terminate()


class X:
    """A connection to the server.  One thread."""

    def __init__(self, display: str) -> None:
        self.display = display
        self._x11 = _library("X11")
        self._xtst = _library("Xtst")
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XStringToKeysym.restype = ctypes.c_ulong
        self._x11.XDefaultRootWindow.restype = ctypes.c_ulong
        self._x11.XGetImage.restype = ctypes.POINTER(_Image)
        opened = self._x11.XOpenDisplay(display.encode())
        if not opened:
            raise OSError(f"no X server at {display}")
        self._connection: ctypes.c_void_p | None = ctypes.c_void_p(opened)

    def press(self, key: str) -> int:
        """A key goes down, by its X name ('Up', 'space'); returns the monotonic ns just before."""
        return self._fake(key, True)

    def release(self, key: str) -> int:
        return self._fake(key, False)

    def tap(self, key: str) -> int:
        before_ns = self.press(key)
        self.release(key)
        return before_ns

    def focus(self, window: int) -> int:
        """Give the keyboard to this window; 0 takes it from all of them."""
        before_ns = time.monotonic_ns()
        target = window or self._x11.XDefaultRootWindow(self._connection)
        self._x11.XSetInputFocus(self._connection, ctypes.c_ulong(target), _REVERT_TO_PARENT, 0)
        self._x11.XSync(self._connection, 0)
        return before_ns

    def take_keyboard(self) -> None:
        """What comes from it is ours alone until `give_keyboard`, as a program's with a hotkey."""
        root = ctypes.c_ulong(self._x11.XDefaultRootWindow(self._connection))
        assert self._x11.XGrabKeyboard(self._connection, root, 0, _ASYNC, _ASYNC, ctypes.c_ulong(0)) == 0
        self._x11.XSync(self._connection, 0)

    def give_keyboard(self) -> None:
        self._x11.XUngrabKeyboard(self._connection, ctypes.c_ulong(0))
        self._x11.XSync(self._connection, 0)

    def pixels(self, x: int, y: int, width: int, height: int) -> bytes:
        """What the screen really shows there: B, G, R, unused for each pixel, row by row."""
        root = ctypes.c_ulong(self._x11.XDefaultRootWindow(self._connection))
        image = self._x11.XGetImage(
            self._connection, root, x, y, width, height, ctypes.c_ulong(0xFFFFFF), _Z_PIXMAP
        )
        if not image:
            raise OSError(f"no picture of {width}x{height} at {x}, {y}")
        found = image.contents
        assert found.bits_per_pixel == 32
        rows = ctypes.string_at(found.data, found.bytes_per_line * height)
        self._x11.XDestroyImage(image)
        return b"".join(rows[row * found.bytes_per_line :][: 4 * width] for row in range(height))

    def close(self) -> None:
        if self._connection is not None:
            self._x11.XCloseDisplay(self._connection)
            self._connection = None

    def _fake(self, key: str, is_down: bool) -> int:
        code = self._x11.XKeysymToKeycode(
            self._connection, ctypes.c_ulong(self._x11.XStringToKeysym(key.encode()))
        )
        assert code, f"no key called {key!r}"
        before_ns = time.monotonic_ns()
        self._xtst.XTestFakeKeyEvent(self._connection, code, int(is_down), ctypes.c_ulong(0))
        self._x11.XSync(self._connection, 0)
        return before_ns


class _Image(ctypes.Structure):
    """The beginning of Xlib's XImage."""

    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("xoffset", ctypes.c_int),
        ("format", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("byte_order", ctypes.c_int),
        ("bitmap_unit", ctypes.c_int),
        ("bitmap_bit_order", ctypes.c_int),
        ("bitmap_pad", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bytes_per_line", ctypes.c_int),
        ("bits_per_pixel", ctypes.c_int),
    )


def _library(name: str) -> Any:
    path = ctypes.util.find_library(name)
    if path is None:
        raise OSError(f"no lib{name}")
    return ctypes.CDLL(path)
