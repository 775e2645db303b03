"""What the window may believe of the car: its state when Status is old, and how good the link is.  Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from desktop_app.view import Quality
from pynet_car.messages import PATH_LIFESPAN_NS, State, Status

SILENT_S: Final = 0.3  # 15 Status messages late: what is shown is no longer told but assumed
RECENTRE_S: Final = 2.0  # the guardian's: a failsafe that lasts this long ends in DISARMED
WORST_OVER_S: Final = 10.0
HISTORY_S: Final = 30.0
HISTORY_PERIOD_S: Final = 0.5
_GRADES: Final = ((0.100, Quality.GOOD), (0.150, Quality.FAIR), (0.250, Quality.WEAK))  # worst gap below, s


def assumed_state(status: Status, age_s: float) -> State:
    """The state now: as told while fresh, else as the guardian's rules must have made of it.

    Whoever hears no Status sends nothing that answers one, so the car's
    commands go stale as well; a path that it follows does so later.
    """
    is_on_path = status.path_left_m >= 0.0
    lifespan_s = PATH_LIFESPAN_NS / 1e9 if is_on_path else status.lifespan_ms / 1000
    may_drive_on = is_on_path and age_s <= lifespan_s
    if age_s <= SILENT_S or may_drive_on or status.state in (State.DISARMED, State.E_STOP):
        return status.state
    if age_s > lifespan_s + RECENTRE_S:
        return State.DISARMED
    return State.FAILSAFE if status.state is State.ARMED else status.state


class LinkGauge:
    """Silence, gaps and round trips of one link.  Times are monotonic seconds, in order."""

    def __init__(self) -> None:
        self._arrived_s: float | None = None
        self._gaps: deque[tuple[float, float]] = deque()  # (when it ended, s), falling: the first is worst
        self._trips: deque[tuple[float, float | None]] = deque()  # (when, rtt ms)

    def arrived(self, now_s: float) -> None:
        """A Status came."""
        if self._arrived_s is not None:
            gap_s = now_s - self._arrived_s
            while self._gaps and self._gaps[-1][1] <= gap_s:
                self._gaps.pop()
            self._gaps.append((now_s, gap_s))
        self._arrived_s = now_s

    def look(self, now_s: float, rtt_ms: float | None) -> None:
        """Note the round trip for the history; call it as often as you like."""
        is_silent = self.silent_s(now_s) > SILENT_S
        is_known = is_silent or rtt_ms is not None  # before the first ping there is nothing to note
        if is_known and (not self._trips or now_s - self._trips[-1][0] >= HISTORY_PERIOD_S):
            self._trips.append((now_s, None if is_silent else rtt_ms))
        while self._trips and now_s - self._trips[0][0] > HISTORY_S:
            self._trips.popleft()

    def silent_s(self, now_s: float) -> float:
        """Since the newest Status; 0 before the first."""
        return 0.0 if self._arrived_s is None else max(0.0, now_s - self._arrived_s)

    def worst_gap_s(self, now_s: float) -> float | None:
        """Of the last 10 s, the silence of now included; None before the first Status."""
        if self._arrived_s is None:
            return None
        while self._gaps and now_s - self._gaps[0][0] > WORST_OVER_S:
            self._gaps.popleft()
        return max(self._gaps[0][1] if self._gaps else 0.0, self.silent_s(now_s))

    def quality(self, now_s: float) -> Quality:
        worst_s = self.worst_gap_s(now_s)
        if worst_s is None or self.silent_s(now_s) > SILENT_S:
            return Quality.LOST
        return next((quality for below_s, quality in _GRADES if worst_s < below_s), Quality.BAD)

    def history(self, now_s: float) -> tuple[tuple[float, float | None], ...]:
        """(seconds ago, rtt ms), oldest first; None was silence."""
        return tuple((now_s - at_s, rtt_ms) for at_s, rtt_ms in self._trips)


class DropGauge:
    """The share of the camera's pictures of the last 10 s that were never shown, by their numbers."""

    def __init__(self) -> None:
        self._shown: deque[tuple[float, int]] = deque()  # (when, seq)

    def shown(self, now_s: float, seq: int) -> None:
        if self._shown and seq <= self._shown[-1][1]:
            self._shown.clear()  # the camera was started anew
        self._shown.append((now_s, seq))
        while now_s - self._shown[0][0] > WORST_OVER_S:
            self._shown.popleft()

    def share(self) -> float | None:
        """In [0, 1]; None while there is too little to tell."""
        if len(self._shown) < 2:
            return None
        made = self._shown[-1][1] - self._shown[0][1] + 1
        return 1.0 - len(self._shown) / made
