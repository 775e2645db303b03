"""What the robot offers on its gateway, by name, and how each name reaches the guardian or a sensor.

Nothing is decided here: a command is labelled with who sent it and handed over
at once, an event waits for the guardian's own answer.  Streams carry what was
published last (camera, sensors, status) or every item (events).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeVar

from msgspec import Struct

from pi_agent.link import CameraSeen, GuardianLink, Labelled, PeerGone, Request, Result
from pi_agent.report import Pulse
from pi_agent.telemetry import Telemetry
from pynet_car.messages import (
    PATH_LIFESPAN_NS,
    Arm,
    CameraFrame,
    Command,
    Description,
    Disarm,
    DrivePath,
    EStop,
    Event,
    Lease,
    Odometry,
    Release,
    Reset,
    Scan,
    State,
    Status,
    Verdict,
    decode,
    decode_command,
    encode,
)
from pynet_core.errors import DeadlineExceeded, LinkClosed, PynetError
from pynet_core.feed import Feed
from pynet_core.gateway import Gateway
from pynet_core.mailbox import Mailbox
from pynet_core.subroutines import Peer, caller

ANSWER_S: Final = 0.1  # ten of the guardian's ticks
GONE_S: Final = 2.0  # a guardian that hangs longer is killed by its watchdog, and we with it
TO_GUARDIAN: Final = ("proximity", "encoder")  # the sensors it judges by; a plugin may not pose as them
OWN_STREAMS: Final = ("camera", "status", "events", "telemetry")
OWN_CALLS: Final = ("drive", "path", "lease", "release", "arm", "disarm", "reset", "e_stop", "describe")
OWN_NAMES: Final = frozenset({*OWN_STREAMS, *OWN_CALLS})  # not for plugins, offered yet or not

log = logging.getLogger(__name__)
_Message = TypeVar("_Message", bound=Struct)


class GuardianSilent(DeadlineExceeded):
    """The guardian takes no message or gives no answer; the watchdog will see to it."""


class BadMessage(PynetError, ValueError):
    """The peer's bytes are not the message this subroutine takes."""


