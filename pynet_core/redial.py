"""Opening a lost pair again: when to try, for how long, and what no further try would mend."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import DeadlineExceeded, LinkClosed, LinkError, PoolFull, Refused

LOOK_S: Final = 0.05  # whether it is still wanted
FIRST_PAUSE_S: Final = 0.1  # a gateway that has just been started anew
LONGEST_PAUSE_S: Final = 5.0  # one that stays away: a try costs it little, and nobody waits long


def pauses(rng: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds before each further try: doubling, each between half and all of it.

    By chance, lest the many pairs that one gateway has lost come back as one.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s * (0.5 + rng() / 2)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def may_mend(exc: BaseException) -> bool:
    """A later try may go better.  Who was refused for what it is, is refused again."""
    return isinstance(exc, LinkError) and (isinstance(exc, PoolFull) or not isinstance(exc, Refused))


class Redial:
    """Opens one pair again.  `open_pair(timeout_s)` is one try."""

    def __init__(self, open_pair: Callable[[float], PlainChannel], timeout_s: float) -> None:
        self._open_pair = open_pair
        self._timeout_s = timeout_s  # of one try
        self._given_up = threading.Event()
        self._is_over = False

    def give_up(self, *, for_good: bool = False) -> None:
        """Whoever waits in it gets LinkClosed, with `for_good` who comes later too; any thread."""
        self._is_over = self._is_over or for_good
        self._given_up.set()

    def __call__(
        self,
        within_s: float | None,
        stopping: threading.Event | None = None,
        *,
        most_s: float | None = None,
    ) -> PlainChannel:
        """A new connection of the same pair; tries again and again for `within_s`, once when that is 0.

        No try takes longer than `most_s`.

        Raises:
            LinkError: That of the last try, or LinkClosed after `give_up` or when `stopping` is set.
            PynetError: What no further try would mend.
        """
        self._given_up.clear()
        if self._is_over:  # after the other, or one of the two might never be seen
            raise LinkClosed("given up at this end")
        deadline = Deadline(within_s, "the gateway")
        left_s = within_s
        most_s = self._timeout_s if most_s is None else min(self._timeout_s, most_s)
        for pause_s in pauses():
            # The one try that 0 stands for has its whole time.
            timeout_s = min(most_s, left_s) if left_s else most_s
            try:
                channel = self._open_pair(timeout_s)
            except LinkError as exc:
                left_s = _left_s(deadline)
                if not may_mend(exc) or (left_s is not None and left_s <= pause_s):
                    raise
                if self._is_given_up(pause_s, stopping):
                    raise LinkClosed(f"given up at this end; before that: {exc}") from exc
                continue
            if self._is_given_up(0.0, stopping):  # while it was being opened
                channel.close()
                raise LinkClosed("given up at this end")
            return channel
        raise AssertionError("pauses never end")

    def _is_given_up(self, pause_s: float, stopping: threading.Event | None) -> bool:
        """After the pause, or as soon as it is true."""
        end = time.monotonic() + pause_s
        while True:
            left_s = max(0.0, end - time.monotonic())
            if self._given_up.wait(min(left_s, LOOK_S)) or (stopping is not None and stopping.is_set()):
                return True
            if not left_s:
                return False


def _left_s(deadline: Deadline) -> float | None:
    try:
        return deadline.remaining_s()
    except DeadlineExceeded:
        return 0.0
