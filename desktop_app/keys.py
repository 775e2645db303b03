"""What each key of the window does.  Pure: driving keys are teleop's, the E-STOP's are fixed."""

from __future__ import annotations

import enum
from typing import Final

from PyQt5.QtCore import Qt


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
    HELP = "Help"
    CHARTS = "Charts"
    LOG = "Log"
    LEFT_COLUMN = "Left column"
    FULL_PICTURE = "Full picture"
    ROBOTS = "Robots"
    SETTINGS = "Settings"


_PLAIN: Final[dict[int, Deed]] = {
    Qt.Key_Space: Deed.E_STOP,
    Qt.Key_Return: Deed.ARM,
    Qt.Key_Enter: Deed.ARM,
    Qt.Key_R: Deed.RESET,
    Qt.Key_T: Deed.TAKE,
    Qt.Key_G: Deed.GIVE,
    Qt.Key_BracketLeft: Deed.LIMIT_DOWN,
    Qt.Key_BracketRight: Deed.LIMIT_UP,
}
_ALWAYS: Final[dict[int, Deed]] = {  # also while typing
    Qt.Key_F12: Deed.E_STOP,
    Qt.Key_Escape: Deed.DISARM_OR_CLOSE,
    Qt.Key_F1: Deed.HELP,
    Qt.Key_F2: Deed.CHARTS,
    Qt.Key_F6: Deed.LOG,
    Qt.Key_F7: Deed.LEFT_COLUMN,
    Qt.Key_F11: Deed.FULL_PICTURE,
}
_CONTROL: Final[dict[int, Deed]] = {
    Qt.Key_K: Deed.ROBOTS,
    Qt.Key_Comma: Deed.SETTINGS,
    Qt.Key_S: Deed.SNAPSHOT,
}

# What a key does while a sheet is open: a letter typed beside a field must not reach the car.
ALSO_COVERED: Final = frozenset(
    {Deed.E_STOP, Deed.DISARM_OR_CLOSE, Deed.HELP, Deed.ROBOTS, Deed.SETTINGS, Deed.FULL_PICTURE}
)

# For the help sheet and the key caps, in the order a person learns them.
LISTED: Final[tuple[tuple[str, str], ...]] = (
    ("W S", "Throttle"),
    ("A D", "Steering"),
    ("Arrows", "Throttle and steering"),
    ("Space", "E-STOP"),
    ("F12", "E-STOP, also while typing"),
    ("Enter", Deed.ARM.value),
    ("Esc", Deed.DISARM_OR_CLOSE.value),
    ("R", Deed.RESET.value),
    ("T", Deed.TAKE.value),
    ("G", Deed.GIVE.value),
    ("[", Deed.LIMIT_DOWN.value),
    ("]", Deed.LIMIT_UP.value),
    ("Ctrl+K", Deed.ROBOTS.value),
    ("Ctrl+S", Deed.SNAPSHOT.value),
    ("Ctrl+,", Deed.SETTINGS.value),
    ("F1", Deed.HELP.value),
    ("F2", Deed.CHARTS.value),
    ("F6", Deed.LOG.value),
    ("F7", Deed.LEFT_COLUMN.value),
    ("F11", Deed.FULL_PICTURE.value),
)
GAMEPAD: Final[tuple[tuple[str, str], ...]] = (
    ("LB", "Hold to drive"),
    ("Left stick", "Steering"),
    ("RT", "Forward"),
    ("LT", "Brake, then back"),
    ("B", "E-STOP"),
    ("Start", "Arm, disarm"),
)


def deed_of(key: int, modifiers: Qt.KeyboardModifiers, *, is_typing: bool) -> Deed | None:
    """What this key press asks for; None is not ours."""
    held = int(modifiers) & int(Qt.ControlModifier | Qt.AltModifier | Qt.MetaModifier)
    if key in (Qt.Key_F12, Qt.Key_Space) and not (is_typing and key == Qt.Key_Space):
        return Deed.E_STOP  # whatever else is held: a hand that slams the keyboard means it
    if held == int(Qt.ControlModifier):
        return _CONTROL.get(key)
    if held:
        return None
    return _ALWAYS.get(key) or (None if is_typing else _PLAIN.get(key))
