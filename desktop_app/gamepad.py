"""Gamepads through SDL's GameController API: hot plug, polled from the GUI's timer.

No SDL, or one that does not start, is no gamepad, and `trouble` says so.
"""

from __future__ import annotations

import ctypes
import enum
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from desktop_app.settings import PadMapping
from desktop_app.stick_feel import shape
from desktop_app.teleop import STUCK_NS

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which library it found
        import sdl2
    _missing = ""
except (ImportError, RuntimeError, OSError) as exc:  # PySDL2 raises what it likes when there is no libSDL2
    sdl2 = None
    _missing = str(exc)

_log = logging.getLogger(__name__)

FULL: Final = 32767
USUAL: Final = PadMapping()


class PadButton(enum.Enum):
    E_STOP = "e_stop"
    ARM = "arm"  # or disarm


@dataclass(frozen=True, slots=True)
class Pad:
    """Where the pad in use stands, after dead zone and curve."""

    name: str
    forward: float  # [0, 1]
    back: float  # [0, 1]
    steering: float  # [-1, 1], + left
    is_held: bool  # the hold-to-drive button


class Gamepads:
    """Every gamepad there is; the one plugged in first is used until it goes.  GUI thread."""

    def __init__(self, mappings: Mapping[str, PadMapping] | None = None) -> None:
        """`mappings`: what the person has set, by GUID."""
        self._mappings = dict(mappings or {})
        self._pads: dict[int, _OpenPad] = {}  # by SDL's instance id, in the order they came
        self._polled_ns: int | None = None
        self._pressed: list[PadButton] = []
        self.trouble = _missing and f"No gamepads: {_missing}"
        if not self.trouble:
            self._start()

    @property
    def is_running(self) -> bool:
        return not self.trouble

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(pad.name for pad in self._pads.values())

    def poll(self, now_ns: int) -> Pad | None:
        """Where the pad in use stands now; None when there is none, or in the poll that saw it go."""
        if self.trouble:
            return None
        is_late = self._polled_ns is not None and now_ns - self._polled_ns > STUCK_NS
        self._polled_ns = now_ns
        used = next(iter(self._pads), None)
        self._take_events(is_late)
        if used is not None and used not in self._pads:
            return None  # another one may be there, but whoever drove must see that theirs has gone
        return next((pad.read() for pad in self._pads.values()), None)

    def take_pressed(self) -> list[PadButton]:
        """Buttons that went down since the last call."""
        pressed, self._pressed = self._pressed, []
        return pressed

    def set_mapping(self, guid: str, mapping: PadMapping) -> None:
        """From now on; also for a pad that is plugged in already."""
        self._mappings[guid] = mapping
        for pad in self._pads.values():
            if pad.guid == guid:
                pad.map(mapping)

    def close(self) -> None:
        """Give every pad back; idempotent."""
        for pad in self._pads.values():
            pad.close()
        self._pads.clear()
        if not self.trouble:
            self.trouble = "closed"
            sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_GAMECONTROLLER)

    def _start(self) -> None:
        sdl2.SDL_SetHint(sdl2.SDL_HINT_JOYSTICK_ALLOW_BACKGROUND_EVENTS, b"1")  # no SDL window has the focus
        sdl2.SDL_SetHint(sdl2.SDL_HINT_NO_SIGNAL_HANDLERS, b"1")  # Ctrl-C is ours
        if sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_GAMECONTROLLER) != 0:
            self.trouble = f"No gamepads: {_sdl_error()}"
            return
        for guid, mapping in self._mappings.items():
            if mapping.sdl and sdl2.SDL_GameControllerAddMapping(mapping.sdl.encode()) < 0:
                _log.warning("mapping of gamepad %s: %s", guid, _sdl_error())

    def _take_events(self, is_late: bool) -> None:
        event = sdl2.SDL_Event()
        while sdl2.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl2.SDL_CONTROLLERDEVICEADDED:
                self._open(event.cdevice.which)
            elif event.type == sdl2.SDL_CONTROLLERDEVICEREMOVED:
                pad = self._pads.pop(event.cdevice.which, None)
                if pad is not None:
                    _log.info("gamepad gone: %s", pad.name)
                    pad.close()
            elif event.type == sdl2.SDL_CONTROLLERBUTTONDOWN:
                pad = self._pads.get(event.cbutton.which)
                button = pad.meaning(event.cbutton.button) if pad else None
                # A press that waited while the window was stuck stops the car, but does not start it.
                if button is PadButton.E_STOP or (button is not None and not is_late):
                    self._pressed.append(button)

    def _open(self, index: int) -> None:
        controller = sdl2.SDL_GameControllerOpen(index)
        if not controller:
            _log.warning("gamepad %d cannot be opened: %s", index, _sdl_error())
            return
        pad = _OpenPad(controller)
        pad.map(self._mappings.get(pad.guid, USUAL))
        if pad.instance in self._pads:
            pad.close()  # told twice: SDL counts how often it was opened
            return
        self._pads[pad.instance] = pad
        _log.info("gamepad: %s, GUID %s", pad.name, pad.guid)


