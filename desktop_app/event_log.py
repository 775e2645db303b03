"""What happened, newest first: the robot's events and the window's own, equal ones counted."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import Final

from desktop_app.view import EventView
from pynet_car.messages import Event

MAX_EVENTS: Final = 500
MAX_TEXT: Final = 300  # characters of one event; a robot may say anything


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
            first = self._newest[0] if self._newest else None
            if first is not None and (first.event.kind, first.event.text) == (event.kind, event.text):
                self._newest[0] = replace(first, event=event, at_s=at_s, count=first.count + 1)
            else:
                self._newest.appendleft(EventView(event=event, at_s=at_s))
            self._told = None

    @property
    def events(self) -> tuple[EventView, ...]:
        """Newest first."""
        with self._lock:
            if self._told is None:
                self._told = tuple(self._newest)
            return self._told
