"""The person's hands on one robot: keys, pad and gamepad into teleop, 50 ticks a second out to the link."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from desktop_app.actions import Actions
from desktop_app.gamepad import Pad
from desktop_app.keys import USUAL_KEYS
from desktop_app.stick_feel import Triggers
from desktop_app.teleop import Decision, Gate, Teleop
from desktop_app.view import PICTURE_STALE_S, Focus

DISARM_AGAIN_S: Final = 0.25


class Hands:
    """GUI thread.

    `robot` is the one there is now; `picture_age_s` that of its picture.
    `on_event(text)` and `on_disarm(reason)` tell the person, once each.
    """

    def __init__(
        self,
        limit: float,
        *,
        robot: Callable[[], Actions | None],
        picture_age_s: Callable[[float], float | None],
        on_event: Callable[[str], None],
        on_disarm: Callable[[str], None],
    ) -> None:
        self.teleop = Teleop(limit)
        self.decision = Decision()
        self.keys = USUAL_KEYS
        self._robot = robot
        self._picture_age_s = picture_age_s
        self._on_event = on_event
        self._on_disarm = on_disarm
        self._triggers = Triggers()
        self._pad: Pad | None = None
        self._disarm_at_s = 0.0
        self._told = ""

    def tick(self, now_ns: int, pad: Pad | None) -> None:
        """Ask of the car what the hands ask now.  Only a tick that ran on time stamps."""
        self._pad = pad
        gate = self.gate(now_ns / 1e9)
        self.teleop.set_gamepad(
            None
            if pad is None
            else self._triggers.stick(
                pad.forward, pad.back, pad.steering, velocity_mps=gate.velocity_mps, is_held=pad.is_held
            )
        )
        self.decision = self.teleop.tick(now_ns, gate)
        robot = self._robot()
        if robot is not None and self.decision.goes_out:
            robot.link.wish(self.decision.throttle, self.decision.steering)
        if self.decision.event:
            self._on_event(self.decision.event)
        self._see_to_disarm(self.decision.disarm, gate, robot)

    @property
    def is_late(self) -> bool:
        """A press that is handled now may have waited while the window was stuck."""
        return self.teleop.is_quiet(time.monotonic_ns())

    def gate(self, now_s: float) -> Gate:
        """What of the car bears on driving."""
        robot = self._robot()
        if robot is None:
            return Gate()
        age_s = self._picture_age_s(now_s)
        creeps = age_s is None or age_s > PICTURE_STALE_S  # nobody sees where it goes
        return robot.link.heard.gate(now_s, is_arming=robot.is_arming, creeps=creeps)

    def _see_to_disarm(self, reason: str, gate: Gate, robot: Actions | None) -> None:
        """Try until the car says that it is."""
        now_s = time.monotonic()
        if reason and robot is not None and gate.may_be_armed and now_s >= self._disarm_at_s:
            self._disarm_at_s = now_s + DISARM_AGAIN_S
            robot.disarm()
            if reason != self._told:
                self._on_disarm(reason)
        self._told = reason

    # What moves; each is sent in the very event.

    def press(self, key: int) -> None:
        """A key of the keyboard, Qt's number; one that does not drive is ignored."""
        direction = self.keys.direction(key)
        if direction is not None:
            self.teleop.press(key, direction)
            self.move()

    def hold_over(self, key: int) -> None:
        """A key that was down before the window might drive."""
        if self.keys.direction(key) is not None:
            self.teleop.hold_over(key)
            self.move()

    def release(self, key: int) -> None:
        self.teleop.release(key)
        self.move()

    def drop(self) -> None:
        self.teleop.drop()
        self.move()

    def set_focus(self, focus: Focus) -> None:
        self.teleop.set_focus(focus)
        self.move()

    def stop(self) -> None:
        """Neutral now, and until all hands were let go."""
        self.teleop.break_off()
        robot = self._robot()
        if robot is not None:
            robot.link.wish(0.0, 0.0)

    def move(self) -> None:
        """A tick between the ticks."""
        self.tick(time.monotonic_ns(), self._pad)
