"""pynet_core.session: well-behaved ends never quarrel, however late they hear each other; others do."""

from __future__ import annotations

import itertools
from collections import deque
from pathlib import Path
from typing import Final, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pynet_core.errors import LocalProtocolError, RemoteProtocolError
from pynet_core.session import FIRST_CREDIT, MAX_WINDOW, Session, State
from pynet_core.wire import Flag, Frame, Kind

DOC: Final = (Path(__file__).parents[2] / "docs/reference/wire-format.md").read_text()

K, S = Kind, State
ANSWERS: Final = (K.PACK, K.RAW, K.DENSE, K.HOLE, K.SEAL, K.SAME, K.LOST)  # to PULL
# state: (what the controller may send, what the gateway may send), each with the state after it.
# Written out by hand: what the code says is compared with this, and this with the document.
TABLE: Final[dict[State, tuple[dict[Kind, State], dict[Kind, State]]]] = {
    S.OPENING: ({K.HELLO: S.GREETED}, {K.REFUSAL: S.CLOSED}),
    S.GREETED: ({K.TREE: S.ASKING}, {K.WELCOME: S.IDLE, K.REFUSAL: S.CLOSED}),
    S.ASKING: ({}, {K.WELCOME: S.LISTING, K.REFUSAL: S.CLOSED}),
    S.IDLE: (
        {
            K.PING: S.PINGING,
            K.BATCH: S.CALLING,
            K.BUFFER: S.CALLING,
            K.STREAM: S.STREAMING,
            K.SINK: S.SINK_OPENING,
            K.CLOSE_HANDLER: S.CLOSED,
            K.CLOSE_GATEWAY: S.CALLING,
            K.LIST: S.LISTING,
            K.FETCH: S.FETCHING,
            K.TREE: S.LISTING,
            K.STORE: S.OFFERING,
            K.JOIN: S.UPLOADING,
            K.REMOVE: S.REMOVING,
        },
        {},
    ),
    S.PINGING: ({}, {K.PONG: S.IDLE}),
    S.CALLING: ({}, {K.REPLY: S.IDLE, K.ERROR: S.IDLE}),
    S.STREAMING: (
        {K.CREDIT: S.STREAMING, K.CANCEL: S.CANCELLED},
        {K.ITEM: S.STREAMING, K.ITEMS: S.STREAMING, K.END: S.IDLE, K.ERROR: S.IDLE},
    ),
    S.CANCELLED: ({}, {K.END: S.IDLE, K.ERROR: S.IDLE}),
    S.SINK_OPENING: ({}, {K.REPLY: S.SINKING, K.ERROR: S.IDLE}),
    S.SINKING: ({K.PUT: S.SINKING, K.END: S.SINK_ENDING}, {K.ERROR: S.IDLE}),
    S.SINK_ENDING: ({}, {K.END: S.IDLE, K.ERROR: S.IDLE}),
    S.LISTING: ({}, {K.FOUND: S.LISTING, K.END: S.IDLE, K.ERROR: S.IDLE}),
    S.FETCHING: (
        {K.PULL: S.FETCHING, K.END: S.FETCH_ENDING, K.CLOSE_HANDLER: S.CLOSED},
        {**dict.fromkeys(ANSWERS, S.FETCHING), K.ERROR: S.IDLE},
    ),
    S.FETCH_ENDING: ({}, {K.END: S.IDLE, K.ERROR: S.IDLE}),
    S.OFFERING: ({K.FOUND: S.OFFERING, K.END: S.UPLOADING}, {K.ERROR: S.IDLE}),
    S.UPLOADING: (
        {**dict.fromkeys((*ANSWERS, K.FOUND, K.MORE), S.UPLOADING), K.END: S.UPLOAD_ENDING},
        {K.PULL: S.UPLOADING, K.MORE: S.UPLOADING, K.REPORT: S.UPLOADING, K.END: S.IDLE, K.ERROR: S.IDLE},
    ),
    S.UPLOAD_ENDING: ({}, {K.REPORT: S.UPLOAD_ENDING, K.END: S.IDLE, K.ERROR: S.IDLE}),
    S.REMOVING: ({}, {K.REPORT: S.REMOVING, K.END: S.IDLE, K.ERROR: S.IDLE}),
    S.CLOSED: ({}, {}),
}
# What the controller may still see after its CANCEL or END, because it was on its way.
LATE: Final[dict[State, set[Kind]]] = {
    S.CANCELLED: {K.ITEM, K.ITEMS},
    S.FETCH_ENDING: {*ANSWERS},
    S.UPLOAD_ENDING: {K.PULL, K.MORE},
}
CONTROLLER: Final = 0
GATEWAY: Final = 1


