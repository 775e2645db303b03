"""What clients get and send by name, over a real gateway, with a guardian that is played."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from msgspec import Struct

from pi_agent import offers as offers_module
from pi_agent.link import CameraSeen, GuardianLink, Labelled, PeerGone, Request, Result, ToGuardian, ToWorker
from pi_agent.offers import OWN_NAMES, Offers
from pynet_car.messages import (
    Arm,
    CameraFrame,
    Description,
    Disarm,
    DriveCommand,
    DrivePath,
    EStop,
    Event,
    Lease,
    Odometry,
    PathPoint,
    Priority,
    Release,
    Reset,
    Scan,
    Severity,
    State,
    Status,
    Verdict,
    decode,
    encode,
)
from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import SubroutineError
from pynet_core.gateway import Gateway

DESCRIPTION = Description(
    name="car",
    board="b",
    simulated=True,
    has_camera=True,
    streams=(),
    max_throttle=1.0,
    lifespan_ms=200,
    version="0",
)
ODOMETRY = Odometry(
    seq=1,
    captured_ns=5,
    left_ticks=0,
    right_ticks=0,
    distance_m=0.0,
    x_m=0.0,
    y_m=0.0,
    heading_rad=0.0,
    velocity_mps=0.0,
    yaw_rate_radps=0.0,
)
FRAME = CameraFrame(seq=1, captured_ns=5, width_px=2, height_px=2, jpeg=b"jpeg")
EVENT = Event(captured_ns=1, severity=Severity.INFO, kind="armed", text="Armed.")
HOLDER = "the client's"


class Rig:
    """A gateway with the offers, the worker's link thread, and a guardian that records and answers."""

    def __init__(self) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.worker_end = GuardianLink(near, ToWorker)
        self.guardian_end = GuardianLink(far, ToGuardian)
        self.heard: list[Struct] = []
        self.answer: Callable[[Request], Result | None] = lambda request: Result(
            id=request.id, code=Verdict.TAKEN, reason=""
        )
        self._progress = threading.Condition()
        self._ending = False
        self.offers = Offers(self.worker_end, lambda: DESCRIPTION)
        self.gateway = Gateway(0, 64, on_pair=self.offers.on_pair)
        self.offers.register(self.gateway, ["camera", "proximity", "encoder", "battery"])
        self.gateway.start()
        self._threads = [
            threading.Thread(target=self._play_guardian),
            threading.Thread(target=self._read_link),
        ]
        for thread in self._threads:
            thread.start()
        self.controller = Controller("", self.gateway.port, name="tester")

    def _play_guardian(self) -> None:
        for message in self._messages(self.guardian_end):
            with self._progress:
                self.heard.append(message)
                self._progress.notify_all()
            if isinstance(message, Request) and (result := self.answer(message)) is not None:
                self.guardian_end.send(result)

    def _read_link(self) -> None:
        for message in self._messages(self.worker_end):
            self.offers.deliver(message)

    def _messages(self, link: GuardianLink) -> Iterator[Struct]:
        poll = select.poll()
        poll.register(link, select.POLLIN)
        while not self._ending:
            if poll.poll(20):
                while (message := link.receive()) is not None:
                    yield message

    def until_heard(self, kind: type[Struct], count: int = 1) -> list[Struct]:
        def matching() -> list[Struct]:
            return [m for m in self.heard if isinstance(m, kind)]

        with self._progress:
            assert self._progress.wait_for(lambda: len(matching()) >= count, 10), self.heard
            return matching()

    def client(self, purpose: str = "control") -> Client:
        return self.controller.get_client(purpose=purpose)

    def show(self, status: Status) -> None:
        """Let the worker know this Status."""
        self.guardian_end.send(status)
        deadline = time.monotonic() + 10
        while self.offers._status != status and time.monotonic() < deadline:
            time.sleep(0.001)

    def close(self) -> None:
        self.offers.close()
        assert self.gateway.stop() == []
        self._ending = True
        for thread in self._threads:
            thread.join()
        self.worker_end.close()
        self.guardian_end.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def command(session: int = 7, seq: int = 1, answers_ns: int | None = None) -> DriveCommand:
    return DriveCommand(
        session=session,
        seq=seq,
        throttle=0.5,
        steering=-0.25,
        answers_ns=time.monotonic_ns() if answers_ns is None else answers_ns,
    )


def status(rig: Rig, **changes: object) -> Status:
    values: dict[str, object] = {
        "boot": 1,
        "stamp_ns": 1,
        "state": State.ARMED,
        "reason": "",
        "holder": rig.controller.id,
        "session": 7,
        **changes,
    }
    return Status(**values)  # type: ignore[arg-type]


