"""Getting out of what a pair does: deadlines for all of it, and cancelling from another thread."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pynet_core.channel import PlainChannel
from pynet_core.client import Client
from pynet_core.clock import Deadline
from pynet_core.controller import Controller
from pynet_core.errors import DeadlineExceeded, FilesInterrupted, LinkClosed, PynetError
from pynet_core.exchange import SENT_AT_ONCE_BYTES, Exchange
from pynet_core.gateway import Gateway
from pynet_core.session import Session
from pynet_core.wire import Frame, Kind
from tests.core.loopback import (
    PATIENCE_S,
    FakeGateway,
    Gate,
    Ticker,
    controller_of,
    eventually,
    our_threads,
)
from tests.core.relay import Relay
from tests.ports import free_port


@pytest.fixture
def gate(gateway: Gateway) -> Iterator[Gate]:
    gate = Gate()
    gateway.add_subroutine("gate", gate)
    yield gate
    gate.open()


# Deadlines


def test_of_two_deadlines_the_earlier_one_counts() -> None:
    never, soon, late = Deadline(None, ""), Deadline(1, ""), Deadline(2, "")
    assert late.ends_after(soon)
    assert never.ends_after(soon)
    assert not soon.ends_after(late)
    assert not soon.ends_after(never)
    assert not never.ends_after(never)


def test_a_call_that_misses_the_deadline_raises_and_costs_the_pair(client: Client, gate: Gate) -> None:
    with pytest.raises(DeadlineExceeded), client.deadline(0.05):
        client.get_subroutine_batch("gate")
    assert not client.connected, "a late answer would be taken for the next one's"


def test_a_deadline_is_for_all_calls_of_its_block_together_and_for_none_after_it(
    gateway: Gateway, client: Client
) -> None:
    calls: list[int] = []

    def slow() -> bytes:
        calls.append(1)
        time.sleep(0.02)
        return b""

    gateway.add_subroutine("slow", slow)
    with pytest.raises(DeadlineExceeded), client.deadline(0.1):
        for _ in range(100):
            client.get_subroutine_batch("slow")
    assert len(calls) <= 6
    client.reopen()
    for _ in range(8):
        client.get_subroutine_batch("slow")


def test_a_call_after_the_deadline_sends_nothing_and_keeps_the_pair(gateway: Gateway, client: Client) -> None:
    calls: list[int] = []
    gateway.add_subroutine("f", lambda: calls.append(1) or b"")  # type: ignore[func-returns-value]
    with client.deadline(0.01):
        time.sleep(0.02)
        with pytest.raises(DeadlineExceeded, match=r"the deadline: nothing within 0\.01 s"):
            client.get_subroutine_batch("f")
    assert calls == []
    assert client.get_subroutine_batch("f") == b""


def test_an_inner_deadline_does_not_outlast_the_outer_one(client: Client, gate: Gate) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded), client.deadline(0.05), client.deadline(60):
        client.get_subroutine_batch("gate")
    assert time.monotonic() - began < 30


def test_a_subroutine_may_have_an_argument_of_that_name(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("f", lambda deadline, timeout_s: b"%d %d" % (deadline, timeout_s))
    with client.deadline(PATIENCE_S):
        assert client.get_subroutine_batch("f", deadline=1, timeout_s=2) == b"1 2"


def test_a_stream_ends_at_the_deadline_and_leaves_the_pair_usable(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker())
    got: list[int] = []
    with pytest.raises(DeadlineExceeded), client.deadline(0.1):
        client.get_subroutine_stream("tick", lambda _, ident, __: got.append(ident))
    assert got
    assert client.ping().message == "ping"


def test_a_stream_without_items_ends_at_the_deadline_and_is_cut_when_it_is_stuck(
    client: Client, gateway: Gateway, gate: Gate
) -> None:
    def silent() -> Iterator[bytes]:
        yield gate()

    gateway.add_subroutine("silent", silent)
    client.cancel_timeout_s = 0.05
    with pytest.raises(DeadlineExceeded, match="its generator is stuck"), client.deadline(0.05):
        client.get_subroutine_stream("silent", lambda *_: None)
    assert not client.connected


@pytest.mark.parametrize("timeout_s", [float("inf"), 3e6])
def test_a_timeout_that_no_system_can_count_is_for_ever(gateway: Gateway, timeout_s: float) -> None:
    gateway.add_subroutine("length", lambda buffer: len(buffer))
    with controller_of(gateway).get_client(timeout_s=timeout_s) as client, client.deadline(timeout_s):
        client.timeout_s = timeout_s
        assert client.ping("x" * 50_000).message == "x" * 50_000
        assert client.send_subroutine_batch("length", bytes(300_000)) == 300_000


def test_a_ping_has_a_deadline_too(client: Client) -> None:
    with FakeGateway() as fake:
        made: list[Client] = []
        opening = threading.Thread(target=lambda: made.append(controller_of(fake).get_client()))
        opening.start()
        with fake.accept_and_welcome():
            opening.join(PATIENCE_S)
            with pytest.raises(DeadlineExceeded), made[0].deadline(0.05):
                made[0].ping()


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
@pytest.mark.parametrize("kind", ["call", "stream"])
def test_a_peer_that_does_not_read_the_request_cannot_hold_a_call_for_ever(kind: str, limit: str) -> None:
    with FakeGateway() as fake:
        made: list[Client] = []
        opening = threading.Thread(target=lambda: made.append(controller_of(fake).get_client()))
        opening.start()
        with fake.accept_and_welcome() as peer:
            opening.join(PATIENCE_S)
            client = made[0]
            pinging = threading.Thread(target=client.ping)  # without a recent one a stream begins with it
            pinging.start()
            peer.send(Frame(Kind.PONG, 0, peer.receive().body))
            pinging.join(PATIENCE_S)
            client.timeout_s = 0.2 if limit == "timeout" else None
            fill_the_kernel_for(client)
            asks: dict[str, Callable[[], object]] = {
                "call": lambda: client.send_subroutine_batch("f", bytes(100_000)),
                "stream": lambda: client.get_subroutine_stream("f", lambda *_: None, None, ["x" * 50_000]),
            }
            with (
                pytest.raises(DeadlineExceeded, match=r"take the request: not done within"),
                client.deadline(0.2 if limit == "deadline" else 60),
            ):
                asks[kind]()
            assert not client.connected
    assert eventually(lambda: not our_threads())


def fill_the_kernel_for(client: Client) -> None:
    """Its socket takes no more, as when the link stands still."""
    sock = client._channel._sock
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass
    sock.setblocking(True)


class SlowlySending(PlainChannel):
    """Says how long it may wait for the answer."""

    left_s: float | None = None

    def send(self, frame: Frame) -> None:
        time.sleep(0.05)
        super().send(frame)

    def receive(self, timeout_s: float | None = None, what: str = "peer") -> Frame:
        return self.receive_by(Deadline(timeout_s, what))

    def receive_by(self, deadline: Deadline) -> Frame:
        self.left_s = deadline.remaining_s()
        raise LinkClosed("enough")


def test_a_large_request_and_its_answer_have_one_timeout_together() -> None:
    near, far = socket.socketpair()
    session = Session("controller")
    session.here = session.idle
    channel = SlowlySending(near, session)
    exchange = Exchange(channel)
    exchange.timeout_s = 60
    with far, pytest.raises(LinkClosed, match="enough"):
        exchange.call(Kind.BUFFER, "f", [], {}, bytes(SENT_AT_ONCE_BYTES))
    assert channel.left_s is not None
    assert channel.left_s <= 60 - 0.05, "less what the sending has taken"


def addresses_of(monkeypatch: pytest.MonkeyPatch, ports: list[int], after_s: float = 0.0) -> None:
    """What every name is resolved to, and how long that takes."""

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        time.sleep(after_s)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_finding_connecting_and_being_welcomed_have_one_timeout_together(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses_of(monkeypatch, [gateway.port], after_s=0.05)
    with pytest.raises(DeadlineExceeded, match=r"no answer from car port \d+ within 0\.04 s"):
        Controller("car", gateway.port).get_client(timeout_s=0.04)


def test_a_machine_of_several_addresses_is_called_at_the_next_when_one_does_not_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silence() as silent:
        addresses_of(monkeypatch, [free_port(), silent, gateway.port])
        with Controller("car", gateway.port).get_client(timeout_s=1.5) as client:
            assert client.ping().message == "ping"


@contextlib.contextmanager
def silence() -> Iterator[int]:
    """A port that neither takes nor refuses a connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):  # what the kernel takes all the same
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        yield port


