"""What the banner says of a View: shape, state name, sentence, one action.  Pure.

Two lines where there is room for them; the compact banner has one, `short`.
The shape alone tells the states apart in greyscale.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from desktop_app.icons import Icon
from desktop_app.keys import Deed
from desktop_app.view import PICTURE_STALE_S, Connection, Pairing, View
from pynet_car.messages import State
from pynet_car.reflex import CREEP_MPS

DRIVES_AT: Final = 0.02  # of throttle: what the guardian takes for neutral is within +-0.02
FREE_AFTER_S: Final = 2.0  # of silence: the link counts as lost, a FAILSAFE has become DISARMED


class Shape(enum.Enum):
    OUTLINE = "2 px outline"
    STARTING = "accent outline, its left end filled"
    SOLID = "accent, no frame"
    HATCHED = "amber, hatched ends"
    INSET = "red, white line inset 4 px"
    UNSURE = "red outline, inset red line"
    DASHED = "dashed outline"


class Action(enum.Enum):
    """The one button; its word, and the deed whose key does the same."""

    ARM = ("Arm", Deed.ARM)
    DISARM = ("Disarm", Deed.DISARM_OR_CLOSE)
    WHY = ("Why", Deed.LOG)
    RESET = ("Reset…", Deed.RESET)
    CONNECT = ("Connect", Deed.ROBOTS)
    PAIR = ("Pair", Deed.PAIR)
    TAKE = ("Take", Deed.TAKE)

    @property
    def word(self) -> str:
        return self.value[0]

    @property
    def deed(self) -> Deed:
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    shape: Shape
    icon: Icon
    name: str
    lines: tuple[str, str]
    short: str
    action: Action
    under: str = ""  # "assumed"


def banner_says(view: View) -> Says:
    """The banner for this moment."""
    if view.state is None or view.connection in (Connection.NONE, Connection.CONNECTING):
        return _not_connected(view)
    says = _silent(view) if view.is_assumed or view.connection is Connection.LOST else _live(view)
    if view.e_stop_unconfirmed and view.state is not State.E_STOP:
        return Says(
            shape=Shape.UNSURE,
            icon=Icon.OCTAGON,
            name=says.name,
            under=says.under,
            lines=("E-STOP sent, not confirmed", "Sent again until the robot says so"),
            short="E-STOP sent, not confirmed",
            action=says.action,
        )
    return says


def _not_connected(view: View) -> Says:
    if view.connection_error:
        lines = _split(view.connection_error)
        short = view.connection_error.partition(". ")[0].rstrip(".") + "."
    elif view.connection is Connection.CONNECTING:
        where = view.robot_name or view.address or "the robot"
        lines = (f"Connecting to {where}… {view.waiting_s:.0f} s", "")
        short = f"Connecting… {view.waiting_s:.0f} s"
    else:
        lines = ("Choose a robot to see and drive it", "")
        short = "Choose a robot to drive it"
    return Says(
        shape=Shape.DASHED,
        icon=Icon.STRUCK,
        name="NOT CONNECTED",
        lines=lines,
        short=short,
        action=Action.CONNECT if view.pairing is Pairing.NONE else Action.PAIR,
    )


def _live(view: View) -> Says:
    status = view.status
    match view.state:
        case State.ARMED:
            lines = _armed(view)
            return Says(
                shape=Shape.SOLID,
                icon=Icon.WHEEL,
                name="ARMED",
                lines=lines,
                short=_armed_short(view, lines),
                action=Action.DISARM if view.has_lease else Action.TAKE,
            )
        case State.ARMING:
            return Says(
                shape=Shape.STARTING,
                icon=Icon.WHEEL,
                name="ARMING",
                lines=("Motors turn in a moment.", "Let go of the controls to go on."),
                short="Let go of the controls",
                action=Action.DISARM if view.has_lease else Action.TAKE,
            )
        case State.FAILSAFE:
            age_ns = status.command_age_ns if status else -1
            aged = f" for {age_ns / 1e9:.1f} s" if age_ns >= 0 else ""
            return Says(
                shape=Shape.HATCHED,
                icon=Icon.TRIANGLE,
                name="FAILSAFE",
                lines=(f"No fresh command{aged}. Wheels are at", "neutral. Let go of the controls."),
                short="Let go of the controls.",
                action=Action.WHY if view.has_lease else Action.TAKE,
            )
        case State.E_STOP:
            return _e_stop(view)
        case _:
            return _disarmed(view)


def _disarmed(view: View) -> Says:
    status = view.status
    if view.has_lease:
        second = _why(view)
    elif status and status.holder:
        second = f"{_person(status.holder_name)} may arm, you watch."
    else:
        second = "Nobody drives."
    return Says(
        shape=Shape.OUTLINE,
        icon=Icon.LOCK,
        name="DISARMED",
        lines=("Motors cannot turn.", second),
        short="Motors cannot turn.",
        action=Action.ARM if view.has_lease else Action.TAKE,
    )


def _e_stop(view: View) -> Says:
    return Says(
        shape=Shape.INSET,
        icon=Icon.OCTAGON,
        name="E_STOP",
        lines=(_why(view) or "Pressed.", "Stays stopped until reset"),
        short="Stays stopped until reset",
        action=Action.RESET,
    )


def _armed(view: View) -> tuple[str, str]:
    status = view.status
    if not view.has_lease:
        return (f"{_person(status.holder_name if status else '')} drives", "You watch")
    let_go = f"Let go of {_controls(view)} to stop"
    if status and status.blocked_forward and view.drive.throttle > DRIVES_AT:
        return (
            "Braking for something ahead",
            "Backward is " + ("blocked too" if status.blocked_backward else "free"),
        )
    if status and status.blocked_backward and view.drive.throttle < -DRIVES_AT:
        return (
            "Braking for something behind",
            "Forward is " + ("blocked too" if status.blocked_forward else "free"),
        )
    if view.description and not view.description.has_camera:
        return (f"No camera: held to {CREEP_MPS:.1f} m/s", let_go)
    if view.picture_age_s is None:
        return (f"No picture yet: held to {CREEP_MPS:.1f} m/s", let_go)
    if view.picture_age_s > PICTURE_STALE_S:
        return (f"Picture is old: held to {CREEP_MPS:.1f} m/s", let_go)
    return ("Motors follow your controls", let_go)


def _armed_short(view: View, lines: tuple[str, str]) -> str:
    """The second half, unless the first is the one that must be known."""
    is_usual = lines[0] == "Motors follow your controls"
    return lines[1] if is_usual else lines[0]


def _silent(view: View) -> Says:
    """Status is too old to believe: what the guardian's rules must have made of it."""
    silent_s = max(view.status_age_s, view.link.silent_s)
    if silent_s > FREE_AFTER_S or view.connection is Connection.LOST:
        lines = (f"No link for {silent_s:.0f} s.", view.connection_error or "Trying every 0.5 s.")
        short = f"No link for {silent_s:.0f} s."
    else:
        lines = (
            f"Nothing heard for {silent_s:.1f} s. The car goes to",
            "neutral by itself. Let go of the controls.",
        )
        short = "Let go of the controls."
    match view.state:
        case State.E_STOP:
            shape, icon, second = Shape.INSET, Icon.OCTAGON, "Stays stopped until reset"
            lines, short = (lines[0].removesuffix(" The car goes to"), second), second
        case State.DISARMED:
            shape, icon = Shape.OUTLINE, Icon.LOCK
            if silent_s <= FREE_AFTER_S and view.connection is not Connection.LOST:
                lines = (f"Nothing heard for {silent_s:.1f} s.", "Motors cannot turn.")
                short = "Motors cannot turn."
        case _:
            shape, icon = Shape.HATCHED, Icon.TRIANGLE
    assert view.state is not None
    is_hatched = shape is Shape.HATCHED
    return Says(
        shape=shape,
        icon=icon,
        name=State.FAILSAFE.value if is_hatched else view.state.value,
        under="assumed",
        lines=lines,
        short=short,
        action=Action.WHY if view.pairing is Pairing.NONE else Action.PAIR,
    )


def _controls(view: View) -> str:
    if view.drive.source.startswith("Gamepad"):
        return view.drive.hold
    return "the pad" if view.drive.source == "Pad" else "the keys"


def _why(view: View) -> str:
    """The first half of the guardian's reason, as a sentence."""
    if view.status is None or not view.status.reason:
        return ""
    head = view.status.reason.partition(":")[0].strip()
    name = view.status.holder_name
    if not (name and head.startswith(name)):  # a person's name stays as she writes it
        head = head[:1].upper() + head[1:]
    return f"{head}."


def _person(name: str) -> str:
    return name or "Somebody"


def _split(text: str) -> tuple[str, str]:
    """Two lines of about one length: at a sentence's end where there is one, else at a space."""
    middle = len(text) // 2
    ends = [i + 1 for i in range(len(text) - 1) if text[i] in ".?!" and text[i + 1] == " "]
    cuts = ends or [i for i, char in enumerate(text) if char == " "]
    if not cuts or len(text) < 44:
        return text, ""
    cut = min(cuts, key=lambda at: abs(at - middle))
    return text[:cut].strip(), text[cut:].strip()
