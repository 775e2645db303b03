"""The robots that tell this network of themselves, listened for in a thread while somebody looks for one."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from desktop_app.address import format_address, parse_address
from desktop_app.sanity import clip
from desktop_app.settings import Robot
from desktop_app.view import KnownRobot
from pynet_core.discovery import ROBOT, FoundGateway, find_gateways

_log = logging.getLogger(__name__)

LISTEN_S: Final = 2.0
LOOK_MS: Final = 500  # whether somebody chooses a robot
KEPT_S: Final = 10.0  # Wi-Fi loses such messages: one that is not heard again is shown so long
MAX_SHOWN: Final = 8  # anybody may say that he is a robot


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


def strangers(found: Iterable[FoundGateway], remembered: Sequence[Robot]) -> tuple[KnownRobot, ...]:
    """Rows for the robots that are not remembered, or are at a new address; nothing else can be driven."""
    rows = []
    for each in (each for each in found if each.kind == ROBOT):
        for host in each.addresses[:1]:
            if _is_address(host, each.port) and not any(_is_same(each, robot) for robot in remembered):
                rows.append(
                    KnownRobot(
                        address=format_address(host, each.port),
                        name=clip(each.name),
                        board=clip(each.host),
                        is_found=True,
                    )
                )
    return tuple(rows[:MAX_SHOWN])


def _is_address(host: str, port: int) -> bool:
    try:
        return parse_address(format_address(host, port)) == (host, port)
    except ValueError:
        return False


def _answers_where(one: FoundGateway, other: FoundGateway) -> bool:
    return one.port == other.port and not set(one.addresses).isdisjoint(other.addresses)


def _is_same(found: FoundGateway, robot: Robot) -> bool:
    """Whether a click on the remembered one comes to this one too."""
    if robot.host in found.addresses and robot.port == found.port:
        return True
    try:
        ipaddress.ip_address(robot.host)
    except ValueError:  # a name, which leads to where the robot is now
        return bool(found.fingerprint) and robot.fingerprint.startswith(found.fingerprint)
    return False
