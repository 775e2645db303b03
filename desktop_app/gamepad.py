"""Gamepads through SDL's GameController API: hot plug, polled from the GUI's timer.

No SDL, or one that does not start, is no gamepad, and `trouble` says so.  A
joystick that SDL has no mapping for is told of once; `set_mapping` can make
a gamepad of it.
"""

from __future__ import annotations

import ctypes
import enum
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from desktop_app.pad_mapping import USUAL, Role, input_of, sensible, value
from desktop_app.sdl_pads import OpenPad, OpenStick, missing, sdl2, sdl_error
from desktop_app.settings import PadMapping
from desktop_app.teleop import STUCK_NS
from desktop_app.view import PadInputs

_log = logging.getLogger(__name__)


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
        self._pads: dict[int, OpenPad] = {}  # by SDL's instance id, in the order they came
        self._sticks: dict[int, OpenStick] = {}  # joysticks without a mapping
        self._polled_ns: int | None = None
        self._pressed: list[PadButton] = []
        self._news: list[str] = []
        self._told: set[str] = set()  # GUIDs
        self._anew: set[str] = set()  # whose line is void: SDL cannot forget it
        self.trouble = missing and f"No gamepads: {missing}"
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
        return next((_read(pad.inputs()) for pad in self._pads.values()), None)

    def inputs(self) -> tuple[PadInputs, ...]:
        """Every one there is as it stands now: the pad in use first, joysticks without a mapping last."""
        if self.trouble:
            return ()
        return tuple(each.inputs() for each in self._all())

    def take_pressed(self) -> list[PadButton]:
        """Buttons that went down since the last call."""
        pressed, self._pressed = self._pressed, []
        return pressed

    def take_news(self) -> list[str]:
        """What to tell the person, since the last call: each thing once a run."""
        news, self._news = self._news, []
        return news

    def set_mapping(self, guid: str, mapping: PadMapping) -> None:
        """From now on; also for a pad that is plugged in already.

        One without SDL's line makes a joystick again of what was a gamepad by
        such a line only.

        Raises:
            ValueError: SDL takes its line for nothing; in words for the person.
        """
        if mapping.sdl and self.is_running and sdl2.SDL_GameControllerAddMapping(mapping.sdl.encode()) < 0:
            raise ValueError(f"SDL does not take this mapping: {sdl_error()}.")
        if mapping.sdl:
            self._anew.discard(guid)
        elif self._mappings.get(guid, USUAL).sdl:
            self._anew.add(guid)
        self._mappings[guid] = mapping
        for each in [each for each in self._all() if each.guid == guid]:
            if isinstance(each, OpenPad) and guid not in self._anew:
                self._map(each)
            elif isinstance(each, OpenPad) or mapping.sdl:
                self._open_anew(each)

    def _open_anew(self, each: OpenPad | OpenStick) -> None:
        """As what it has become: gamepad or joystick."""
        each.close()
        self._pads.pop(each.instance, None)
        self._sticks.pop(each.instance, None)
        (self._open_stick if each.guid in self._anew else self._open)(_index_of(each.instance))

    def close(self) -> None:
        """Give every pad back; idempotent."""
        for each in self._all():
            each.close()
        self._pads.clear()
        self._sticks.clear()
        if not self.trouble:
            self.trouble = "closed"
            sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_GAMECONTROLLER)

    def _all(self) -> list[OpenPad | OpenStick]:
        return [*self._pads.values(), *self._sticks.values()]

    def _start(self) -> None:
        sdl2.SDL_SetHint(sdl2.SDL_HINT_JOYSTICK_ALLOW_BACKGROUND_EVENTS, b"1")  # no SDL window has the focus
        sdl2.SDL_SetHint(sdl2.SDL_HINT_NO_SIGNAL_HANDLERS, b"1")  # Ctrl-C is ours
        if sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_GAMECONTROLLER) != 0:
            self.trouble = f"No gamepads: {sdl_error()}"
            return
        for guid, mapping in self._mappings.items():
            if mapping.sdl and sdl2.SDL_GameControllerAddMapping(mapping.sdl.encode()) < 0:
                _log.warning("mapping of gamepad %s: %s", guid, sdl_error())

    def _take_events(self, is_late: bool) -> None:
        event = sdl2.SDL_Event()
        while sdl2.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl2.SDL_CONTROLLERDEVICEADDED:
                self._open(event.cdevice.which)
            elif event.type == sdl2.SDL_JOYDEVICEADDED:
                if not sdl2.SDL_IsGameController(event.jdevice.which):
                    self._open_stick(event.jdevice.which)
            elif event.type in (sdl2.SDL_CONTROLLERDEVICEREMOVED, sdl2.SDL_JOYDEVICEREMOVED):
                gone = self._pads.pop(event.jdevice.which, None) or self._sticks.pop(
                    event.jdevice.which, None
                )
                if gone is not None:
                    _log.info("gamepad gone: %s", gone.name)
                    gone.close()
            elif event.type == sdl2.SDL_CONTROLLERBUTTONDOWN:
                pad = self._pads.get(event.cbutton.which)
                button = _meaning(pad.mapping, pad.button_name(event.cbutton.button)) if pad else None
                # A press that waited while the window was stuck stops the car, but does not start it.
                if button is PadButton.E_STOP or (button is not None and not is_late):
                    self._pressed.append(button)

    def _open(self, index: int) -> None:
        controller = sdl2.SDL_GameControllerOpen(index)
        if not controller:
            _log.warning("gamepad %d cannot be opened: %s", index, sdl_error())
            return
        pad = OpenPad(controller)
        if pad.guid in self._anew:
            pad.close()
            self._open_stick(index)
            return
        if pad.instance in self._pads:
            pad.close()  # told twice: SDL counts how often it was opened
            return
        self._pads[pad.instance] = pad
        self._map(pad)
        _log.info("gamepad: %s, GUID %s", pad.name, pad.guid)

    def _map(self, pad: OpenPad) -> None:
        pad.mapping = sensible(self._mappings.get(pad.guid, USUAL), pad.inputs())
        if pad.mapping.e_stop not in dict(pad.inputs().buttons):
            self._tell(pad.guid, f"{pad.name} has no button for the E-STOP.")

    def _open_stick(self, index: int) -> None:
        joystick = sdl2.SDL_JoystickOpen(index)
        if not joystick:
            _log.warning("joystick %d cannot be opened: %s", index, sdl_error())
            return
        stick = OpenStick(joystick)
        if stick.instance in self._sticks:
            stick.close()
            return
        self._sticks[stick.instance] = stick
        _log.info("joystick without a mapping: %s, GUID %s", stick.name, stick.guid)
        self._tell(stick.guid, f"{stick.name} has no mapping.")

    def _tell(self, guid: str, words: str) -> None:
        if guid not in self._told:
            self._told.add(guid)
            self._news.append(words)


def _read(now: PadInputs) -> Pad:
    mapping = now.mapping or USUAL
    at = {role: value(role, input_of(mapping, role), now) for role in Role}
    return Pad(
        name=now.name,
        forward=at[Role.FORWARD],
        back=at[Role.BACK],
        steering=at[Role.STEER],
        is_held=at[Role.HOLD] > 0.0,
    )


def _meaning(mapping: PadMapping, button: str) -> PadButton | None:
    # The E-STOP is looked up first: no mapping can take its button away.
    if button == mapping.e_stop:
        return PadButton.E_STOP
    return PadButton.ARM if button == mapping.arm else None


def _index_of(instance: int) -> int:
    joysticks = range(sdl2.SDL_NumJoysticks())
    return next((i for i in joysticks if sdl2.SDL_JoystickGetDeviceInstanceID(i) == instance), -1)
