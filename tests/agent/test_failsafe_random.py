"""Random and exhaustive conversations with the failsafe, judged by a witness that knows only the record."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace as replace_struct

from pi_agent.failsafe import Outcome
from pi_agent.link import Labelled, PeerGone, Request
from pynet_car.messages import Arm, Disarm, DrivePath, EStop, Lease, Priority, Release, Reset, State
from tests.agent.failsafe_rig import ADA, GRACE, LIFESPAN_MS, MS, PATH_LIFESPAN_MS, Ask, Rig
from tests.agent.failsafe_stalls import drive
from tests.agent.failsafe_witness import Step, Witness

pytestmark = pytest.mark.promise

EVE = "eve" * 10
PEERS = st.sampled_from([ADA, ADA, GRACE, EVE])
BORDERS_MS = st.sampled_from(
    [0, 1, 10, 10, 10, 20, 199, 200, 201, 490, 500, 501, 1000, 1001, 2000, 2500, 3000]
)
GAPS_NS = BORDERS_MS.map(lambda ms: ms * MS) | st.integers(0, 3000 * MS)
THROTTLES = st.sampled_from([0.0, 0.02, -0.02, 0.021, 1.0, -1.0]) | st.floats(-1.0, 1.0)
ASKS = st.one_of(
    st.builds(Lease, priority=st.sampled_from(Priority), take=st.booleans()),
    st.sampled_from([Release(), Disarm(), EStop(), Reset(), PeerGone()]),
)


class Watched(Rig):
    """A rig whose every step a witness sees."""

    def __init__(self) -> None:
        self.witness: Witness | None = None
        self.died = False
        self.stamps: list[int] = []
        self.record: list[Step] = []
        super().__init__()
        self.witness = Witness(lifespan_ns=LIFESPAN_MS * MS)
        self.step()

    def step(self, requests: tuple[Request, ...] = (), commands: tuple[Labelled, ...] = ()) -> Outcome:  # type: ignore[override]
        outcome = super().step(requests, commands)
        self.stamps.append(self.now)
        if self.witness:
            record = Step(self.now, self.died, tuple(requests), tuple(commands), outcome, self.state())
            self.witness.saw(record, self.minted)
            self.record.append(record)
        self.died = False
        return outcome

    def die(self) -> None:
        self.failsafe.worker_died(self.now)
        self.died = True

    def drive_off(self, peer: str) -> None:
        """All that is needed, done right."""
        if self.state() is State.E_STOP:
            self.ask(Reset(), peer)
        self.lease(peer, take=True)
        self.arm(peer)
        self.drive(0.0, peer=peer)
        self.drive(0.9, peer=peer)


class Conversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rig = Watched()
        self.sent: list[Labelled] = []
        self.requests: list[Request] = []
        self.commands: list[Labelled] = []

    @initialize(peer=PEERS, drives=st.booleans())
    def begin(self, peer: str, drives: bool) -> None:
        if drives:
            self.rig.drive_off(peer)
        else:
            self.rig.lease(peer)

    @rule(gap_ns=GAPS_NS)
    def tick(self, gap_ns: int) -> None:
        self.rig.now += gap_ns
        self.rig.step(tuple(self.requests), tuple(self.commands))
        self.requests, self.commands = [], []

    @rule(peer=PEERS, ask=ASKS)
    def ask(self, peer: str, ask: Ask) -> None:
        self.requests.append(self.rig.request(ask, peer))

    @rule(peer=PEERS)
    def press(self, peer: str) -> None:
        self.requests.append(self.rig.request(EStop(), peer))

    @rule(peer=PEERS, back=st.integers(0, 3), off_ns=st.sampled_from([0, 0, 0, 1, -1, 10**9]))
    def arm(self, peer: str, back: int, off_ns: int) -> None:
        self.requests.append(self.rig.request(Arm(answers_ns=self._stamp(back, off_ns)), peer))
        self.tick(10 * MS)

    @rule(
        as_holder=st.sampled_from([True, True, False]),
        peer=PEERS,
        throttle=THROTTLES,
        back=st.sampled_from([0, 0, 0, 1, 2, 5]),
        off_ns=st.sampled_from([0, 0, 0, 0, 1, -1, 5 * MS, 10**9]),
        session=st.sampled_from([0, 0, 0, 0, 1, 2, -1]),
        seq=st.sampled_from([1, 1, 1, 2, 0, -1, -5, 1000]),
        then_ms=st.sampled_from([None, None, 1, 10, 10, 20, 150]),
    )
    def send(
        self,
        as_holder: bool,
        peer: str,
        throttle: float,
        back: int,
        off_ns: int,
        session: int,
        seq: int,
        then_ms: int | None,
    ) -> None:
        """Fresh or stale or from the future, of this session or another, in order or not, by anybody."""
        sessions = self.rig.minted[::-1]
        holder = self.rig.failsafe.holder
        command = self.rig.command(
            throttle,
            answers=self._stamp(back, off_ns),
            peer=holder.peer if holder and as_holder else peer,
            session=sessions[session] if 0 <= session < len(sessions) else 12345,
            seq=max(0, self.rig.seq + seq),
        )
        self.rig.seq += max(0, seq)
        self.commands.append(command)
        self.sent.append(command)
        if then_ms is not None:
            self.tick(then_ms * MS)

    @rule(
        peer=PEERS,
        back=st.sampled_from([0, 0, 0, 1, 2, 5]),
        off_ns=st.sampled_from([0, 0, 0, -1, -5 * MS, 1, 5 * MS, 10**9]),
        younger_ns=st.sampled_from([0, 0, 1, 5 * MS, 10**9]),
        seq=st.sampled_from([1, 1, 1, 2, 0, -1]),
        then_ms=st.sampled_from([None, 1, 10, 10, 150, 1490]),
    )
    def send_path(
        self, peer: str, back: int, off_ns: int, younger_ns: int, seq: int, then_ms: int | None
    ) -> None:
        """As a command; its picture may be younger than what it answers, or not taken yet."""
        holder = self.rig.failsafe.holder
        answers_ns = self._stamp(back, off_ns)
        labelled = self.rig.path(answers=answers_ns, peer=peer, seq=max(0, self.rig.seq + seq))
        if holder is not None:
            command = replace_struct(
                labelled.command, session=holder.session, t_capture_ns=answers_ns + younger_ns
            )
            labelled = Labelled(peer=holder.peer if younger_ns != 1 else peer, command=command)
        self.rig.seq += max(0, seq)
        self.commands.append(labelled)
        self.sent.append(labelled)
        if then_ms is not None:
            self.tick(then_ms * MS)

    @rule(ms=st.integers(1, 150))
    def follow_on(self, ms: int) -> None:
        if self.rig.failsafe.holder is not None:
            labelled = self.rig.path(peer=self.rig.failsafe.holder.peer)
            self.rig.now += ms * MS
            self.rig.step(commands=(labelled,))

    @precondition(lambda self: bool(self.sent))
    @rule(choice=st.integers(0, 10**6), peer=st.none() | PEERS)
    def replay(self, choice: int, peer: str | None) -> None:
        """Somebody sends again what was sent once."""
        old = self.sent[choice % len(self.sent)]
        self.commands.append(old if peer is None else Labelled(peer=peer, command=old.command))

    @rule(order=st.randoms(use_true_random=False))
    def reorder(self, order: object) -> None:
        order.shuffle(self.commands)  # type: ignore[attr-defined]

    @rule()
    def worker_dies(self) -> None:
        self.rig.die()
        self.requests, self.commands = [], []

    @rule(peer=PEERS)
    def drive_off(self, peer: str) -> None:
        self.rig.drive_off(peer)

    @rule(throttle=THROTTLES, ms=st.integers(1, 150))
    def drive_on(self, throttle: float, ms: int) -> None:
        if self.rig.failsafe.holder is not None:
            self.rig.drive(throttle, peer=self.rig.failsafe.holder.peer, ms=ms)

    def _stamp(self, back: int, off_ns: int) -> int:
        stamps = self.rig.stamps
        return max(0, stamps[-1 - back % len(stamps)] + off_ns)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@pytest.mark.slow
def test_every_conversation_of_four_acts_keeps_the_promises() -> None:
    """Two peers, twelve acts, every order: of a driving car, and of a standing one that is leased first."""
    motions = followed = 0
    for driving in (False, True):
        for acts in itertools.product(range(12), repeat=4):
            rig = Watched()
            if driving:
                rig.drive_off(ADA)
            elif acts[0] != 0:
                continue  # without a lease there is nothing to see in the next three
            for act in acts:
                outcome = perform(rig, act)
                motions += outcome.throttle != 0.0
                followed += outcome.path is not None
    assert motions > 1000  # else it proves nothing
    assert followed > 1000


def perform(rig: Watched, act: int) -> Outcome:
    rig.now += 20 * MS
    match act:
        case 0:
            return rig.step((rig.request(Lease(priority=Priority.HUMAN)),))
        case 1:
            return rig.step((rig.request(Lease(priority=Priority.HUMAN, take=True), GRACE),))
        case 2:
            return rig.step((rig.request(Arm(answers_ns=rig.stamp)),))
        case 3:
            return rig.step((rig.request(EStop(), GRACE),))
        case 4:
            return rig.step((rig.request(Reset()),))
        case 5:
            return rig.step(commands=(rig.command(0.0),))
        case 6:
            return rig.step(commands=(rig.command(0.9),))
        case 7:
            return rig.step(commands=(rig.command(0.9, peer=GRACE),))
        case 8:
            rig.now += 250 * MS
            return rig.step()
        case 9:
            rig.now += 600 * MS
            return rig.step(commands=(rig.command(0.9),))
        case 10:
            return rig.step(commands=(rig.path(),))
        case _:
            rig.die()
            return rig.step()


def test_no_command_moves_the_car_once_it_is_older_than_its_lifespan_whatever_stalls() -> None:
    """A short form of `./run prove failsafe`."""
    report = drive(20_000, seed=1)
    assert report.oldest_ns <= LIFESPAN_MS * MS
    assert report.oldest_ns > (LIFESPAN_MS - 30) * MS, "no stall came near the limit: it proves nothing"
    assert report.moved_ticks > 10_000
    assert report.trips > 100


def test_no_path_drives_once_it_is_older_than_its_lifespan_whatever_stalls() -> None:
    report = drive(20_000, seed=1, paths=True)
    assert report.oldest_path_ns <= PATH_LIFESPAN_MS * MS
    assert report.oldest_path_ns > (PATH_LIFESPAN_MS - 30) * MS, "no stall came near the limit"
    assert report.oldest_ns <= LIFESPAN_MS * MS, "and no command beside them"
    assert report.followed_ticks > 5_000
    assert report.moved_ticks > 2_000


def test_a_lifespan_that_is_too_long_is_noticed() -> None:
    assert drive(20_000, seed=1, lifespan_ms=LIFESPAN_MS + 50).oldest_ns > LIFESPAN_MS * MS


# The witness itself must be able to fail.


def test_the_witness_lets_an_honest_drive_pass() -> None:
    rig = Watched()
    rig.drive_off(ADA)
    assert rig.drive(0.5).throttle == 0.5


@pytest.mark.parametrize(
    "act",
    [
        "nothing before",
        "lease only",
        "after e-stop",
        "stale",
        "replaced holder",
        "not the newest",
        "old path",
    ],
)
def test_the_witness_catches_motion_that_is_not_allowed(act: str) -> None:
    rig = Watched()
    command = rig.command(0.9)
    match act:
        case "lease only":
            rig.lease()
            command = rig.command(0.9)
        case "after e-stop":
            rig.drive_off(ADA)
            rig.ask(EStop())
            rig.ask(Reset())
            command = rig.command(0.9)
        case "stale":
            rig.drive_off(ADA)
            rig.now += 190 * MS
            rig.step()
            command = rig.command(0.9, answers=rig.now - 191 * MS)
        case "replaced holder":
            rig.drive_off(ADA)
            command = rig.command(0.9)
            rig.lease(GRACE, take=True)
        case "not the newest":
            rig.drive_off(ADA)
            rig.drive(0.1)
            command = rig.command(0.9, seq=0)
        case "old path":
            rig.drive_off(ADA)
            rig.now += 190 * MS
            rig.step()
            command = rig.path(answers=rig.now - 1491 * MS)
    rig.now += 10 * MS
    rig.stamp = rig.now
    honest = rig.failsafe.step(rig.now, (), [command])
    forged = replace(honest, throttle=0.9, steering=0.25)
    if isinstance(command.command, DrivePath):
        forged = replace(honest, path=command.command)
    assert rig.witness is not None
    rig.witness._before = State.ARMED  # so that the motion alone is judged
    with pytest.raises(AssertionError, match="nothing in the record allows"):
        rig.witness.saw(Step(rig.now, False, (), (command,), forged, State.ARMED), rig.minted)
