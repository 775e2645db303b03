"""What the hands ask of the car: keys, the mouse on the pad or a gamepad -> throttle and steering.  Pure.

One source drives at a time.  After every break nothing is asked but neutral
until all hands were seen to be neutral.  Ramps rise only: letting go is at once.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from desktop_app.view import Focus
from pynet_car.reflex import Sight, limit

NS_PER_MS: Final = 1_000_000
PERIOD_NS: Final = 20 * NS_PER_MS  # of the ticks: 50 Hz
STUCK_NS: Final = 100 * NS_PER_MS  # a longer gap between ticks: the person's hands were not seen meanwhile
OWNED_NS: Final = 500 * NS_PER_MS  # so long a source keeps the control after its last motion
AWAY_DISARM_NS: Final = 5_000 * NS_PER_MS
FULL_THROTTLE_S: Final = 0.4  # a key held: from 0 to the limit
FULL_STEERING_S: Final = 0.25
MIN_LIMIT: Final = 0.1
DEFAULT_LIMIT: Final = 0.5
_OPEN: Final = Sight(False, False, "")  # the car's own reflex sees; here only the creep is wanted


class Direction(enum.Enum):
    FORWARD = "forward"
    BACK = "back"
    LEFT = "left"
    RIGHT = "right"


class Source(enum.Enum):
    """What a person drives with; the text is what the Drive card says at least."""

    KEYS = "Keys"
    PAD = "Pad"
    GAMEPAD = "Gamepad"


@dataclass(frozen=True, slots=True)
class Stick:
    """Where a source stands, each in [-1, 1], dead zone and hold-to-drive already applied."""

    throttle: float = 0.0
    steering: float = 0.0
    brakes: bool = False  # a trigger is pulled that asks for nothing but a stop

    @property
    def is_neutral(self) -> bool:
        return self.throttle == 0.0 and self.steering == 0.0 and not self.brakes


NEUTRAL: Final = Stick()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is known of the car that bears on driving."""

    may_drive: bool = False  # ARMED by a Status younger than 300 ms, and the lease is ours
    may_be_armed: bool = False  # ours, and for all we know its motors may turn now or soon
    epoch: tuple[int, ...] = ()  # changes with each lease, failsafe, restart and reconnect: a break
    creeps: bool = False  # nobody sees where it goes: the picture is stale, or there is no camera
    velocity_mps: float | None = None  # measured; None is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one tick decided."""

    throttle: float = 0.0
    steering: float = 0.0
    goes_out: bool = True  # False: nothing may be stamped now
    source: Source = Source.KEYS
    hint: str = ""  # why it does not drive, for the Drive card
    disarm: str = ""  # why the car must be disarmed; told until it is
    event: str = ""  # something to tell the person once


