"""One gamepad, or one joystick without SDL's mapping, as SDL has it open: where its inputs stand.

SDL is imported here; without it `sdl2` is None and `missing` says why.
"""

from __future__ import annotations

import ctypes
import importlib
import warnings
from typing import Any, Final

from desktop_app.settings import PadMapping
from desktop_app.view import PadInputs

sdl2: Any = None
missing = ""
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which library it found
        sdl2 = importlib.import_module("sdl2")
except (ImportError, RuntimeError, OSError) as exc:  # PySDL2 raises what it likes when there is no libSDL2
    missing = str(exc)

FULL: Final = 32767
_HAT_WAYS: Final = (1, 2, 4, 8)  # up, right, down, left


class OpenPad:
    """A gamepad through the GameController API."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller
        joystick = sdl2.SDL_GameControllerGetJoystick(controller)
        self.instance: int = sdl2.SDL_JoystickInstanceID(joystick)
        self.name = _text(sdl2.SDL_GameControllerName(controller)) or "gamepad"
        self.guid = _guid(joystick)
        self.mapping = PadMapping()
        self._axes = [
            (_text(sdl2.SDL_GameControllerGetStringForAxis(axis)), axis)
            for axis in range(sdl2.SDL_CONTROLLER_AXIS_MAX)
            if sdl2.SDL_GameControllerHasAxis(controller, axis)
        ]
        self._buttons = [
            (_text(sdl2.SDL_GameControllerGetStringForButton(button)), button)
            for button in range(sdl2.SDL_CONTROLLER_BUTTON_MAX)
            if sdl2.SDL_GameControllerHasButton(controller, button)
        ]

    def inputs(self) -> PadInputs:
        controller = self._controller
        return PadInputs(
            guid=self.guid,
            name=self.name,
            mapping=self.mapping,
            axes=tuple(
                (name, _share(sdl2.SDL_GameControllerGetAxis(controller, axis))) for name, axis in self._axes
            ),
            buttons=tuple(
                (name, bool(sdl2.SDL_GameControllerGetButton(controller, button)))
                for name, button in self._buttons
            ),
        )

    def button_name(self, button: int) -> str:
        """SDL's name of a button of an event."""
        return next((name for name, number in self._buttons if number == button), "")

    def close(self) -> None:
        sdl2.SDL_GameControllerClose(self._controller)


class OpenStick:
    """A joystick whose inputs have numbers only."""

    def __init__(self, joystick: Any) -> None:
        self._joystick = joystick
        self.instance: int = sdl2.SDL_JoystickInstanceID(joystick)
        self.name = _text(sdl2.SDL_JoystickName(joystick)) or "joystick"
        self.guid = _guid(joystick)

    def inputs(self) -> PadInputs:
        joystick = self._joystick
        buttons = [
            (f"b{i}", bool(sdl2.SDL_JoystickGetButton(joystick, i)))
            for i in range(sdl2.SDL_JoystickNumButtons(joystick))
        ]
        for i in range(sdl2.SDL_JoystickNumHats(joystick)):
            hat = sdl2.SDL_JoystickGetHat(joystick, i)
            buttons += [(f"h{i}.{way}", bool(hat & way)) for way in _HAT_WAYS]
        return PadInputs(
            guid=self.guid,
            name=self.name,
            mapping=None,
            axes=tuple(
                (f"a{i}", _share(sdl2.SDL_JoystickGetAxis(joystick, i)))
                for i in range(sdl2.SDL_JoystickNumAxes(joystick))
            ),
            buttons=tuple(buttons),
        )

    def close(self) -> None:
        sdl2.SDL_JoystickClose(self._joystick)


def sdl_error() -> str:
    return _text(sdl2.SDL_GetError())


def _guid(joystick: Any) -> str:
    buffer = ctypes.create_string_buffer(33)
    sdl2.SDL_JoystickGetGUIDString(sdl2.SDL_JoystickGetGUID(joystick), buffer, 33)
    return buffer.value.decode()


def _share(raw: int) -> float:
    return max(-1.0, raw / FULL)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")
