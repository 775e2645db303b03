"""gpiozero pins wired to the board: the agent's own devices drive a simulated car unchanged.

gpiozero takes an edge's time from the pin, not from a clock, so edges come with
the stamps that the simulated car gave them: a DistanceSensor measures exactly,
and no thread sleeps for an echo.

Outputs latch.  A line that is released (its device closed, its process killed)
keeps its level as on a Pi; only gpiozero's own "frequency = None", which a
PWM device says when closed in good order, stops the pulses.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic_ns
from typing import Any, Final

from gpiozero.pins.mock import MockFactory, MockPWMPin

from pynet_car.world.board import Board, Edge, EdgeReader

log = logging.getLogger(__name__)

POLL_S: Final = 0.005  # a quarter of the encoder's 20 ms period


class BoardFactory(MockFactory):  # type: ignore[misc]  # gpiozero is untyped
    """Makes pins on `board`.  Its `ticks` are seconds of CLOCK_MONOTONIC, as the edges' stamps are.

    Input pins see edges only while an `EdgePump` runs; sonars need none.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._lines: dict[int, BoardPin] = {}  # by BCM number
        super().__init__(pin_class=BoardPin)

    def deliver(self, edge: Edge) -> None:
        """Give an edge to its pin, if this process has it open as an input."""
        pin = self._lines.get(edge.pin)
        if pin is not None:
            pin.receive(edge.ns, edge.level)

    def ping(self, trigger: int) -> None:
        """Let the sonar on this trigger line, if there is one, answer at once.

        Both echo edges are delivered in the caller's thread.  The fall is
        stamped now and the rise one echo earlier: a stamp in the future would
        make the reading younger than it is.
        """
        echo = self.board.echo_pin(trigger)
        width_ns = self.board.echo_ns(echo) if echo is not None else 0
        if echo is None or not width_ns:
            return
        now_ns = monotonic_ns()
        self.deliver(Edge(now_ns - width_ns, echo, True))
        self.deliver(Edge(now_ns, echo, False))

    def attach(self, number: int, pin: BoardPin) -> None:
        self._lines[number] = pin

    def reset(self) -> None:
        self._lines.clear()
        super().reset()

    def close(self) -> None:
        super().close()
        self._lines.clear()


class BoardPin(MockPWMPin):  # type: ignore[misc]  # gpiozero is untyped
    """One line of the board, as gpiozero sees it.

    Unlike its parent it remembers one state only: MockPin keeps every state it
    ever had, 47 MB a minute at 2,000 encoder edges a second.
    """

    _state: float  # duty [0, 1] of an output, level of an input

    def __init__(self, factory: BoardFactory, info: Any) -> None:
        super().__init__(factory, info)
        factory.attach(self._number, self)

    def receive(self, ns: int, level: bool) -> None:
        """Take an edge from the outside world and tell who listens, in the caller's thread."""
        with self._when_changed_lock:  # so that closing a device waits for its callback
            if self._function != "input" or self._state == level:
                return
            self._state = level
            self._last_change = ns / 1e9  # what MockPin hands on as ticks
            listens = self._edges == "both" or self._edges == ("rising" if level else "falling")
            if listens and self._when_changed is not None:
                self._call_when_changed()

    def close(self) -> None:
        """Release the line.  What this process put out stays on it."""
        self.when_changed = None
        self._function = "input"

    def clear_states(self) -> None:
        super().clear_states()
        self.states.clear()

    def _change_state(self, value: float) -> bool:
        changed = bool(self._state != value)
        self._state = value
        return changed

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        if value == "output":  # claiming a line changes nothing on it
            self._state = self.factory.board.output(self._number)[0]

    def _set_state(self, value: float) -> None:
        falls = self._state and not value
        super()._set_state(value)
        self._put_out()
        if falls:
            self.factory.ping(self._number)

    def _set_frequency(self, value: float | None) -> None:
        super()._set_frequency(value)
        if self._function == "output":
            self._put_out()

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        level = self.factory.board.input_level(self._number)
        if level is not None:  # what drives the line outweighs its resistor
            self._state = level

    def _put_out(self) -> None:
        self.factory.board.set_output(self._number, float(self._state), self._frequency or 0.0)


class EdgePump:
    """The thread that takes the board's edges to the pins, in order, every 5 ms.

    `overrun` counts edges that were lost because this process was stopped for
    seconds: after that, encoders have missed distance.
    """

    def __init__(self, factory: BoardFactory, period_s: float = POLL_S) -> None:
        self._factory = factory
        self._reader = EdgeReader(factory.board)
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-pump", daemon=True)
        self._failed: set[int] = set()  # pins whose listener has raised: told once each
        self._told = 0

    @property
    def overrun(self) -> int:
        """Edges lost so far."""
        return self._reader.overrun

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; edges not yet delivered are dropped.  Idempotent."""
        self._stop.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> EdgePump:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pump(self) -> int:
        """Deliver what has come; how many edges that was.  The thread does this by itself."""
        edges = self._reader.poll()
        for edge in edges:
            try:
                self._factory.deliver(edge)
            except Exception:  # a listener is not ours, and must not cost the other pins their edges
                if edge.pin not in self._failed:
                    self._failed.add(edge.pin)
                    log.exception("the listener on GPIO%d failed; its next failures are not logged", edge.pin)
        if self.overrun > self._told:
            log.warning("lost %d edges: this process did not run for seconds", self.overrun - self._told)
            self._told = self.overrun
        return len(edges)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.pump()