# Streams


def first_item(rig: Rig, name: str, put: Callable[[], object]) -> bytes:
    """Subscribe, put until something comes, and return it."""
    got: list[bytes] = []

    def take(_: str, ident: int, item: bytes) -> bool:
        got.append(item)
        return False

    with rig.client("stream") as client:
        streaming = threading.Thread(target=lambda: client.get_subroutine_stream(name, take))
        streaming.start()
        while streaming.is_alive():
            put()
            streaming.join(0.01)
    return got[0]


def test_each_stream_carries_what_is_published_under_its_name(rig: Rig) -> None:
    scan = Scan(readings=())
    now = status(rig)
    assert decode(first_item(rig, "camera", lambda: rig.offers.publish_frame(FRAME)), CameraFrame) == FRAME
    assert decode(first_item(rig, "proximity", lambda: rig.offers.publish("proximity", scan)), Scan) == scan
    assert (
        decode(first_item(rig, "encoder", lambda: rig.offers.publish("encoder", ODOMETRY)), Odometry)
        == ODOMETRY
    )
    assert decode(first_item(rig, "battery", lambda: rig.offers.publish("battery", scan)), Scan) == scan
    assert decode(first_item(rig, "status", lambda: rig.guardian_end.send(now)), Status) == now
    assert decode(first_item(rig, "events", lambda: rig.guardian_end.send(EVENT)), Event) == EVENT


def test_whoever_lists_what_there_is_reads_what_each_function_does(rig: Rig) -> None:
    functions = [each for each in rig.controller.list_subroutines() if each.kind == "function"]
    assert {each.name for each in functions} >= {"drive", "e_stop", "describe"}
    assert [each.name for each in functions if not each.doc] == []


def test_events_of_the_worker_itself_are_sent_too(rig: Rig) -> None:
    assert decode(first_item(rig, "events", lambda: rig.offers.tell(EVENT)), Event) == EVENT


def test_the_guardian_gets_proximity_odometry_and_camera_times_but_no_other_sensor(rig: Rig) -> None:
    rig.offers.publish("battery", Scan(readings=()))
    rig.offers.publish("proximity", Scan(readings=()))
    rig.offers.publish("encoder", ODOMETRY)
    rig.offers.publish_frame(FRAME)
    rig.until_heard(CameraSeen)
    assert rig.heard == [Scan(readings=()), ODOMETRY, CameraSeen(captured_ns=5)]


def test_leaving_and_joining_a_quiet_stream_again_leaves_no_threads_behind(rig: Rig) -> None:
    def pumps() -> int:
        return sum(thread.name == "pynet pump events" for thread in threading.enumerate())

    for _ in range(5):
        with rig.client("stream") as client:
            subscription = client.subscribe("events", lambda *_: None)
            subscription.stop()
    deadline = time.monotonic() + 10
    while pumps() > 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert pumps() <= 1


# Events of drivers


@pytest.mark.parametrize(
    ("name", "buffer", "event"),
    [
        (
            "lease",
            encode(Lease(priority=Priority.HUMAN, take=True)),
            Lease(priority=Priority.HUMAN, take=True),
        ),
        ("lease", None, Lease()),
        ("release", None, Release()),
        ("arm", encode(Arm(answers_ns=12)), Arm(answers_ns=12)),
        ("disarm", None, Disarm()),
        ("reset", None, Reset()),
        ("reset", encode(Reset(answers_ns=12)), Reset(answers_ns=12)),
        ("e_stop", None, EStop()),
        ("e_stop", b"whatever: a stop is never refused for its form", EStop()),
    ],
)
def test_an_event_reaches_the_guardian_labelled_and_brings_its_answer_back(
    rig: Rig, name: str, buffer: bytes | None, event: Struct
) -> None:
    rig.answer = lambda request: Result(id=request.id, code=Verdict.LIMITED, reason="")
    with rig.client() as client:
        assert client.send_subroutine_batch(name, buffer) == Verdict.LIMITED
    (request,) = rig.until_heard(Request)
    assert isinstance(request, Request)
    assert (request.peer, request.peer_name, request.event) == (rig.controller.id, "tester", event)