def path_to(state: State) -> list[tuple[int, Kind]]:
    """The shortest way there: who sends what."""
    ways: dict[State, list[tuple[int, Kind]]] = {S.OPENING: []}
    while state not in ways:
        for before, way in list(ways.items()):
            for end in (CONTROLLER, GATEWAY):
                for kind, after in TABLE[before][end].items():
                    ways.setdefault(after, [*way, (end, kind)])
    return ways[state]


def pair_in(state: State) -> tuple[Session, Session]:
    """Both ends, brought there together."""
    ends = (Session("controller"), Session("gateway"))
    for end, kind in path_to(state):
        ends[end].send(Frame(kind))
        ends[1 - end].receive(Frame(kind))
    assert ends[0].state is ends[1].state is state
    return ends


def credited() -> Frame:
    return Frame(K.ITEM, 1, b"x", flags=Flag.CREDITED)


# Every kind in every state


def test_the_table_names_every_state() -> None:
    assert set(TABLE) == set(State)


@pytest.mark.parametrize("state", State)
def test_a_frame_may_be_sent_in_the_states_of_the_table_only(state: State) -> None:
    for kind, end in itertools.product(Kind, (CONTROLLER, GATEWAY)):
        session = pair_in(state)[end]
        after = TABLE[state][end].get(kind)
        if after is None:
            with pytest.raises(LocalProtocolError):
                session.send(Frame(kind, 1))
            assert session.state is state
        else:
            session.send(Frame(kind, 1))
            assert session.state is after


@pytest.mark.parametrize("state", State)
def test_a_frame_from_the_peer_is_taken_in_the_states_of_the_table_only(state: State) -> None:
    for kind, end in itertools.product(Kind, (CONTROLLER, GATEWAY)):
        session = pair_in(state)[1 - end]
        after = TABLE[state][end].get(kind)
        if end == GATEWAY and kind in LATE.get(state, ()):
            after = state
        if after is None:
            with pytest.raises(RemoteProtocolError, match=f"peer sent {kind.name} while"):
                session.receive(Frame(kind, 1))
            assert session.state is state
        else:
            assert session.receive(Frame(kind, 1))
            assert session.state is after


def table_row(state: State) -> str:
    cells = [
        ", ".join(f"{kind.name} → {after.name}" for kind, after in sends.items()) for sends in TABLE[state]
    ]
    return f"| {state.name} | {cells[0] or '-'} | {cells[1] or '-'} |"


@pytest.mark.parametrize("state", State)
def test_the_document_shows_the_same_table(state: State) -> None:
    assert table_row(state) in DOC


# Credit


def test_a_credited_item_costs_the_credit_and_credit_gives_it_back() -> None:
    controller, gateway = pair_in(S.STREAMING)
    for _ in range(3):
        assert gateway.credit == FIRST_CREDIT == 1
        gateway.send(credited())
        controller.receive(credited())
        assert gateway.credit == 0
        controller.send(Frame(K.CREDIT, 1))
        gateway.receive(Frame(K.CREDIT, 1))


@pytest.mark.parametrize("more", [0, 1, 7, MAX_WINDOW - FIRST_CREDIT])
def test_no_item_is_sent_or_taken_beyond_the_credit(more: int) -> None:
    controller, gateway = pair_in(S.STREAMING)
    if more:
        controller.send(Frame(K.CREDIT, more))
        gateway.receive(Frame(K.CREDIT, more))
    for _ in range(FIRST_CREDIT + more):
        gateway.send(credited())
        controller.receive(credited())
    with pytest.raises(LocalProtocolError, match="no credit"):
        gateway.send(credited())
    with pytest.raises(RemoteProtocolError, match="without credit"):
        controller.receive(credited())


def test_items_that_are_not_credited_need_no_credit() -> None:
    controller, gateway = pair_in(S.STREAMING)
    for _ in range(5):
        gateway.send(Frame(K.ITEM))
        assert controller.receive(Frame(K.ITEM))
    assert gateway.credit == FIRST_CREDIT


@pytest.mark.parametrize("ident", [-1, 0, MAX_WINDOW - FIRST_CREDIT + 1, 2**63 - 1])
def test_credit_of_nothing_or_beyond_the_window_is_refused(ident: int) -> None:
    controller, gateway = pair_in(S.STREAMING)
    with pytest.raises(LocalProtocolError, match="credit"):
        controller.send(Frame(K.CREDIT, ident))
    with pytest.raises(RemoteProtocolError, match="credit"):
        gateway.receive(Frame(K.CREDIT, ident))


def test_a_stream_begins_with_all_its_credit_whatever_the_last_one_left() -> None:
    controller, gateway = pair_in(S.STREAMING)
    for end, other, frame in (
        (gateway, controller, credited()),
        (gateway, controller, Frame(K.END)),
        (controller, gateway, Frame(K.STREAM)),
    ):
        end.send(frame)
        other.receive(frame)
    assert gateway.credit == controller.credit == FIRST_CREDIT


