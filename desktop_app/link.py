"""One robot over the swarm, for one window: an Operator, what it hears, and signals for the GUI thread.

Nothing here waits in the GUI's thread.  "pynet link" connects, and then asks
the robot now and then what it is; streams have a thread each (the Operator's).

Which keys a connection takes is the Controller's to say: none on this machine.
A robot here that wants some all the same gets those of the keyring, and one
whose key is known has to show that very key.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from PyQt5.QtCore import QObject, pyqtSignal

from desktop_app.address import format_address
from desktop_app.announcer import Announcer
from desktop_app.belief import SILENT_S
from desktop_app.event_log import EventLog
from desktop_app.heard import Heard
from desktop_app.keyring import Keyring, Keys
from desktop_app.samples import Samples, points
from desktop_app.sanity import makes_sense, sane_odometry, sane_scan, tidy
from desktop_app.settings import Robot
from desktop_app.view import Connection, Pairing
from desktop_app.words import KEY_CHANGED, connection_words, link_is_back, pairing_of
from pynet_car.messages import CameraFrame, Event, Odometry, Priority, Scan, Severity, State, Status
from pynet_car.operator import Operator
from pynet_core.errors import PynetError, Refused

_log = logging.getLogger(__name__)

RENEW_WITHIN_S: Final = 0.1  # a window that is stuck for longer sends one neutral, then nothing
CONNECT_TIMEOUT_S: Final = 2.0
RETRY_S: Final = 0.5
REFUSED_RETRY_S: Final = 2.0  # it heard us and said no: asking more often helps nobody
DESCRIBE_PERIOD_S: Final = 5.0
WATCH_S: Final = 0.1
LOST_S: Final = 1.0  # without Status for this long the Operator opens new pairs
OWN_STREAMS: Final = ("camera", "status", "events", "proximity", "encoder")


class Link(QObject):
    """Belongs to the GUI thread, but for what says otherwise."""

    closed = pyqtSignal()  # after `close`, once the robot is disarmed or out of reach

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str,
        on_frame: Callable[[CameraFrame], None],
        events: EventLog,
        samples: Samples,
        keyring: Keyring | None = None,
        known: Robot | None = None,
    ) -> None:
        """Start connecting.

        `name` is what others see of us; `on_frame` is called in the camera's
        thread; `known` is what is remembered of the robot at this address.
        """
        super().__init__()
        self.host = host
        self.port = port
        self.known = known
        self.news = Announcer()  # the connection, the state, the lease or the events: shown at once
        self.heard = Heard("", self._car_now_ns)
        self.error = ""  # why there is no link, in words
        self.pairing = Pairing.NONE
        self.since_s = time.monotonic()  # when it began to connect, and then when it did
        self.arm_key = "Enter"  # for words only
        self._name = name
        self._keyring = keyring or Keyring()
        self._keys: Keys | None = None
        self._on_frame = on_frame
        self._events = events
        self._samples = samples
        self._operator: Operator | None = None
        self._subscribed: set[str] = set()
        self._told_nonsense: set[str] = set()
        self._was_lost = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pynet link", daemon=True)
        self._thread.start()

    # What the GUI asks.

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)

    @property
    def robot_name(self) -> str:
        """What it calls itself, or called itself when it was last seen; '' is not known."""
        description = self.heard.description
        if description is not None:
            return description.name
        return self.known.name if self.known is not None else ""

    @property
    def operator(self) -> Operator | None:
        """None until the first connection; from then on it mends itself."""
        return self._operator

    @property
    def fingerprint(self) -> str:
        """Of the robot that has answered; '' where it did not have to prove who it is."""
        return self._operator.car_fingerprint if self._operator is not None else ""

    @property
    def connection(self) -> Connection:
        if self._operator is None:
            return Connection.CONNECTING
        return Connection.LOST if self.heard.gauge.silent_s(time.monotonic()) > LOST_S else Connection.UP

    def wish(self, throttle: float, steering: float) -> None:
        """What the hands ask now.  Only from a tick that ran on time: this is where it is stamped."""
        if self._operator is not None:
            self._operator.wish(throttle, steering)

    def tell(self, severity: Severity, kind: str, text: str) -> None:
        """An event of this window's own; any thread."""
        self._events.add(
            Event(captured_ns=time.monotonic_ns(), severity=severity, kind=kind, text=text), time.time()
        )
        self.news.announce()

    def close(self) -> None:
        """Disarm, give the lease back and end, in the link's own thread; `closed` says when."""
        self._closing.set()

    def panic(self) -> None:
        """Neutral and disarm, from any thread: something in this window failed."""
        operator = self._operator
        if operator is None or not self.heard.has_lease:
            return

        def disarm() -> None:
            try:
                operator.disarm()
            except PynetError as exc:
                _log.warning("could not disarm: %s; the robot's failsafe will", exc)

        operator.wish(0.0, 0.0)
        threading.Thread(target=disarm, name="pynet panic", daemon=True).start()

    # The link's thread.

    def _run(self) -> None:
        operator = self._connect()
        if operator is not None:
            try:
                self._watch(operator)
            finally:
                operator.close()  # disarms first
        self.closed.emit()

    def _connect(self) -> Operator | None:
        while not self._closing.is_set():
            try:
                operator = self._open()
            except PynetError as exc:
                self._say_why(exc)
                self._closing.wait(REFUSED_RETRY_S if isinstance(exc, Refused) else RETRY_S)
                continue
            if self._closing.is_set():
                operator.close()
                break
            self.error, self.pairing, self.since_s = "", Pairing.NONE, time.monotonic()
            self.heard = Heard(operator.id, self._car_now_ns)
            self._operator = operator
            self._subscribe(operator)
            self.news.announce()
            return operator
        return None

    def _open(self) -> Operator:
        """With the keys that were asked for last, or with the others.  Raises PynetError."""
        if self._is_key_known():
            assert self.known is not None
            return self._operator_with(self._keyring.load(only=self.known.fingerprint))
        try:
            return self._operator_with(self._keys)
        except Refused as exc:
            others = self._keys
            if exc.code == 401 and self._keys is None:
                others = self._keyring.load()
            elif exc.code == 426:  # it speaks no TLS
                others = None
            if others is self._keys:
                raise
            self._keys = others
        return self._operator_with(others)

    def _is_key_known(self) -> bool:
        """Whether the robot at this address has shown a key that is still on our list."""
        self._keyring.look()
        return self.known is not None and self._keyring.is_known(self.known.fingerprint)

    def _operator_with(self, keys: Keys | None) -> Operator:
        return Operator(
            self.host,
            self.port,
            name=self._name,
            priority=Priority.HUMAN,
            renew_within_s=RENEW_WITHIN_S,
            timeout_s=CONNECT_TIMEOUT_S,
            identity=keys.identity if keys else None,
            trust=keys.trust if keys else None,
        )

    def _say_why(self, error: PynetError) -> None:
        self.pairing = pairing_of(error, is_known=self._is_key_known())
        words = connection_words(error, self.robot_name, self.address)
        if self.pairing is Pairing.CHANGED:
            words = KEY_CHANGED.format(robot=self.robot_name or self.address)
        if words != self.error:
            _log.info("%s: %s", self.address, error)
            self.error = words
            self.news.announce()

    def _subscribe(self, operator: Operator) -> None:
        self._take_status(operator.status)
        operator.on_status(self._take_status)
        operator.on_frame(self._on_frame)
        operator.on_proximity(functools.partial(self._take_scan, "proximity"))
        operator.on_odometry(self._take_odometry)
        operator.on_event(self._take_event)
        self._subscribed.update(OWN_STREAMS)

    def _watch(self, operator: Operator) -> None:
        describe_at_s, boot = 0.0, -1
        while not self._closing.wait(WATCH_S):
            now_s = time.monotonic()
            self._watch_silence(operator, now_s)
            status = self.heard.status
            if self._was_lost or status is None:
                continue
            if now_s >= describe_at_s or status.message.boot != boot:
                is_told = self._describe(operator)
                describe_at_s = now_s + (DESCRIBE_PERIOD_S if is_told else RETRY_S)
                boot = status.message.boot

    def _watch_silence(self, operator: Operator, now_s: float) -> None:
        is_lost = self.connection is Connection.LOST
        if is_lost:
            if isinstance(operator.link_error, Refused):
                self._say_why(operator.link_error)
            if not self._was_lost:
                self.tell(Severity.WARNING, "link_lost", "Link lost. Trying every 0.5 s.")
        elif self._was_lost:
            self.error, self.pairing = "", Pairing.NONE
            is_disarmed = self.heard.state(now_s) is State.DISARMED
            self.tell(
                Severity.INFO, "link_back", link_is_back(self.arm_key) if is_disarmed else "Link is back."
            )
        self._was_lost = is_lost

    def _describe(self, operator: Operator) -> bool:
        """What it is and offers may change: a sensor comes back, a robot starts anew."""
        try:
            description = tidy(operator.describe())
        except (PynetError, ValueError) as exc:
            _log.warning("%s does not describe itself: %s", self.address, exc)
            return False
        is_new = description != self.heard.description
        self.heard.take_description(description, time.monotonic())
        for stream in description.streams:
            if stream.name not in self._subscribed:
                self._subscribed.add(stream.name)
                operator.on_scan(stream.name, functools.partial(self._take_scan, stream.name))
        if is_new:
            self.news.announce()
        return True

    def _car_now_ns(self) -> int | None:
        operator = self._operator
        return None if operator is None or operator.rtt_ns is None else operator.car_now_ns()

    # The streams' threads.

    def _take_status(self, status: Status) -> None:
        now_s = time.monotonic()
        if not makes_sense(status):
            self._doubt("status")
            return
        newest = self.heard.status
        before = newest.message if newest is not None and now_s - newest.at_s <= SILENT_S else None
        self.heard.take_status(status, now_s)
        if before is None or (before.state, before.reason, before.holder) != (
            status.state,
            status.reason,
            status.holder,
        ):
            self.news.announce()

    def _take_odometry(self, message: Odometry) -> None:
        odometry = sane_odometry(message)
        if odometry is not message:
            self._doubt("encoder")
        self.heard.take_odometry(odometry, time.monotonic())
        self._chart("encoder", odometry)

    def _take_scan(self, name: str, message: Scan) -> None:
        scan = sane_scan(message)
        if scan is not message:
            self._doubt(name)
        if name == "proximity":
            self.heard.take_scan(scan, time.monotonic())
        self._chart(name, scan)

    def _chart(self, name: str, message: Scan | Odometry) -> None:
        now_s = time.monotonic()
        self._samples.put(
            points(name, message, age_s=lambda ns: self.heard.age_s(ns, now_s, now_s), now_s=now_s)
        )

    def _take_event(self, event: Event) -> None:
        now_s = time.monotonic()
        age_s = self.heard.age_s(event.captured_ns, now_s, now_s)
        self._events.add(event, time.time() - (age_s if age_s < 3600.0 else 0.0))
        self.news.announce()

    def _doubt(self, stream: str) -> None:
        """Say once for each stream that it carries nonsense."""
        if stream not in self._told_nonsense:
            self._told_nonsense.add(stream)
            self.tell(Severity.WARNING, "nonsense", f"{stream}: figures that make no sense, not shown.")
