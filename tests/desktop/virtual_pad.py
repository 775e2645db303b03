"""Gamepad and joystick without hardware: SDL's own virtual ones, which come through its real API."""

from __future__ import annotations

import sdl2


class VirtualPad:
    """Plugged in when made; SDL must have been started in this process."""

    def __init__(self) -> None:
        index = sdl2.SDL_JoystickAttachVirtual(
            sdl2.SDL_JOYSTICK_TYPE_GAMECONTROLLER,
            sdl2.SDL_CONTROLLER_AXIS_MAX,
            sdl2.SDL_CONTROLLER_BUTTON_MAX,
            0,
        )
        assert index >= 0, sdl2.SDL_GetError()
        self._joystick = sdl2.SDL_JoystickOpen(index)
        self._instance = sdl2.SDL_JoystickInstanceID(self._joystick)
        # A virtual trigger rests in the middle of its range; a real one at its lower end.
        self.trigger("lefttrigger", 0.0)
        self.trigger("righttrigger", 0.0)

    def axis(self, name: str, value: float) -> None:
        """A stick's axis in [-1, 1]; + is right and down."""
        number = sdl2.SDL_GameControllerGetAxisFromString(name.encode())
        sdl2.SDL_JoystickSetVirtualAxis(self._joystick, number, round(value * 32767))

    def trigger(self, name: str, value: float) -> None:
        """In [0, 1]."""
        self.axis(name, 2 * value - 1)

    def button(self, name: str, is_down: bool) -> None:
        number = sdl2.SDL_GameControllerGetButtonFromString(name.encode())
        sdl2.SDL_JoystickSetVirtualButton(self._joystick, number, int(is_down))

    def unplug(self) -> None:
        _detach(self._instance)


class VirtualStick:
    """A joystick that SDL has no mapping for: four axes, six buttons and a hat, all with numbers."""

    def __init__(self, axes: int = 4, buttons: int = 6) -> None:
        index = sdl2.SDL_JoystickAttachVirtual(sdl2.SDL_JOYSTICK_TYPE_FLIGHT_STICK, axes, buttons, 1)
        assert index >= 0, sdl2.SDL_GetError()
        self._joystick = sdl2.SDL_JoystickOpen(index)
        self._instance = sdl2.SDL_JoystickInstanceID(self._joystick)

    def axis(self, number: int, value: float) -> None:
        sdl2.SDL_JoystickSetVirtualAxis(self._joystick, number, round(value * 32767))

    def button(self, number: int, is_down: bool) -> None:
        sdl2.SDL_JoystickSetVirtualButton(self._joystick, number, int(is_down))

    def hat(self, way: int) -> None:
        """1 up, 2 right, 4 down, 8 left, 0 in the middle."""
        sdl2.SDL_JoystickSetVirtualHat(self._joystick, 0, way)

    def unplug(self) -> None:
        _detach(self._instance)


def _detach(instance: int) -> None:
    for index in range(sdl2.SDL_NumJoysticks()):
        if sdl2.SDL_JoystickGetDeviceInstanceID(index) == instance:
            sdl2.SDL_JoystickDetachVirtual(index)
            return