# Crossings, one by one; the machine below finds them by itself


@pytest.mark.parametrize("ending", [K.END, K.ERROR])
@pytest.mark.parametrize("late", [[K.CREDIT], [K.CANCEL], [K.CREDIT, K.CANCEL], []])
def test_credit_and_cancel_that_cross_the_end_of_a_stream_mean_nothing(
    ending: Kind, late: list[Kind]
) -> None:
    controller, gateway = pair_in(S.STREAMING)
    gateway.send(credited())
    controller.receive(credited())
    gateway.send(Frame(ending))
    for kind in late:
        controller.send(Frame(kind, 1))
    controller.receive(Frame(ending))
    controller.send(Frame(K.STREAM))
    assert [gateway.receive(Frame(kind, 1)) for kind in late] == [False] * len(late)
    assert gateway.receive(Frame(K.STREAM))
    assert gateway.state is S.STREAMING


@pytest.mark.parametrize(
    "extra",
    [[K.CREDIT] * (MAX_WINDOW + 1), [K.CANCEL, K.CANCEL], [K.CANCEL, K.CREDIT], [K.PUT], [K.END], [K.ITEM]],
)
def test_more_than_a_well_behaved_controller_can_owe_is_no_crossing(extra: list[Kind]) -> None:
    _, gateway = pair_in(S.STREAMING)
    gateway.send(credited())
    gateway.send(Frame(K.END))
    for kind in extra[:-1]:
        assert not gateway.receive(Frame(kind, 1))
    with pytest.raises(RemoteProtocolError):
        gateway.receive(Frame(extra[-1], 1))


def test_puts_and_the_end_that_cross_the_error_of_a_sink_mean_nothing() -> None:
    _, gateway = pair_in(S.SINKING)
    gateway.send(Frame(K.ERROR))
    assert not gateway.receive(Frame(K.PUT))
    assert not gateway.receive(Frame(K.PUT))
    assert not gateway.receive(Frame(K.END))
    with pytest.raises(RemoteProtocolError, match="PUT while idle"):
        gateway.receive(Frame(K.PUT))


def test_what_crosses_the_error_of_a_fetch_means_nothing() -> None:
    _, gateway = pair_in(S.FETCHING)
    gateway.send(Frame(K.ERROR))
    assert [gateway.receive(Frame(kind)) for kind in (K.PULL, K.PULL, K.END)] == [False] * 3
    with pytest.raises(RemoteProtocolError, match="PULL while idle"):
        gateway.receive(Frame(K.PULL))


def test_what_crosses_the_refusal_of_an_upload_means_nothing() -> None:
    _, gateway = pair_in(S.OFFERING)
    gateway.send(Frame(K.ERROR))
    assert [gateway.receive(Frame(kind)) for kind in (K.FOUND, K.FOUND, K.END)] == [False] * 3


def test_giving_up_an_upload_may_cross_its_end() -> None:
    controller, gateway = pair_in(S.UPLOADING)
    gateway.send(Frame(K.END))
    controller.send(Frame(K.END))
    assert controller.receive(Frame(K.END))
    assert not gateway.receive(Frame(K.END))
    assert controller.state is gateway.state is S.IDLE


@pytest.mark.parametrize("kind", [K.CREDIT, K.CANCEL, K.PUT, K.END])
def test_a_crossing_is_over_once_the_next_request_has_come(kind: Kind) -> None:
    _, gateway = pair_in(S.STREAMING)
    gateway.send(credited())
    gateway.send(Frame(K.END))
    gateway.receive(Frame(K.PING))
    gateway.send(Frame(K.PONG))
    with pytest.raises(RemoteProtocolError):
        gateway.receive(Frame(kind, 1))


# Any order, any delay

ENDINGS: Final = {K.PONG, K.REPLY, K.ERROR, K.END, K.WELCOME, K.REFUSAL}


