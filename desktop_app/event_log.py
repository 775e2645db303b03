"""What happened, newest first: the robot's events and the window's own, equal ones counted."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from desktop_app.view import EventView
from pynet_car.messages import Event

MAX_EVENTS: Final = 500
MAX_TEXT: Final = 300  # characters of one event; a robot may say anything
# Their texts differ by a figure only, and one bad minute makes many: one line, the newest figure, a count.
FOLDED: Final = frozenset({"window_stuck"})
FOLDED_WITHIN_S: Final = 60.0


class EventLog:
    """Any thread may add; `events` is the same tuple until something was added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: deque[EventView] = deque(maxlen=MAX_EVENTS)
        self._told: tuple[EventView, ...] | None = ()

    def add(self, event: Event, at_s: float) -> None:
        """`at_s` is wall clock, for people."""
        if len(event.text) > MAX_TEXT:
            event = Event(
                captured_ns=event.captured_ns,
                severity=event.severity,
                kind=event.kind[:MAX_TEXT],
                text=event.text[: MAX_TEXT - 1] + "…",
            )
        with self._lock:
            same = self._same(event, at_s)
            if same is not None:
                self._newest.remove(same)
            count = 1 if same is None else same.count + 1
            self._newest.appendleft(EventView(event=event, at_s=at_s, count=count))
            self._told = None

    def _same(self, event: Event, at_s: float) -> EventView | None:
        """The line that this event only counts up."""
        if event.kind in FOLDED:  # others may have come between: each such minute has a failsafe in it
            alike = (known for known in self._newest if known.event.kind == event.kind)
            found = next(alike, None)
            return found if found is not None and at_s - found.at_s <= FOLDED_WITHIN_S else None
        first = self._newest[0] if self._newest else None
        is_same = first is not None and (first.event.kind, first.event.text) == (event.kind, event.text)
        return first if is_same else None

    @property
    def events(self) -> tuple[EventView, ...]:
        """Newest first."""
        with self._lock:
            if self._told is None:
                self._told = tuple(self._newest)
            return self._told
