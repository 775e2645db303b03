"""What may be heard, off unless asked for: E-STOP, failsafe, a lost link.  When, and how it sounds; pure.

Each has a rhythm of its own, so that they differ on any loudspeaker.
"""

from __future__ import annotations

import enum
import math
from array import array
from typing import Final

from desktop_app.view import Connection, View
from pynet_car.messages import State

RATE_HZ: Final = 22_050
VOLUME: Final = 0.35  # of what 16 bits hold
FADE_S: Final = 0.006  # a tone that begins at once clicks


class Alarm(enum.Enum):
    """Its tones: Hz and seconds; 0 Hz is a pause."""

    E_STOP = ((880.0, 0.12), (0.0, 0.03), (660.0, 0.12), (0.0, 0.03), (440.0, 0.28))
    FAILSAFE = ((740.0, 0.09), (0.0, 0.07), (740.0, 0.09))
    LINK_LOST = ((520.0, 0.22), (390.0, 0.34))

    @property
    def duration_s(self) -> float:
        return math.fsum(seconds for _, seconds in self.value)


def alarm_of(before: View, after: View) -> Alarm | None:
    """What has just happened that is to be heard; nothing for what a new robot was like already."""
    if before.address != after.address or before.state is None:
        return None
    if after.state is State.E_STOP and before.state is not State.E_STOP:
        return Alarm.E_STOP
    if after.connection is Connection.LOST and before.connection is Connection.UP:
        return Alarm.LINK_LOST
    if after.state is State.FAILSAFE and before.state is not State.FAILSAFE:
        return Alarm.FAILSAFE
    return None


def samples(alarm: Alarm) -> bytes:
    """16-bit samples, one channel, RATE_HZ a second, in this machine's byte order."""
    found = array("h")
    for hz, seconds in alarm.value:
        count = round(seconds * RATE_HZ)
        for i in range(count):
            fade = min(1.0, i / RATE_HZ / FADE_S, (count - i) / RATE_HZ / FADE_S)
            found.append(round(32767 * VOLUME * fade * math.sin(2 * math.pi * hz * i / RATE_HZ)))
    return found.tobytes()