class _OpenPad:
    """One open controller and what its axes and buttons mean."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller
        joystick = sdl2.SDL_GameControllerGetJoystick(controller)
        self.instance: int = sdl2.SDL_JoystickInstanceID(joystick)
        self.name = (sdl2.SDL_GameControllerName(controller) or b"gamepad").decode(errors="replace")
        buffer = ctypes.create_string_buffer(33)
        sdl2.SDL_JoystickGetGUIDString(sdl2.SDL_JoystickGetGUID(joystick), buffer, 33)
        self.guid = buffer.value.decode()
        self.map(USUAL)

    def map(self, mapping: PadMapping) -> None:
        self._mapping = mapping
        self._steer = _axis(mapping.steer, USUAL.steer)
        self._forward = _axis(mapping.forward, USUAL.forward)
        self._back = _axis(mapping.back, USUAL.back)
        self._hold = _button(mapping.hold, USUAL.hold)
        # The E-STOP is looked up first: no mapping can take its button away.
        self._meanings = {_button(mapping.arm, USUAL.arm): PadButton.ARM}
        self._meanings[_button(mapping.e_stop, USUAL.e_stop)] = PadButton.E_STOP

    def meaning(self, button: int) -> PadButton | None:
        return self._meanings.get(button)

    def read(self) -> Pad:
        steering = self._value(self._steer)
        return Pad(
            name=self.name,
            forward=max(0.0, self._value(self._forward)),
            back=max(0.0, self._value(self._back)),
            steering=steering if self._mapping.is_steering_turned else -steering,  # SDL: + is right
            is_held=bool(sdl2.SDL_GameControllerGetButton(self._controller, self._hold)),
        )

    def _value(self, axis: int) -> float:
        raw = sdl2.SDL_GameControllerGetAxis(self._controller, axis) / FULL
        return shape(max(-1.0, raw), dead_zone=self._mapping.dead_zone, curve=self._mapping.curve)

    def close(self) -> None:
        sdl2.SDL_GameControllerClose(self._controller)


def _axis(name: str, usual: str) -> int:
    axis: int = sdl2.SDL_GameControllerGetAxisFromString(name.encode())
    if axis == sdl2.SDL_CONTROLLER_AXIS_INVALID:
        axis = sdl2.SDL_GameControllerGetAxisFromString(usual.encode())
    return axis


def _button(name: str, usual: str) -> int:
    button: int = sdl2.SDL_GameControllerGetButtonFromString(name.encode())
    if button == sdl2.SDL_CONTROLLER_BUTTON_INVALID:
        button = sdl2.SDL_GameControllerGetButtonFromString(usual.encode())
    return button


def _sdl_error() -> str:
    return str(sdl2.SDL_GetError().decode(errors="replace"))