def test_answers_find_their_own_question(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty at once, answered in reverse order."""
    monkeypatch.setattr(offers_module, "ANSWER_S", 10.0)
    held: list[Request] = []

    def hold(request: Request) -> None:
        held.append(request)
        if len(held) == 20:
            for late in reversed(held):
                code = Verdict.TAKEN if isinstance(late.event, Disarm) else Verdict.NO_LEASE
                rig.guardian_end.send(Result(id=late.id, code=code, reason=""))

    rig.answer = hold
    codes: dict[str, list[int]] = {"disarm": [], "release": []}

    def ask(name: str) -> None:
        with rig.client() as client:
            codes[name].append(client.send_subroutine_batch(name))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("disarm", "release") * 10]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {"disarm": [Verdict.TAKEN] * 10, "release": [Verdict.NO_LEASE] * 10}


def test_a_guardian_that_does_not_answer_is_an_error_and_the_pair_lives_on(rig: Rig) -> None:
    rig.answer = lambda request: None
    with rig.client() as client:
        with pytest.raises(SubroutineError, match="guardian silent: no answer within 100 ms"):
            client.send_subroutine_batch("e_stop")
        rig.answer = lambda request: Result(id=request.id, code=Verdict.TAKEN, reason="")
        assert client.send_subroutine_batch("e_stop") == 0
    assert rig.offers._waiting == {}


def test_who_has_no_pair_left_is_forgotten(rig: Rig) -> None:
    with rig.client(), rig.client():
        assert rig.offers.peers == {"tester (admin)": 2}
    assert len(rig.offers.peers) == 0


def fill(link: GuardianLink) -> None:
    while link.send(CameraSeen(captured_ns=1)):
        pass


def test_a_guardian_that_takes_nothing_is_an_error_for_events_and_stale_for_commands() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    offers = Offers(GuardianLink(near, ToWorker), lambda: DESCRIPTION)
    with Gateway(0, on_pair=offers.on_pair) as gateway:
        offers.register(gateway, ["proximity"])
        fill(offers._link)
        with Controller("", gateway.port).get_client() as client:
            with pytest.raises(SubroutineError, match="guardian silent: it takes no more messages"):
                client.send_subroutine_batch("e_stop")
            assert client.send_subroutine_batch("drive", encode(command())) == Verdict.STALE
            offers.publish("proximity", Scan(readings=()))  # dropped: the next one is newer
            drained = threading.Thread(target=lambda: drain(far))
            drained.start()  # so that closing the pair can report it gone
        drained.join()
        offers.close()
    near.close()
    far.close()


def drain(sock: socket.socket) -> None:
    while b"PeerGone" not in sock.recv(4096):
        pass


@pytest.mark.parametrize("name", ["drive", "path", "arm", "lease"])
@pytest.mark.parametrize(
    "buffer",
    [b"\x00", b"nonsense", encode(EVENT), encode(command()) + b"x"],
    ids=["nul", "nonsense", "event", "tail"],
)
def test_bytes_that_are_not_the_message_are_refused_with_a_reason(rig: Rig, name: str, buffer: bytes) -> None:
    with rig.client() as client:
        with pytest.raises(
            SubroutineError, match=f"'{name}' takes a .*, got {len(buffer)} B that are none: "
        ):
            client.send_subroutine_batch(name, buffer)
        client.ping()
    assert rig.heard == []


# Commands


def test_a_command_is_handed_over_as_it_came_labelled_with_its_sender(rig: Rig) -> None:
    sent = command()
    with rig.client() as client:
        client.send_subroutine_batch("drive", encode(sent))
    assert rig.until_heard(Labelled) == [Labelled(peer=rig.controller.id, command=sent)]


def test_every_command_of_a_sink_is_handed_over(rig: Rig) -> None:
    with rig.client() as client, client.open_buffer("drive") as sink:
        taken = [seq for seq in range(20) if sink.put(encode(command(seq=seq)))]  # a full link drops
    heard = rig.until_heard(Labelled, len(taken))
    assert [message.command.seq for message in heard if isinstance(message, Labelled)] == taken != []


@pytest.mark.parametrize(
    ("changes", "age_ms", "verdict"),
    [
        ({}, 0, Verdict.TAKEN),
        ({}, 150, Verdict.TAKEN),
        ({}, 250, Verdict.STALE),
        ({"lifespan_ms": 400}, 250, Verdict.TAKEN),
        ({"session": 8}, 0, Verdict.NO_LEASE),
        ({"holder": "somebody else"}, 0, Verdict.NO_LEASE),
        ({"holder": ""}, 0, Verdict.NO_LEASE),
        ({"state": State.DISARMED}, 0, Verdict.DISARMED),
        ({"state": State.ARMING}, 0, Verdict.DISARMED),
        ({"state": State.E_STOP}, 0, Verdict.DISARMED),
    ],
)
def test_the_answer_to_a_command_is_what_the_newest_status_lets_expect(
    rig: Rig, changes: dict[str, object], age_ms: int, verdict: Verdict
) -> None:
    rig.show(status(rig, **changes))
    sent = command(answers_ns=time.monotonic_ns() - age_ms * 1_000_000)
    with rig.client() as client:
        assert client.send_subroutine_batch("drive", encode(sent)) == verdict
    rig.until_heard(Labelled)  # handed over whatever the answer: the guardian decides


def path(answers_ns: int) -> DrivePath:
    points = (PathPoint(0.5, 0.0, 1.0), PathPoint(1.0, 0.1, 1.0))
    return DrivePath(session=7, seq=3, points=points, t_capture_ns=answers_ns, answers_ns=answers_ns)


@pytest.mark.parametrize(
    ("age_ms", "changes", "verdict"),
    [
        (0, {}, Verdict.TAKEN),
        (1400, {}, Verdict.TAKEN),
        (1600, {}, Verdict.STALE),
        (0, {"state": State.DISARMED}, Verdict.DISARMED),
        (0, {"session": 8}, Verdict.NO_LEASE),
        (0, {"verdict": Verdict.LIMITED, "path_left_m": 0.0}, Verdict.LIMITED),
        (0, {"verdict": Verdict.LIMITED}, Verdict.TAKEN),  # of a command
    ],
)
def test_a_path_is_handed_over_and_answered_by_its_own_lifespan(
    rig: Rig, age_ms: int, changes: dict[str, object], verdict: Verdict
) -> None:
    sent = path(time.monotonic_ns() - age_ms * 1_000_000)
    rig.show(status(rig, **changes))
    with rig.client() as client:
        assert client.send_subroutine_batch("path", encode(sent)) == verdict
        assert rig.until_heard(Labelled) == [Labelled(peer=rig.controller.id, command=sent)]
    assert isinstance(rig.until_heard(Request)[0], Request), "the pair that brought it is a drive pair"


def test_a_bad_path_reaches_nobody_and_its_sender_reads_why(rig: Rig) -> None:
    raw = msgspec.msgpack.encode(
        {"type": "DrivePath", "session": 7, "seq": 3, "points": [(0.5, 0.0, -1.0)] * 2, "t_capture_ns": 1}
        | {"answers_ns": 1}
    )
    with rig.client() as client, pytest.raises(SubroutineError, match=r"points\[0\]: speed_mps must be in"):
        client.send_subroutine_batch("path", raw)
    assert rig.heard == []


def test_before_the_first_status_nobody_has_a_lease(rig: Rig) -> None:
    with rig.client() as client:
        assert client.send_subroutine_batch("drive", encode(command())) == Verdict.NO_LEASE


# Drivers that go


def test_the_guardian_is_told_when_the_last_drive_pair_closes_and_not_before(rig: Rig) -> None:
    first, second, other = rig.client(), rig.client(), rig.client()
    first.send_subroutine_batch("drive", encode(command(seq=1)))
    second.send_subroutine_batch("drive", encode(command(seq=2)))
    other.send_subroutine_batch("e_stop")
    other.close()
    first.close()
    assert not [m for m in rig.heard if isinstance(m, Request) and isinstance(m.event, PeerGone)]
    second.abort()
    *_, gone = rig.until_heard(Request, 2)
    assert isinstance(gone, Request)
    assert (gone.event, gone.peer) == (PeerGone(), rig.controller.id)
    assert rig.offers._drive_pairs == {}


def test_one_driver_leaving_does_not_report_another(rig: Rig) -> None:
    stays = Controller("", rig.gateway.port).get_client()
    stays.send_subroutine_batch("drive", encode(command()))
    with rig.client() as leaves:
        leaves.send_subroutine_batch("drive", encode(command()))
    (gone,) = rig.until_heard(Request)
    assert isinstance(gone, Request)
    assert gone.peer == rig.controller.id
    stays.close()
    rig.until_heard(Request, 2)


# The rest


def test_describe_gives_the_description(rig: Rig) -> None:
    with rig.client() as client:
        assert decode(client.get_subroutine_batch("describe"), Description) == DESCRIPTION


def test_roles_are_as_promised_and_every_own_name_is_reserved(rig: Rig) -> None:
    roles = {name: rig.gateway.registry._by_name[name].role.name for name in rig.gateway.registry._by_name}
    drivers = {name for name, role in roles.items() if role == "DRIVER"}
    assert drivers == {"drive", "path", "lease", "release", "arm", "disarm", "reset"}
    assert set(roles) - {"proximity", "encoder", "battery"} <= OWN_NAMES
