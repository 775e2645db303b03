"""The thread that sends a driver's wish: at once, again while it is young, then one neutral, then nothing.

A path gets no neutral after it: it says itself where it ends, and the car sees to that.
"""

from __future__ import annotations

import itertools
import numbers
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pynet_car.lines import DriveLine
from pynet_car.messages import DriveCommand, DrivePath, PathPoint, Status, encode
from pynet_core.mailbox import Mailbox

SEND_PERIOD_S: Final = 0.02  # 50 Hz
PATH_PERIOD_S: Final = 0.05  # a path lives 1.5 s, and is twenty times as long


@dataclass(frozen=True, slots=True)
class _Wish:
    """One stick or path as it is sent again and again, and the neutral that follows a stick unrenewed."""

    command: bytes
    neutral: bytes | None
    made_s: float  # monotonic


class Sender:
    """Sends on all lines alike.

    It repeats a command but never stamps one: `wish` does, in its caller's thread.
    """

    def __init__(self, lines: Sequence[DriveLine], *, renew_within_s: float) -> None:
        """Raises ValueError when that is no time."""
        self._lines = tuple(lines)
        self._renew_within_s = _as_time(renew_within_s)
        self._seq = itertools.count(step=2)  # each wish has two commands: itself and its neutral
        self._order = threading.Lock()  # who numbers a wish also sends it first: the car drops what is older
        self._wishes: Mailbox[_Wish] = Mailbox()
        self._thread = threading.Thread(target=self._run, name="pynet drive sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wish(self, throttle: float, steering: float, answering: Status) -> None:
        """Send this from now on, as the answer to the Status that was seen when the stick was sampled.

        Raises:
            ValueError: Out of [-1, 1].
        """

        def command(seq: int, throttle: float, steering: float) -> bytes:
            return encode(
                DriveCommand(
                    session=answering.session,
                    seq=seq,
                    throttle=throttle,
                    steering=steering,
                    answers_ns=answering.stamp_ns,
                )
            )

        throttle, steering = _as_number("throttle", throttle), _as_number("steering", steering)
        with self._order:
            seq = next(self._seq)
            # The neutral answers the same Status as its wish: only who samples the stick may stamp.
            self._wishes.put(
                _Wish(command(seq, throttle, steering), command(seq + 1, 0.0, 0.0), time.monotonic())
            )

    def path(
        self, points: Iterable[Sequence[float] | PathPoint], t_capture_ns: int, answers_ns: int, session: int
    ) -> None:
        """Send this path from now on; each point is x_m, y_m, speed_mps.

        Raises:
            ValueError: It is none that a car could follow; the text names the point.
        """
        way = tuple(map(_as_point, points))
        with self._order:
            command = DrivePath(
                session=session,
                seq=next(self._seq),
                points=way,
                t_capture_ns=int(t_capture_ns),
                answers_ns=int(answers_ns),
            )
            self._wishes.put(_Wish(encode(command), None, time.monotonic()))

    def close(self) -> None:
        """End the thread."""
        self._wishes.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wish: _Wish | None = None
        while not self._wishes.is_closed:
            is_path = wish is not None and wish.neutral is None
            newer = self._wishes.take(PATH_PERIOD_S if is_path else SEND_PERIOD_S)
            wish = newer or wish
            if wish is None:
                continue
            renewed = newer is not None or time.monotonic() - wish.made_s <= self._renew_within_s
            if (command := wish.command if renewed else wish.neutral) is not None:
                for line in self._lines:
                    line.put(command)
            if not renewed:
                wish = None


def _as_time(value: object) -> float:
    if isinstance(value, numbers.Real) and float(value) > 0.0:  # NaN is not
        return float(value)
    raise ValueError(f"renew_within_s must be more than 0 s, got {value!r}")


def _as_number(name: str, value: object) -> float:
    """A plain one: a network's own cannot be sent.  True is no throttle, though Python takes it for 1.0."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{name} must be a number in [-1, 1], got {value!r}")


def _as_point(point: Sequence[float] | PathPoint) -> PathPoint:
    """Of plain numbers: a network's own cannot be sent."""
    values = (point.x_m, point.y_m, point.speed_mps) if isinstance(point, PathPoint) else tuple(point)
    if len(values) != 3:
        raise ValueError(f"a point is x_m, y_m, speed_mps; got {len(values)} numbers")
    return PathPoint(*map(float, values))
