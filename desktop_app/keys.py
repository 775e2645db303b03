"""Which key asks for what: the usual keys, the person's own, and what no key may be taken for.  Pure.

A chord is Qt's number of a key plus that of Ctrl if it is held.  Shift is not
looked at: on some keyboards a bracket needs it.  The E-STOP's keys are fixed.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping
from typing import Final

from PyQt5.QtCore import Qt

from desktop_app.teleop import Direction


class Deed(enum.Enum):
    """What a key asks of the window; the text is what help says."""

    E_STOP = "E-STOP"
    ARM = "Arm"
    DISARM_OR_CLOSE = "Disarm; when disarmed, close"
    RESET = "Reset after an E-STOP: hold for 1 s"
    TAKE = "Take the lease"
    GIVE = "Give the lease back"
    LIMIT_DOWN = "Limit 10 % down"
    LIMIT_UP = "Limit 10 % up"
    SNAPSHOT = "Snapshot"
    HELP = "Keys"
    CHARTS = "Charts"
    LOG = "Log"
    LEFT_COLUMN = "Left column"
    FULL_PICTURE = "Full picture"
    ROBOTS = "Robots"
    PAIR = "Pair with a robot that refuses"
    SETTINGS = "Settings"
    GAMEPAD = "Gamepad"


Act = Deed | Direction

_CTRL: Final = int(Qt.ControlModifier)
_USUAL: Final[dict[Act, tuple[int, ...]]] = {  # in the order a person learns them
    Direction.FORWARD: (Qt.Key_W, Qt.Key_Up),
    Direction.BACK: (Qt.Key_S, Qt.Key_Down),
    Direction.LEFT: (Qt.Key_A, Qt.Key_Left),
    Direction.RIGHT: (Qt.Key_D, Qt.Key_Right),
    Deed.ARM: (Qt.Key_Return,),
    Deed.DISARM_OR_CLOSE: (Qt.Key_Escape,),
    Deed.RESET: (Qt.Key_R,),
    Deed.TAKE: (Qt.Key_T,),
    Deed.GIVE: (Qt.Key_G,),
    Deed.LIMIT_DOWN: (Qt.Key_BracketLeft,),
    Deed.LIMIT_UP: (Qt.Key_BracketRight,),
    Deed.ROBOTS: (_CTRL | Qt.Key_K,),
    Deed.PAIR: (_CTRL | Qt.Key_P,),
    Deed.SNAPSHOT: (_CTRL | Qt.Key_S,),
    Deed.SETTINGS: (_CTRL | Qt.Key_Comma,),
    Deed.GAMEPAD: (_CTRL | Qt.Key_G,),
    Deed.HELP: (Qt.Key_F1,),
    Deed.CHARTS: (Qt.Key_F2,),
    Deed.LOG: (Qt.Key_F6,),
    Deed.LEFT_COLUMN: (Qt.Key_F7,),
    Deed.FULL_PICTURE: (Qt.Key_F11,),
}
ACTS: Final = tuple(_USUAL)
E_STOP_KEYS: Final = (Qt.Key_Space, Qt.Key_F12)  # the first is a letter while typing, the second never

# What a key does while a sheet is open: a letter typed beside a field must not reach the car.
ALSO_COVERED: Final = frozenset(
    {
        Deed.E_STOP,
        Deed.DISARM_OR_CLOSE,
        Deed.HELP,
        Deed.ROBOTS,
        Deed.PAIR,
        Deed.SETTINGS,
        Deed.GAMEPAD,
        Deed.FULL_PICTURE,
    }
)
# These move about in the window or press what has the focus, wherever no car is driven.
NAVIGATES: Final = frozenset(
    {Qt.Key_Return, Qt.Key_Up, Qt.Key_Down, Qt.Key_Left, Qt.Key_Right}
    | {Qt.Key_Home, Qt.Key_End, Qt.Key_PageUp, Qt.Key_PageDown}
)

_NAMED: Final = {
    Qt.Key_Return: "Enter",
    Qt.Key_Escape: "Esc",
    Qt.Key_Space: "Space",
    Qt.Key_Backspace: "Backspace",
    Qt.Key_Up: "Up",
    Qt.Key_Down: "Down",
    Qt.Key_Left: "Left",
    Qt.Key_Right: "Right",
    Qt.Key_Home: "Home",
    Qt.Key_End: "End",
    Qt.Key_PageUp: "PgUp",
    Qt.Key_PageDown: "PgDn",
    Qt.Key_Insert: "Ins",
    Qt.Key_Delete: "Del",
    **{Qt.Key_F1 + i: f"F{i + 1}" for i in range(24)},
}
_KEYS_BY_NAME: Final = {name: key for key, name in _NAMED.items()}
_EDITING: Final = frozenset({Qt.Key_A, Qt.Key_C, Qt.Key_V, Qt.Key_X, Qt.Key_Z, Qt.Key_Y})
_DIRECTIONS: Final = {
    Direction.FORWARD: "Forward",
    Direction.BACK: "Backward",
    Direction.LEFT: "Steer left",
    Direction.RIGHT: "Steer right",
}


class KeyMap:
    """Every act's chords, none twice.  Immutable: a change is another one."""

    def __init__(self, chords: Mapping[Act, tuple[int, ...]] = _USUAL) -> None:
        self._chords = dict(chords)
        self._acts = {chord: act for act, own in chords.items() for chord in own}

    def caps(self, act: Act) -> tuple[str, ...]:
        """The names of its keys, as they stand on key caps."""
        if act is Deed.E_STOP:
            return tuple(name_of(key) for key in E_STOP_KEYS)
        return tuple(name_of(chord) for chord in self._chords[act])

    def cap(self, act: Act) -> str:
        return self.caps(act)[0]

    def deed(self, key: int, modifiers: Qt.KeyboardModifiers, *, is_typing: bool) -> Deed | None:
        """What this key press asks for; None is no deed."""
        if key in E_STOP_KEYS and not (is_typing and key == Qt.Key_Space):
            return Deed.E_STOP  # whatever else is held: a hand that slams the keyboard means it
        chord = chord_of(key, modifiers)
        if chord is None or (is_typing and _edits(chord)):
            return None
        if chord == Qt.Key_Escape:
            return (
                Deed.DISARM_OR_CLOSE
            )  # beside the key of its own: what closes a sheet everywhere, closes it
        act = self._acts.get(chord)
        return act if isinstance(act, Deed) else None

    def direction(self, key: int) -> Direction | None:
        """Where this key drives to, whatever is held beside it."""
        act = self._acts.get(key)
        return act if isinstance(act, Direction) else None

    def why_not(self, act: Act, at: int, chord: int) -> str:
        """Why the act may not have this chord as its key number `at`; '' if it may."""
        key, holds_ctrl = chord & ~_CTRL, bool(chord & _CTRL)
        if key in E_STOP_KEYS:
            return f"{name_of(key)} is the E-STOP, always."
        if key in (Qt.Key_Tab, Qt.Key_Backtab):
            return "Tab moves from one control to the next."
        name = name_of(chord)
        if not name:
            return "This key has no name here. Press another."
        if isinstance(act, Direction) and holds_ctrl:
            return "Driving takes a key alone, without Ctrl."
        if holds_ctrl and key in _EDITING:
            return f"{name} edits text. Press another."
        other = self._acts.get(chord)
        if other is not None and (other is not act or self._chords[act].index(chord) != at):
            return f"{name} is taken: {title_of(other)}. Give that another key first."
        if key == Qt.Key_Escape and act is not Deed.DISARM_OR_CLOSE:
            return "Esc closes sheets and disarms, nothing else."
        return ""

    def with_key(self, act: Act, at: int, chord: int) -> KeyMap:
        """This chord for the act's key number `at`.

        Raises:
            ValueError: It may not be; in words for the person.
        """
        why = self.why_not(act, at, chord)
        if why:
            raise ValueError(why)
        own = list(self._chords[act])
        own[at] = chord
        return KeyMap({**self._chords, act: tuple(own)})

    @property
    def is_usual(self) -> bool:
        return self._chords == _USUAL

    # In the settings: only what is not usual, by names.

    def stored(self) -> dict[str, tuple[str, ...]]:
        return {act.name.lower(): self.caps(act) for act, own in self._chords.items() if own != _USUAL[act]}

    @classmethod
    def from_stored(cls, stored: Mapping[str, tuple[str, ...]]) -> tuple[KeyMap, str]:
        """The map, and what to tell the person: where one key cannot be, the usual keys hold for all."""
        by_name = {act.name.lower(): act for act in ACTS}  # another version's acts are not looked at
        named = {by_name[name]: caps for name, caps in stored.items() if name in by_name}
        found = cls(_USUAL | {act: tuple(chord_named(cap) for cap in caps) for act, caps in named.items()})
        for act in ACTS:
            own = found._chords[act]
            whys = [found.why_not(act, at, chord) for at, chord in enumerate(own)]
            why = next(filter(None, whys), "") if len(own) == len(_USUAL[act]) else f"{len(own)} keys."
            if why:
                return (
                    cls(),
                    f"The usual keys hold. Those in the settings are wrong at {title_of(act)}: {why}",
                )
        return found, ""