class Pair(RuleBasedStateMachine):
    """Two sessions and the wire between them, which delivers in order and as late as it likes.

    Each end sends whatever the table allows in the state it believes in.
    Frames carry the number of the operation they belong to (as stamp): no end
    may ever take one of an earlier operation for its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends = (Session("controller"), Session("gateway"))
        self.wire: tuple[deque[Frame], deque[Frame]] = (deque(), deque())  # to the controller, to the gateway
        self.operation = [0, 0]  # which one each end is in
        self.credit = 0  # given by the controller and not used by the gateway, whatever is on its way

    @initialize()
    def greet(self) -> None:
        self._send(CONTROLLER, Frame(K.HELLO))
        self._deliver(GATEWAY)
        self._send(GATEWAY, Frame(K.WELCOME))
        self._deliver(CONTROLLER)

    # Streams most of all: they are where things cross.
    @rule(
        kind=st.sampled_from(
            [
                *[K.STREAM] * 4,
                *[K.SINK, K.FETCH, K.STORE] * 2,
                *[K.PING, K.BATCH, K.BUFFER, K.CLOSE_GATEWAY, K.LIST],
            ]
        )
    )
    @precondition(lambda self: self.ends[CONTROLLER].state is S.IDLE)
    def ask(self, kind: Kind) -> None:
        self.operation[CONTROLLER] += 1
        self._send(CONTROLLER, Frame(kind))

    @rule(count=st.integers(1, MAX_WINDOW))
    @precondition(lambda self: self.ends[CONTROLLER].state is S.STREAMING)
    @precondition(lambda self: self.ends[CONTROLLER].credit < MAX_WINDOW)
    def give_credit(self, count: int) -> None:
        self._send(CONTROLLER, Frame(K.CREDIT, min(count, MAX_WINDOW - self.ends[CONTROLLER].credit)))

    @rule()
    @precondition(lambda self: self.ends[CONTROLLER].state is S.STREAMING)
    def cancel(self) -> None:
        self._send(CONTROLLER, Frame(K.CANCEL))

    @rule(kind=st.sampled_from([K.PUT, K.PUT, K.END]))
    @precondition(lambda self: self.ends[CONTROLLER].state is S.SINKING)
    def put_or_end(self, kind: Kind) -> None:
        self._send(CONTROLLER, Frame(kind))

    @rule(data=st.data())
    @precondition(lambda self: self.ends[CONTROLLER].state in (S.FETCHING, S.OFFERING, S.UPLOADING))
    def say_something_about_files(self, data: st.DataObject) -> None:
        kinds = set(TABLE[self.ends[CONTROLLER].state][CONTROLLER]) - {K.CLOSE_HANDLER}  # nothing follows it
        self._send(CONTROLLER, Frame(data.draw(st.sampled_from(sorted(kinds)))))

    @rule(cost=st.booleans())
    @precondition(lambda self: self.ends[GATEWAY].state is S.STREAMING)
    def yield_item(self, cost: bool) -> None:
        flags = Flag.CREDITED if cost and self.ends[GATEWAY].credit else Flag.NONE
        self._send(GATEWAY, Frame(K.ITEM, flags=flags))

    @rule(data=st.data())
    @precondition(lambda self: bool(TABLE[self.ends[GATEWAY].state][GATEWAY]))
    def answer(self, data: st.DataObject) -> None:
        kinds = set(TABLE[self.ends[GATEWAY].state][GATEWAY]) - {K.ITEM}
        self._send(GATEWAY, Frame(data.draw(st.sampled_from(sorted(kinds)))))

    @rule(end=st.sampled_from((CONTROLLER, GATEWAY)), count=st.integers(1, 4))
    def deliver(self, end: Literal[0, 1], count: int) -> None:
        for _ in range(min(count, len(self.wire[end]))):
            self._deliver(end)

    @invariant()
    def the_window_holds(self) -> None:
        assert 0 <= self.credit <= MAX_WINDOW
        assert all(0 <= end.credit <= MAX_WINDOW for end in self.ends)

    def teardown(self) -> None:
        """All that is on its way arrives; both ends then believe the same."""
        while self.wire[CONTROLLER] or self.wire[GATEWAY]:
            for end in (CONTROLLER, GATEWAY):
                while self.wire[end]:
                    self._deliver(end)
        assert self.ends[CONTROLLER].state is self.ends[GATEWAY].state

    def _send(self, end: int, frame: Frame) -> None:
        self.ends[end].send(frame)
        if frame.kind == K.STREAM:
            self.credit = FIRST_CREDIT
        elif frame.kind == K.CREDIT:
            self.credit += frame.ident
        elif frame.flags & Flag.CREDITED:
            self.credit -= 1
        numbered = Frame(frame.kind, frame.ident, b"", self.operation[end], frame.flags)
        self.wire[1 - end].append(numbered)

    def _deliver(self, end: int) -> None:
        frame = self.wire[end].popleft()
        session = self.ends[end]
        is_request = end == GATEWAY and frame.kind in TABLE[S.IDLE][CONTROLLER]
        was_idle = session.state is S.IDLE
        means_something = session.receive(frame)
        if is_request:
            assert was_idle and means_something
            assert frame.stamp_ns == self.operation[GATEWAY] + 1, "operations come one by one"
            self.operation[GATEWAY] = frame.stamp_ns
            assert session.credit == FIRST_CREDIT
        assert frame.stamp_ns == self.operation[end], "a late frame was taken for one of the next operation"
        assert means_something == (is_request or not was_idle), "a crossing means nothing, all else something"


TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
