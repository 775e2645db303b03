"""What the person asks of the robot besides driving: each in a thread of its own, the answer as a signal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QObject, pyqtSignal

from desktop_app.keys import USUAL_KEYS, Deed, KeyMap
from desktop_app.link import Link
from desktop_app.view import Connection
from desktop_app.words import no_robot
from pynet_car.messages import State, Verdict
from pynet_car.operator import CarRefused, Operator
from pynet_core.errors import PynetError, Refused, SubroutineError

_log = logging.getLogger(__name__)

_TITLES: Final = {
    "arm": "Not armed",
    "disarm": "Not disarmed",
    "reset": "Not reset",
    "take": "Lease not taken",
    "give": "Lease not given back",
    "e_stop": "E-STOP not sent",
}
UNCONFIRMED_S: Final = 0.15
STOP_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request went; `error` is '' when it was taken, else words for a person."""

    what: str
    error: str = ""

    @property
    def title(self) -> str:
        """For a toast."""
        return _TITLES[self.what]


class Actions(QObject):
    """Belongs to the GUI thread.  One request of a kind at a time: a second press changes nothing."""

    finished = pyqtSignal(object)  # an Outcome

    def __init__(self, link: Link, keys: Callable[[], KeyMap] = lambda: USUAL_KEYS) -> None:
        """`keys` is for words only; asked from any thread."""
        super().__init__()
        self.link = link
        self._keys = keys
        self._running: set[str] = set()
        self._disarms = 0  # asked for so far: an Arm that fails because of one is no error
        self._e_stop_s: float | None = None  # when it was pressed; None once Status says E_STOP
        self._closed = threading.Event()

    def arm(self) -> None:
        """Take the lease if it is free, and arm; the hands must be neutral."""
        disarms = self._disarms

        def arm(operator: Operator) -> None:
            try:
                operator.arm()
            except PynetError:
                if self._disarms == disarms:
                    raise
            else:
                if self._disarms != disarms:  # it went by between our lease and our Arm
                    operator.disarm()

        self._ask("arm", arm)

    def disarm(self) -> None:
        self._disarms += 1
        self._ask("disarm", Operator.disarm)

    def reset(self) -> None:
        self._ask("reset", Operator.reset)

    def take_lease(self) -> None:
        """Also from somebody of the same priority."""
        self._ask("take", lambda operator: operator.lease(take=True))

    def give_lease(self) -> None:
        self._ask("give", Operator.release)

    def e_stop(self) -> None:
        """Stop, and try until Status says so, link or no link."""
        self._disarms += 1
        if self.link.operator is not None:  # else nothing is sent, now or later, and that is said
            self._e_stop_s = self._e_stop_s or time.monotonic()
        self._ask("e_stop", self._stop_until_confirmed)

    @property
    def is_arming(self) -> bool:
        return "arm" in self._running

    def is_stop_unconfirmed(self, now_s: float) -> bool:
        """It was pressed 150 ms ago and no Status says so yet."""
        return self._is_stop_open() and now_s - (self._e_stop_s or now_s) > UNCONFIRMED_S

    def close(self) -> None:
        """Nothing is tried any longer."""
        self._closed.set()

    def _is_stop_open(self) -> bool:
        newest, pressed_s = self.link.heard.status, self._e_stop_s
        if pressed_s is None:
            return False
        if newest is not None and newest.message.state is State.E_STOP and newest.at_s >= pressed_s:
            self._e_stop_s = None
        return self._e_stop_s is not None

    def _ask(self, what: str, request: Callable[[Operator], object]) -> None:
        operator = self.link.operator
        if operator is None:
            self.finished.emit(Outcome(what, no_robot(self._keys())))
            return
        # An E-STOP is never taken for the one before: that may just be over.
        if what in self._running and what != "e_stop":
            return

        def run() -> None:
            try:
                request(operator)
                outcome = Outcome(what)
            except PynetError as exc:
                _log.info("%s: %s", what, exc)
                outcome = Outcome(what, self._words(exc))
            self._running.discard(what)
            if not self._closed.is_set():
                self.finished.emit(outcome)
            self.link.news.announce()

        self._running.add(what)
        threading.Thread(target=run, name=f"pynet {what}", daemon=True).start()

    def _stop_until_confirmed(self, operator: Operator) -> None:
        while not self._closed.is_set() and self._is_stop_open():
            try:
                operator.e_stop()
                self._closed.wait(UNCONFIRMED_S)  # taken; Status follows within 20 ms
            except PynetError as exc:
                _log.warning("E-STOP not confirmed: %s", exc)
                self._closed.wait(STOP_AGAIN_S)

    def _words(self, error: PynetError) -> str:
        newest, description = self.link.heard.status, self.link.heard.description
        holder = newest.message.holder_name if newest is not None else ""
        robot = description.name if description is not None else "the robot"
        match error:
            case CarRefused(verdict=Verdict.NO_LEASE) if holder:
                return f"{holder} drives. Take the lease first ({self._keys().cap(Deed.TAKE)})."
            case CarRefused():
                return f"{error}."
            case SubroutineError(code=403) | Refused(code=403):
                return f"You may watch, not drive. An admin of {robot} can change that."
            case _ if self.link.connection is Connection.LOST:
                return "No link to the robot. It comes back by itself; then try again."
            case _:
                return f"{error}."
