"""What each input of a gamepad is for: names, which may not meet, hearing which one was moved.  Pure.

Inputs are called as SDL calls them: `leftx`, `-righty` (its upper half), `b`;
on a joystick that SDL has no mapping for by their numbers: `a0`, `b3`, `h0.1`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from desktop_app.settings import PadMapping
from desktop_app.stick_feel import shape
from desktop_app.view import PadInputs

MOVED: Final = 0.5  # of an axis's reach: so far it was meant
SDL_NAME_LENGTH: Final = 60


class Role(enum.Enum):
    """What a pad is asked for; the text is the mapping's field."""

    STEER = "steer"
    FORWARD = "forward"
    BACK = "back"
    HOLD = "hold"
    E_STOP = "e_stop"
    ARM = "arm"

    @property
    def is_axis(self) -> bool:
        return self in (Role.STEER, Role.FORWARD, Role.BACK)


TITLES: Final = {
    Role.STEER: "Steering",
    Role.FORWARD: "Forward",
    Role.BACK: "Brake, then back",
    Role.HOLD: "Hold to drive",
    Role.E_STOP: "E-STOP",
    Role.ARM: "Arm, disarm",
}
ASKS: Final = {
    Role.STEER: "Push the stick that steers all the way to the left.",
    Role.FORWARD: "Pull the trigger, or push the stick, that drives forward.",
    Role.BACK: "Pull the trigger, or push the stick, that brakes and drives back.",
    Role.HOLD: "Press the button to hold while driving.",
    Role.E_STOP: "Press the button for the E-STOP.",
    Role.ARM: "Press the button that arms and disarms.",
}
USUAL: Final = PadMapping()
_CAPS: Final = {
    "leftshoulder": "LB", "rightshoulder": "RB", "lefttrigger": "LT", "righttrigger": "RT", "a": "A",
    "b": "B", "x": "X", "y": "Y", "back": "Back", "guide": "Guide", "start": "Start", "leftstick": "L3",
    "rightstick": "R3", "dpup": "D-pad up", "dpdown": "D-pad down", "dpleft": "D-pad left",
    "dpright": "D-pad right", "misc1": "Share", "touchpad": "Touchpad",
}  # fmt: skip
_STICKS: Final = {
    "leftx": "Left stick",
    "lefty": "Left stick",
    "rightx": "Right stick",
    "righty": "Right stick",
}
_WAYS: Final = {"x": ("left", "right"), "y": ("up", "down")}
_HATS: Final = {"1": "up", "2": "right", "4": "down", "8": "left"}


def input_of(mapping: PadMapping, role: Role) -> str:
    """The input that has this role."""
    return str(getattr(mapping, role.value))


def words(role: Role, name: str) -> str:
    """What to call the input for a person; short enough for a key cap where it is a button."""
    bare = name.lstrip("+-").rstrip("~")
    if bare in _CAPS:
        return _CAPS[bare]
    if bare in _STICKS:
        stick = _STICKS[bare]
        if role is Role.STEER:
            return stick if bare.endswith("x") else f"{stick}, up and down"
        return f"{stick} {_WAYS[bare[-1]][0 if name.startswith('-') else 1]}"
    kind, number = bare[:1], bare[1:]
    if kind in "ab" and number.isdigit():
        return f"{'Axis' if kind == 'a' else 'Button'} {int(number) + 1}"
    if kind == "h":
        return f"Hat {_HATS.get(number.partition('.')[2], '')}".strip()
    return bare.capitalize()


def listed(mapping: PadMapping) -> tuple[tuple[str, str], ...]:
    """For help: the input's name and what it does."""
    order = (Role.HOLD, Role.STEER, Role.FORWARD, Role.BACK, Role.E_STOP, Role.ARM)
    return tuple((words(role, input_of(mapping, role)), TITLES[role]) for role in order)


def why_not(inputs: Mapping[Role, str], role: Role, name: str) -> str:
    """Why this role may not have this input beside the others; '' if it may."""
    for other, taken in inputs.items():
        if other is role or not _meet(role, name, other, taken):
            continue
        if other is Role.E_STOP:
            return f"{words(role, name)} is the E-STOP. Give the E-STOP another button first."
        return f"{words(role, name)} is taken: {TITLES[other]}. Give that another one first."
    return ""