class Teleop:
    """The person's hands.  Owned by the GUI thread."""

    def __init__(self, limit: float = DEFAULT_LIMIT) -> None:
        self.limit = DEFAULT_LIMIT
        self.set_limit(limit)
        self._focus = Focus.AWAY
        self._away_ns: int | None = None  # since when; None until a tick has seen it
        self._held: dict[int, Direction] = {}  # by key, in the order they were pressed
        self._held_over: set[int] = set()  # keys that were down before the window might drive
        self._drag: Stick | None = None
        self._drag_is_void = False  # it began before a break: let go first
        self._gamepad: Stick | None = None
        self._latched = True  # nothing but neutral until neutral was seen
        self._epoch: tuple[int, ...] = ()
        self._owner: Source | None = None
        self._shown = Source.KEYS
        self._neutral_ns: int | None = None  # since when the owner has been neutral
        self._ramped = NEUTRAL
        self._ticked_ns: int | None = None
        self._quiet_until_ns = 0
        self._must_disarm = ""

    # What the person does.

    def press(self, key: int, direction: Direction) -> None:
        """A drive key went down; never a repeat, so one that was down before counts as not pressed."""
        if self._focus is Focus.DRIVE:
            self._held[key] = direction

    def hold_over(self, key: int) -> None:
        """A drive key is down that was so before: nothing is asked until it was let go."""
        if self._focus is Focus.DRIVE:
            self._held_over.add(key)
            self.break_off()

    def release(self, key: int) -> None:
        """A drive key came up."""
        self._held.pop(key, None)
        self._held_over.discard(key)

    def drag(self, throttle: float, steering: float) -> None:
        """The pad is dragged to here, each in [-1, 1]; anything else counts as the nearest of that."""
        if self._focus is not Focus.AWAY and not self._drag_is_void:
            self._drag = Stick(_unit(throttle), _unit(steering))

    def drop(self) -> None:
        """The pad was let go."""
        self._drag, self._drag_is_void = None, False

    def set_gamepad(self, stick: Stick | None) -> None:
        """Where the gamepad stands; None when there is none.  Coming is a break, going disarms."""
        if stick is None and self._gamepad is not None:
            self.break_off(disarm="Gamepad gone. Plug it in or use the keys, then arm.")
            self._shown = Source.KEYS
        elif stick is not None and self._gamepad is None:
            self.break_off()
        self._gamepad = stick

    def set_focus(self, focus: Focus) -> None:
        """The keyboard's focus moved."""
        if focus is self._focus:
            return
        if focus is not Focus.DRIVE:  # releases go elsewhere from now on
            self._held.clear()
            self._held_over.clear()
            self._drag_is_void = self._drag_is_void or self._drag is not None
            self._drag = None
        if focus is Focus.AWAY or self._owner in (Source.KEYS, Source.PAD):
            self.break_off()
        self._focus, self._away_ns = focus, None

    def set_limit(self, limit: float) -> None:
        """The most throttle that is ever asked, in [MIN_LIMIT, 1]."""
        if math.isfinite(limit):
            self.limit = round(max(MIN_LIMIT, min(1.0, limit)), 3)

    def break_off(self, *, disarm: str = "") -> None:
        """Neutral from now on, until all hands were seen to be neutral; and disarm, with this reason."""
        self._latched = True
        self._owner, self._neutral_ns, self._ramped = None, None, NEUTRAL
        self._must_disarm = disarm or self._must_disarm

    # What goes to the car.

    def tick(self, now_ns: int, gate: Gate) -> Decision:
        """What to ask of the car now; call it every PERIOD_NS, and at once when a hand has moved."""
        since_ns = PERIOD_NS if self._ticked_ns is None else now_ns - self._ticked_ns
        self._ticked_ns = now_ns
        disarm = self._disarm(now_ns, gate)
        if gate.epoch != self._epoch:
            self._epoch = gate.epoch
            self.break_off()
        if since_ns > STUCK_NS:
            self._ramped = NEUTRAL
            # What the person did meanwhile still waits in Qt's queue: it comes before the next tick.
            self._quiet_until_ns = now_ns + PERIOD_NS
            event = f"Window stuck {since_ns / NS_PER_MS:.0f} ms; no command went out."
            event = event if gate.may_be_armed else ""
            return Decision(goes_out=False, source=self._shown, disarm=disarm, event=event)
        if self.is_quiet(now_ns):
            return Decision(goes_out=False, source=self._shown, disarm=disarm)
        asked = self._asked(now_ns, since_ns, gate)
        return Decision(
            throttle=asked.throttle,
            steering=asked.steering,
            source=self._shown,
            hint=self._hint(gate),
            disarm=disarm,
        )

    def is_quiet(self, now_ns: int) -> bool:
        """The window is stuck, or was until just now: what waits in its queue was meant for another time."""
        stuck = self._ticked_ns is not None and now_ns - self._ticked_ns > STUCK_NS
        return stuck or now_ns < self._quiet_until_ns

    def _disarm(self, now_ns: int, gate: Gate) -> str:
        if self._focus is Focus.AWAY:
            if self._away_ns is None:
                self._away_ns = now_ns
            elif now_ns - self._away_ns >= AWAY_DISARM_NS and gate.may_be_armed:
                self._must_disarm = self._must_disarm or "Window not in front for 5 s."
        reason = self._must_disarm
        if not gate.may_be_armed:
            self._must_disarm = ""
        return reason

    def _asked(self, now_ns: int, since_ns: int, gate: Gate) -> Stick:
        sticks = self._sticks()
        is_let_go = all(stick.is_neutral for stick in sticks.values()) and not self._held_over
        if not gate.may_drive or self._focus is Focus.AWAY:
            self.break_off()
        elif self._latched and is_let_go and not self._must_disarm:
            self._latched = False
        if self._latched:
            return NEUTRAL
        self._choose(now_ns, sticks)
        if self._owner is None:
            self._ramped = NEUTRAL
            return NEUTRAL
        self._shown = self._owner
        stick = sticks[self._owner]
        if self._owner is Source.KEYS:
            self._ramped = _ramp(self._ramped, stick, since_ns)
            stick = self._ramped
        return self._limited(stick, self._owner, gate)

    def _sticks(self) -> dict[Source, Stick]:
        """Where each source stands; who moves in the same tick is preferred in this order."""
        return {
            Source.GAMEPAD: self._gamepad or NEUTRAL,
            Source.PAD: self._drag or NEUTRAL,
            Source.KEYS: Stick(
                self._axis(Direction.FORWARD, Direction.BACK), self._axis(Direction.LEFT, Direction.RIGHT)
            ),
        }

    def _axis(self, plus: Direction, minus: Direction) -> float:
        held = self._held.values()
        return float(plus in held) - float(minus in held)

    def _choose(self, now_ns: int, sticks: dict[Source, Stick]) -> None:
        """The first source off neutral keeps control until it has been neutral for OWNED_NS."""
        if self._owner is not None:
            if not sticks[self._owner].is_neutral:
                self._neutral_ns = None
                return
            if self._neutral_ns is None:
                self._neutral_ns = now_ns
            if now_ns - self._neutral_ns < OWNED_NS:
                return
            self._owner = self._neutral_ns = None
            if any(not stick.is_neutral for stick in sticks.values()):
                self.break_off()  # another hand has waited, pushed: a change of source is a break
                return
        self._owner = next((source for source, stick in sticks.items() if not stick.is_neutral), None)

    def _limited(self, stick: Stick, source: Source, gate: Gate) -> Stick:
        """The pad shows the limit as a line, so beyond it is the limit; keys and triggers scale up to it."""
        if source is Source.PAD:
            throttle = max(-self.limit, min(self.limit, stick.throttle))
        else:
            throttle = stick.throttle * self.limit
        throttle = limit(throttle, _OPEN, creep=gate.creeps, velocity_mps=gate.velocity_mps)
        return Stick(throttle, stick.steering)

    def _hint(self, gate: Gate) -> str:
        if self._focus is Focus.AWAY:
            return "Window not in front: controls are neutral"
        pushed = self._held_over or any(not stick.is_neutral for stick in self._sticks().values())
        if self._latched and pushed and gate.may_be_armed:
            return "Let go first"
        if self._focus is Focus.ELSEWHERE and self._gamepad is None:
            return "Click the picture to drive"
        return ""


def _ramp(now: Stick, asked: Stick, since_ns: int) -> Stick:
    # The first step from neutral is a whole one: a tick made by the key itself comes any time after the last.
    step_ns = max(since_ns, PERIOD_NS) if now.is_neutral else since_ns
    return Stick(
        _rise(now.throttle, asked.throttle, step_ns / 1e9 / FULL_THROTTLE_S),
        _rise(now.steering, asked.steering, step_ns / 1e9 / FULL_STEERING_S),
    )


def _rise(now: float, asked: float, step: float) -> float:
    """Toward `asked`, away from zero by `step` at most; toward zero at once."""
    if now * asked < 0.0:
        now = 0.0
    if abs(asked) <= abs(now):
        return asked
    return math.copysign(min(abs(asked), abs(now) + step), asked)


def _unit(value: float) -> float:
    return max(-1.0, min(1.0, value)) if math.isfinite(value) else 0.0