USUAL_KEYS: Final = KeyMap()


def title_of(act: Act) -> str:
    """What help calls it."""
    return _DIRECTIONS[act] if isinstance(act, Direction) else act.value


def chord_of(key: int, modifiers: Qt.KeyboardModifiers) -> int | None:
    """The chord of a key press; None with Alt or the system's key: those are the system's."""
    held = int(modifiers)
    if held & int(Qt.AltModifier | Qt.MetaModifier):
        return None
    key = Qt.Key_Return if key == Qt.Key_Enter else key
    return key | (held & _CTRL)


def name_of(chord: int) -> str:
    """As it stands on a key cap; '' for a key that has no name here."""
    key = chord & ~_CTRL
    name = _NAMED.get(key, "")
    if not name and Qt.Key_Space < key <= sys.maxunicode and chr(key).isprintable():
        name = chr(key)  # Qt's number of a key that types a character is the character's own
    return f"Ctrl+{name}" if name and chord & _CTRL else name


def chord_named(name: str) -> int:
    """The chord that has this name; 0 if none has."""
    bare = name.removeprefix("Ctrl+")
    key = _KEYS_BY_NAME.get(bare, ord(bare) if len(bare) == 1 else 0)
    if name_of(key) != bare:
        return 0
    return key | _CTRL if bare != name else key


def _edits(chord: int) -> bool:
    """Whether a text field has a use for it."""
    is_function = Qt.Key_F1 <= chord <= Qt.Key_F35 or chord == Qt.Key_Escape
    return not (is_function or chord & _CTRL)