def test_a_large_request_in_time_leaves_no_thread_and_a_usable_pair(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("length", lambda buffer: len(buffer))
    for _ in range(20):
        with client.deadline(PATIENCE_S):
            assert client.send_subroutine_batch("length", bytes(200_000)) == 200_000
    assert eventually(lambda: "pynet deadline" not in our_threads())


def test_the_end_of_a_sink_waits_no_longer_than_the_deadline(client: Client, gate: Gate) -> None:
    sink = client.open_buffer("gate")
    sink.put(b"x")
    with pytest.raises(DeadlineExceeded, match="the end of sink 'gate'"), client.deadline(0.05):
        sink.close()
    assert not client.connected


def test_files_that_miss_the_deadline_are_interrupted_and_come_with_the_next_call(
    gateway: Gateway, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(3_000_000))
    with Relay(gateway.port, stall_down=1_000_000) as relay:
        client = Controller(port=relay.port, download_dir=str(tmp_path / "here")).get_client()
        with pytest.raises(FilesInterrupted) as caught, client.deadline(0.3):
            client.get_files_from_gateway(files=[file])
        assert "the files: not done within" in caught.value.__notes__[0]
        assert not client.connected


# Cancelling


def in_thread(ask: Callable[[], object]) -> tuple[threading.Thread, list[BaseException | None]]:
    """It runs; how it has ended is in the list."""
    ends: list[BaseException | None] = []

    def run() -> None:
        try:
            ask()
        except PynetError as exc:
            ends.append(exc)
        else:
            ends.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ends


def test_a_cancelled_call_costs_the_pair_and_its_caller_gets_link_closed(client: Client, gate: Gate) -> None:
    calling, ends = in_thread(lambda: client.get_subroutine_batch("gate"))
    assert gate.entered.acquire(timeout=PATIENCE_S)
    assert client.cancel()
    calling.join(PATIENCE_S)
    (error,) = ends
    assert isinstance(error, LinkClosed)
    assert "it was cut at this end" in str(error)
    client.reopen()
    assert client.ping().message == "ping"


def test_a_cancelled_stream_ends_without_an_error_and_leaves_the_pair_usable(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("tick", Ticker())
    got: list[int] = []
    ended: list[str] = []
    streaming, ends = in_thread(
        lambda: client.get_subroutine_stream("tick", lambda _, ident, __: got.append(ident), ended.append)
    )
    assert eventually(lambda: len(got) > 3)
    assert client.cancel()
    streaming.join(PATIENCE_S)
    assert ends == [None]
    assert ended == [], "it has not ended by itself"
    assert client.ping().message == "ping"
    assert not client.cancel(), "nothing runs any more"


def test_a_stream_can_be_cancelled_from_its_callback(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker())
    got: list[int] = []

    def callback(_name: str, ident: int, _body: bytes) -> None:
        got.append(ident)
        assert client.cancel()

    client.get_subroutine_stream("tick", callback)
    assert got == [0]
    assert client.ping().message == "ping"


def test_a_silent_stream_that_is_cancelled_costs_the_pair_but_a_silent_subscription_does_not(
    gateway: Gateway, client: Client
) -> None:
    gate = Gate()

    def silent() -> Iterator[bytes]:
        yield gate()

    gateway.add_subroutine("silent", silent, shared=True, keep="latest")
    streaming, ends = in_thread(lambda: client.get_subroutine_stream("silent", lambda *_: None))
    assert gate.entered.acquire(timeout=PATIENCE_S)
    time.sleep(0.05)  # until it waits for an item: before that it would see that it is cancelled
    assert client.cancel()
    streaming.join(PATIENCE_S)
    assert isinstance(ends[0], LinkClosed)

    client.reopen()
    running = client.subscribe("silent", lambda *_: None)
    assert eventually(lambda: client._streamer)
    assert client.cancel()
    assert running.wait(PATIENCE_S)
    assert running.error is None
    assert client.ping().message == "ping"
    gate.open()


def test_a_cancelled_sink_is_closed_and_what_was_put_before_is_done(gateway: Gateway, client: Client) -> None:
    done: list[bytes] = []
    gateway.add_subroutine("take", lambda buffer: done.append(buffer))
    sink = client.open_buffer("take")
    sink.put(b"1")
    assert eventually(lambda: done)
    assert client.cancel()
    with pytest.raises(LinkClosed):
        for _ in range(100):
            sink.put(b"2")
    client.reopen()
    assert client.ping().message == "ping"


def test_cancelled_files_are_interrupted(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(3_000_000))
    with Relay(gateway.port, stall_down=1_000_000) as relay:
        client = Controller(port=relay.port, download_dir=str(tmp_path / "here")).get_client()
        moving, ends = in_thread(lambda: client.get_files_from_gateway(files=[file]))
        assert relay.stalled.wait(PATIENCE_S)
        assert client.cancel()
        moving.join(PATIENCE_S)
    assert isinstance(ends[0], FilesInterrupted)


def test_cancel_does_nothing_to_an_idle_or_a_closed_pair(client: Client) -> None:
    assert not client.cancel()
    assert client.ping().message == "ping"
    client.close()
    assert not client.cancel()


def test_a_cancelled_subscription_of_a_client_that_reconnects_does_not_come_back(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker())
    with controller_of(gateway).get_client(reconnect=True) as client:
        running = client.subscribe("tick", lambda *_: None)
        assert eventually(lambda: running.stats.items)
        assert client.cancel()
        assert running.wait(PATIENCE_S)
        assert client.reconnections == 0