class Offers:
    """The robot's subroutines.

    `deliver` belongs to the thread that reads the guardian's link; `publish`
    and `tell` may be called by any; the rest runs in handlers' threads.
    """

    def __init__(self, link: GuardianLink, describe: Callable[[], Description]) -> None:
        self._link = link
        self._describe = describe
        self._status: Status | None = None
        self._streams = {"status": Feed(), "events": Feed()}
        self._telemetry = Telemetry()
        self.pulses: dict[str, Pulse] = {}  # of the camera and each sensor
        self.peers: Counter[str] = Counter()  # "laptop (driver)": its open pairs
        self._ids = itertools.count(1)
        self._waiting: dict[int, Mailbox[Result]] = {}
        self._lock = threading.Lock()
        self._drive_pairs: dict[str, set[str]] = {}  # controller id -> pairs that have sent commands

    # Set-up.

    def register(self, gateway: Gateway, streams: Iterable[str]) -> None:
        """Add every subroutine; `streams` names the camera, if there is one, and the sensors."""
        for name in streams:
            self._streams[name] = Feed()
            self.pulses[name] = Pulse()
        for name, feed in self._streams.items():
            gateway.add_subroutine(name, feed, keep="every" if name == "events" else "latest")
        gateway.add_subroutine("telemetry", self._telemetry.feed, keep="latest", keyed=True)
        for name, subroutine in {
            "drive": self._drive,
            "path": self._path,
            "lease": self._lease,
            "arm": self._arm,
            "release": self._ask_for(Release(), "Give the lease back."),
            "disarm": self._ask_for(Disarm(), "Let the motors turn no more until the car is armed again."),
            "reset": self._reset,
        }.items():
            gateway.add_subroutine(name, subroutine, role="driver")
        gateway.add_subroutine("e_stop", self._ask_for(EStop(), "Stop, until reset."), role="viewer")
        gateway.add_subroutine("describe", self._say_what_this_is, role="viewer")

    def on_pair(self, peer: Peer, what: Literal["opened", "closed"]) -> None:
        """The gateway's on_pair: tells the guardian when a driver's last drive pair has closed."""
        with self._lock:
            title = f"{peer.name or peer.controller_id[:8]} ({peer.role})"
            self.peers[title] += 1 if what == "opened" else -1
            if not self.peers[title]:
                del self.peers[title]
        if what == "closed" and self._was_last_drive_pair(peer):
            with contextlib.suppress(LinkClosed):  # a guardian that is gone needs no telling
                self._tell_gone(peer)

    @property
    def status(self) -> Status | None:
        """The guardian's newest word."""
        return self._status

    def close(self) -> None:
        """End every stream."""
        for feed in self._streams.values():
            feed.close()
        self._telemetry.feed.close()

    # What comes up from the guardian and from our own threads.

    def deliver(self, message: Struct) -> None:
        """Pass on one message of the guardian's, a `link.ToWorker`."""
        match message:
            case Status():
                self._status = message
                self._streams["status"].put(encode(message))
            case Event():
                self.tell(message)
            case Result():
                waiting = self._waiting.get(message.id)
                if waiting is not None:
                    waiting.put(message)

    def tell(self, event: Event) -> None:
        """Send an event to everybody who listens."""
        self._streams["events"].put(encode(event))

    def publish(self, name: str, measurement: Scan | Odometry) -> None:
        """A sensor's newest measurement: to who streams it, and to the guardian if it judges by it."""
        if name in TO_GUARDIAN:
            self._send_newest(measurement)
        self.pulses[name].beat(time.monotonic_ns())
        self._streams[name].put(encode(measurement))
        self._telemetry.put(name, measurement)

    def publish_frame(self, frame: CameraFrame) -> None:
        """The camera's newest frame: to who streams it, and its time to the guardian."""
        self._send_newest(CameraSeen(captured_ns=frame.captured_ns))
        self.pulses["camera"].beat(time.monotonic_ns())
        self._streams["camera"].put(encode(frame))

    def _send_newest(self, message: Scan | Odometry | CameraSeen) -> None:
        """To the guardian; a full link drops it, for the next one is newer."""
        with contextlib.suppress(LinkClosed):  # who reads the link sees it too, and ends the process in order
            self._link.send(message)

    # Subroutines; each in its peer's handler thread.

    def _drive(self, buffer: bytes = b"") -> int:
        """Drive by a DriveCommand or a DrivePath: either, so one pair carries both, in order."""
        return self._hand_over(_decode(buffer, decode_command, "drive", "DriveCommand or a DrivePath"))

    def _path(self, buffer: bytes = b"") -> int:
        """Drive along a DrivePath."""
        return self._hand_over(_decode_one(buffer, DrivePath, "path"))

    def _hand_over(self, command: Command) -> int:
        """One command; the verdict is what the newest Status lets expect."""
        peer = caller()
        self._note_drive_pair(peer)
        if not self._link.send(Labelled(peer=peer.controller_id, command=command)):
            return Verdict.STALE  # the guardian hangs; by its next tick this command is old
        return self._expect(command, peer)

    def _expect(self, command: Command, peer: Peer) -> Verdict:
        status = self._status
        if status is None or status.holder != peer.controller_id or status.session != command.session:
            return Verdict.NO_LEASE
        is_path = isinstance(command, DrivePath)
        lifespan_ns = PATH_LIFESPAN_NS if is_path else status.lifespan_ms * 1_000_000
        if time.monotonic_ns() - command.answers_ns > lifespan_ns:
            return Verdict.STALE
        if is_path and status.path_left_m >= 0.0 and status.verdict is Verdict.LIMITED:
            return Verdict.LIMITED  # as the path before was: what holds this car back will do so still
        return Verdict.TAKEN if status.state is State.ARMED else Verdict.DISARMED

    def _lease(self, buffer: bytes = b"") -> int:
        """Be the one who drives."""
        return self._ask(_decode_one(buffer, Lease, "lease") if buffer else Lease())

    def _arm(self, buffer: bytes = b"") -> int:
        """Let the motors turn; takes the lease."""
        return self._ask(_decode_one(buffer, Arm, "arm"))

    def _reset(self, buffer: bytes = b"") -> int:
        """Leave E-STOP."""
        return self._ask(_decode_one(buffer, Reset, "reset") if buffer else Reset())

    def _say_what_this_is(self) -> bytes:
        """Name, board, streams and limits: a Description."""
        return encode(self._describe())

    def _ask_for(self, event: Release | Disarm | EStop, doc: str) -> Callable[..., int]:
        def ask(buffer: bytes = b"") -> int:
            return self._ask(event)

        ask.__doc__ = doc
        return ask

    def _ask(self, event: Lease | Release | Arm | Disarm | EStop | Reset) -> int:
        """The guardian's own answer to one event."""
        peer = caller()
        number = next(self._ids)
        answer: Mailbox[Result] = Mailbox()
        self._waiting[number] = answer
        try:
            request = Request(id=number, peer=peer.controller_id, peer_name=peer.name, event=event)
            if not self._link.send(request):
                raise GuardianSilent("guardian silent: it takes no more messages")
            result = answer.take(ANSWER_S)
        finally:
            del self._waiting[number]
        if result is None:
            raise GuardianSilent(f"guardian silent: no answer within {ANSWER_S * 1000:.0f} ms")
        return result.code

    # Drive pairs.

    def _note_drive_pair(self, peer: Peer) -> None:
        pairs = self._drive_pairs.get(peer.controller_id)
        if pairs is None or peer.pair_id not in pairs:
            with self._lock:
                self._drive_pairs.setdefault(peer.controller_id, set()).add(peer.pair_id)

    def _was_last_drive_pair(self, peer: Peer) -> bool:
        with self._lock:
            pairs = self._drive_pairs.get(peer.controller_id, set())
            if peer.pair_id not in pairs:
                return False
            pairs.discard(peer.pair_id)
            if not pairs:
                del self._drive_pairs[peer.controller_id]
            return not pairs

    def _tell_gone(self, peer: Peer) -> None:
        """An event must not vanish, and this one has no caller to tell: try until it is taken."""
        request = Request(id=next(self._ids), peer=peer.controller_id, peer_name=peer.name, event=PeerGone())
        deadline_s = time.monotonic() + GONE_S
        while not self._link.send(request):
            if time.monotonic() > deadline_s:
                log.error("guardian silent: it was not told that %s has gone", peer.name)
                return
            time.sleep(0.01)


def _decode_one(buffer: bytes, kind: type[_Message], name: str) -> _Message:
    return _decode(buffer, lambda data: decode(data, kind), name, kind.__name__)


def _decode(buffer: bytes, take: Callable[[bytes], _Message], name: str, what: str) -> _Message:
    try:
        return take(buffer)
    except ValueError as exc:
        raise BadMessage(f"{name!r} takes a {what}, got {len(buffer)} B that are none: {exc}") from exc
