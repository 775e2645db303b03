"""The robots that tell this network of themselves, listened for in a thread while somebody looks for one."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from pynet_core.discovery import FoundGateway, find_gateways

_log = logging.getLogger(__name__)

LISTEN_S: Final = 2.0
LOOK_MS: Final = 500  # whether somebody chooses a robot
KEPT_S: Final = 10.0  # Wi-Fi loses such messages: one that is not heard again is shown so long


class Finder(QObject):
    """GUI thread, but for the thread that listens."""

    changed = pyqtSignal()
    _heard = pyqtSignal(object)  # list[FoundGateway]

    def __init__(
        self,
        find: Callable[[float], list[FoundGateway]] = find_gateways,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._find = find
        self._clock = clock
        self._last_s: dict[FoundGateway, float] = {}
        self._trouble = ""
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._heard.connect(self._on_heard)
        self._looks = QTimer(self)
        self._looks.setInterval(LOOK_MS)

    @property
    def found(self) -> tuple[FoundGateway, ...]:
        """By name."""
        return tuple(sorted(self._last_s, key=lambda each: (each.name, each.addresses, each.port)))

    def listen_while(self, is_wanted: Callable[[], bool]) -> None:
        """From now on, whenever that is so."""
        self._looks.timeout.connect(lambda: self.listen() if is_wanted() else None)
        self._looks.start()

    def listen(self) -> None:
        """For two seconds, unless it does already."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="pynet find", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Say nothing more."""
        self._looks.stop()
        self._is_closed.set()

    def _run(self) -> None:
        found: list[FoundGateway] = []
        try:
            found = self._find(LISTEN_S)
        except Exception as exc:  # not our code, or not installed: robots can still be typed
            if str(exc) != self._trouble:
                _log.warning("no robots can be found: %s", exc)
            self._trouble = str(exc)
        if not self._is_closed.is_set():
            with contextlib.suppress(RuntimeError):  # the window has gone this moment
                self._heard.emit(found)

    def _on_heard(self, found: list[FoundGateway]) -> None:
        now_s = self._clock()
        before = self.found
        for old in [each for each in self._last_s if any(_answers_where(each, new) for new in found)]:
            del self._last_s[old]  # it tells another address too by now, or one less
        self._last_s.update(dict.fromkeys(found, now_s))
        self._last_s = {each: last_s for each, last_s in self._last_s.items() if now_s - last_s < KEPT_S}
        if self.found != before:
            self.changed.emit()


def _answers_where(one: FoundGateway, other: FoundGateway) -> bool:
    return one.port == other.port and not set(one.addresses).isdisjoint(other.addresses)