def assign(mapping: PadMapping, role: Role, name: str) -> PadMapping:
    """The mapping with this input in this role; of a stick that steers, `name` is its left half.

    Raises:
        ValueError: It has another role; in words for the person.
    """
    why = why_not({role: input_of(mapping, role) for role in Role}, role, name)
    if why:
        raise ValueError(why)
    if role is Role.STEER:
        turned = not name.startswith("-")  # SDL: + is right
        return msgspec.structs.replace(mapping, steer=name.lstrip("-"), is_steering_turned=turned)
    return msgspec.structs.replace(mapping, **{role.value: name})


def sensible(mapping: PadMapping, pad: PadInputs) -> PadMapping:
    """The mapping with the usual input for each role whose own the pad does not have."""
    known = {name for name, _ in (*pad.axes, *pad.buttons)}
    lost = [role for role in Role if input_of(mapping, role).removeprefix("-") not in known]
    return msgspec.structs.replace(mapping, **{role.value: input_of(USUAL, role) for role in lost})


def moved(role: Role, before: PadInputs, now: PadInputs) -> str:
    """The input that the person has moved since `before`, as this role would have it; '' for none."""
    if before.guid != now.guid or (before.mapping is None) is not (now.mapping is None):
        return ""
    if not role.is_axis:
        was = dict(before.buttons)
        return next((name for name, is_down in now.buttons if is_down and not was.get(name, True)), "")
    rest = dict(before.axes)
    by = {name: value - rest[name] for name, value in now.axes if name in rest}
    name = max(by, key=lambda name: abs(by[name]), default="")
    if not name or abs(by[name]) < MOVED:
        return ""
    is_down = by[name] < 0.0
    if now.mapping is not None:
        return f"-{name}" if is_down else name
    if role is Role.STEER:
        return name if is_down else f"{name}~"  # its left end must be the lower one
    if abs(rest[name]) >= MOVED:  # a trigger, which rests at one end
        return f"{name}~" if is_down else name
    return f"-{name}" if is_down else f"+{name}"


def value(role: Role, name: str, now: PadInputs) -> float:
    """What this input asks now, as it will be driven with: [-1, 1] of the steering, + left; else [0, 1]."""
    mapping = now.mapping or USUAL
    if not role.is_axis:
        return float(dict(now.buttons).get(name, False))
    raw = dict(now.axes).get(name.lstrip("+-").rstrip("~"), 0.0)
    raw = -raw if name.startswith("-") or name.endswith("~") else raw
    if role is Role.STEER:
        raw = raw if mapping.is_steering_turned and now.mapping else -raw
    elif now.mapping is None and name[0] not in "+-":
        raw = (raw + 1.0) / 2.0  # the whole way of a trigger
    shaped = shape(max(-1.0, min(1.0, raw)), dead_zone=mapping.dead_zone, curve=mapping.curve)
    return shaped if role is Role.STEER else max(0.0, shaped)


def sdl_line(now: PadInputs, inputs: Mapping[Role, str]) -> str:
    """SDL's mapping of this joystick: each role's input under the name that it usually has."""
    name = " ".join(now.name.replace(",", " ").split())[:SDL_NAME_LENGTH] or "joystick"
    return ",".join([now.guid, name, *(f"{input_of(USUAL, role)}:{inputs[role]}" for role in Role)]) + ","


def lacks(now: PadInputs) -> str:
    """What a joystick would need to drive with, if it has too little; ''."""
    axes, buttons = len(now.axes), len(now.buttons)
    if axes >= 2 and buttons >= 3:
        return ""
    return f"It has {axes} axes and {buttons} buttons. Driving takes 2 axes and 3 buttons at least."


def _meet(role: Role, name: str, other: Role, taken: str) -> bool:
    """Whether the two would be moved together; the two halves of a stick are two inputs."""
    if role.is_axis is not other.is_axis or not taken:
        return False
    bare, bare_taken = name.lstrip("+-").rstrip("~"), taken.lstrip("+-").rstrip("~")
    if bare != bare_taken or not role.is_axis:
        return bare == bare_taken
    both = (name, taken)
    if Role.STEER in (role, other) or bare.endswith("trigger"):
        return True
    if bare not in _STICKS and any(half[0] not in "+-" for half in both):
        return True  # the whole of a numbered axis
    return name.startswith("-") is taken.startswith("-")
