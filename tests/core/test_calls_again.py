"""pynet_core.exchange and handler: a call that has come before goes a shorter way, and means the same."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import LinkClosed, RemoteProtocolError, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.session import State
from pynet_core.wire import Frame, Kind, encode
from tests.core.loopback import (
    PATIENCE_S,
    FakeGateway,
    Gate,
    RawPeer,
    collected,
    counting,
    eventually,
    request,
    serving,
)

TIMES = 4  # the second call is the first that both ends know


@pytest.fixture
def raw(gateway: Gateway) -> Iterator[RawPeer]:
    """A peer for which `f` has been called twice, and a list of the buffers it was called with."""
    with RawPeer.greeted(gateway.port) as peer:
        yield peer


def known(gateway: Gateway, raw: RawPeer) -> list[Any]:
    """The buffers that `f` was called with; it has been called twice, with none."""
    seen: list[Any] = []
    gateway.add_subroutine("f", lambda **kwargs: seen.append(kwargs.get("buffer")))
    for _ in range(2):
        raw.send(request(Kind.BUFFER, "f"))
        assert raw.receive().kind == Kind.REPLY
    return seen


# At the gateway


@pytest.mark.parametrize("split", [1, 24, 40])
def test_a_known_call_may_come_in_pieces(gateway: Gateway, raw: RawPeer, split: int) -> None:
    seen, data = known(gateway, raw), encode(request(Kind.BUFFER, "f", buffer=bytes(range(64))))
    for start in range(0, len(data), split):
        raw.sock.sendall(data[start : start + split])
    assert raw.receive() == Frame(Kind.REPLY)
    assert seen[-1] == bytes(range(64))


def test_known_calls_that_come_together_are_answered_one_by_one(gateway: Gateway, raw: RawPeer) -> None:
    seen = known(gateway, raw)
    raw.send(*(request(Kind.BUFFER, "f", buffer=b"%d" % number) for number in range(1, 8)))
    assert [raw.receive().kind for _ in range(7)] == [Kind.REPLY] * 7
    assert seen[2:] == [b"%d" % number for number in range(1, 8)]


@pytest.mark.parametrize("wrong", [-1, 1, 2**62, -(2**62)])
def test_a_known_call_that_lies_about_its_size_costs_the_pair_and_calls_nothing(
    gateway: Gateway, raw: RawPeer, wrong: int
) -> None:
    seen, call = known(gateway, raw), request(Kind.BUFFER, "f")
    raw.send(Frame(Kind.BUFFER, call.ident + wrong, call.body))
    assert raw.hears_the_end()
    assert len(seen) == 2


def test_a_size_that_counts_from_the_end_costs_the_pair_and_calls_nothing(
    gateway: Gateway, raw: RawPeer
) -> None:
    seen, call = known(gateway, raw), request(Kind.BUFFER, "f", buffer=b"12345")
    raw.send(Frame(Kind.BUFFER, -5, call.body))
    assert raw.hears_the_end()
    assert len(seen) == 2


def test_what_is_no_request_costs_the_pair_after_a_known_call_too(gateway: Gateway, raw: RawPeer) -> None:
    seen, call = known(gateway, raw), request(Kind.BUFFER, "f")
    raw.send(Frame(Kind.PUT, call.ident, call.body))
    assert raw.hears_the_end()
    assert len(seen) == 2


def test_after_known_calls_everything_else_can_be_asked_for(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("f", lambda **_: 5)
    gateway.add_subroutine("stream", counting)
    gateway.add_subroutine("sum", lambda *numbers: b"%d" % sum(numbers))
    for _ in range(3):
        assert [client.send_subroutine_batch("f", b"x") for _ in range(TIMES)] == [5] * TIMES
        assert len(collected(client, "stream", 3)) == 3
        assert client.get_subroutine_batch("sum", [1, 2]) == b"3"
        assert client.ping("hello").message == "hello"
        with client.open_buffer("f") as sink:
            assert sink.put(b"y")


def test_a_batch_is_the_same_each_time(gateway: Gateway, client: Client) -> None:
    for returned in (b"", b"x", (7, b"x"), bytearray(b"x"), bytes(20_000), bytes(10**6)):
        gateway.add_subroutine("f", lambda returned=returned: returned)
        batches = [client.get_subroutine_batch("f") for _ in range(TIMES)]
        ident, body = returned if isinstance(returned, tuple) else (0, returned)
        assert [(each.ident, bytes(each)) for each in batches] == [(ident, bytes(body))] * TIMES


@pytest.mark.parametrize("size", [0, 64, 2_000, 10**6])
def test_a_buffer_call_is_the_same_each_time(gateway: Gateway, client: Client, size: int) -> None:
    for returned in (None, 0, -5, 2**63 - 1, -(2**63), True, "5", 5.0):
        seen: list[bytes] = []

        def keep(returned: Any = returned, seen: list[bytes] = seen, **kwargs: Any) -> Any:
            seen.append(kwargs.get("buffer", b""))
            return returned

        gateway.add_subroutine("f", keep)
        answer = returned if type(returned) is int else 0
        assert [client.send_subroutine_batch("f", b"a" * size) for _ in range(TIMES)] == [answer] * TIMES
        assert seen == [b"a" * size] * TIMES


def failing(**_: Any) -> int:
    raise ValueError("not today")


@pytest.mark.parametrize(
    ("function", "error"), [(failing, "ValueError"), (lambda **_: 2**63, "LocalProtocolError")]
)
def test_a_known_call_that_fails_is_told_each_time_and_leaves_the_pair(
    gateway: Gateway, client: Client, function: Callable[..., Any], error: str
) -> None:
    fails = False
    gateway.add_subroutine("f", lambda **kwargs: function(**kwargs) if fails else 1)
    assert [client.send_subroutine_batch("f", b"x") for _ in range(TIMES)] == [1] * TIMES
    fails = True
    for _ in range(TIMES):
        with pytest.raises(SubroutineError) as caught:
            client.send_subroutine_batch("f", b"x")
        assert caught.value.error == error
    fails = False
    assert client.send_subroutine_batch("f", b"x") == 1


def test_what_is_registered_anew_or_removed_counts_at_once(gateway: Gateway, client: Client) -> None:
    for number in range(3):
        gateway.add_subroutine("f", lambda number=number, **_: number)
        assert [client.send_subroutine_batch("f", b"x") for _ in range(TIMES)] == [number] * TIMES
    gateway.remove_subroutine("f")
    for _ in range(TIMES):
        with pytest.raises(SubroutineError) as caught:
            client.send_subroutine_batch("f", b"x")
        assert caught.value.code == 404


def test_more_names_than_are_remembered_are_called_all_the_same(gateway: Gateway, client: Client) -> None:
    for number in range(40):
        gateway.add_subroutine(f"f{number}", lambda number=number, **_: number)
    for _ in range(3):
        assert [client.send_subroutine_batch(f"f{number}", b"x") for number in range(40)] == list(range(40))


def test_a_pair_that_is_cut_calls_nothing_more(gateway: Gateway, raw: RawPeer) -> None:
    seen, gate = known(gateway, raw), Gate()
    gateway.add_subroutine("gate", gate)
    for _ in range(2):
        gate.open()
        raw.send(request(Kind.BATCH, "gate"))
        assert raw.receive().kind == Kind.REPLY
        assert gate.entered.acquire(timeout=PATIENCE_S)
    raw.send(request(Kind.BUFFER, "f"))
    assert raw.receive().kind == Kind.REPLY
    shut = Gate()
    gateway.add_subroutine("gate", shut)
    raw.send(request(Kind.BATCH, "gate"), request(Kind.BUFFER, "f"))
    assert shut.entered.acquire(timeout=PATIENCE_S)
    (handler,) = gateway.pool.live
    handler.abort()
    shut.open()
    assert eventually(lambda: not gateway.pool.live)
    assert len(seen) == 3


# At the controller


class Answers:
    """A client whose second call of `f` is answered with these bytes."""

    def __init__(self, *answers: bytes) -> None:
        self._fake = FakeGateway()
        self._answers = answers
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with contextlib.suppress(EOFError), self._fake.accept_and_welcome() as peer:
            assert peer.receive().kind == Kind.BUFFER
            peer.send(Frame(Kind.REPLY))
            assert peer.receive().kind == Kind.BUFFER
            for answer in self._answers:
                peer.sock.sendall(answer)
            peer.hears_the_end()

    def __enter__(self) -> Client:
        self._thread.start()
        self.client = Controller(port=self._fake.port).get_client()
        assert self.client.send_subroutine_batch("f", b"x") == 0
        return self.client

    def __exit__(self, *_: object) -> None:
        self.client.abort()
        self.client.close()
        self._thread.join(PATIENCE_S)
        self._fake.__exit__()


@pytest.mark.parametrize("split", [1, 24])
def test_an_answer_may_come_in_pieces(split: int) -> None:
    data = encode(Frame(Kind.REPLY, 7, b"body"))
    with Answers(*(data[at : at + split] for at in range(0, len(data), split))) as client:
        assert client.send_subroutine_batch("f", b"x") == 7
        assert client._channel.session.state is State.IDLE


@pytest.mark.parametrize("answer", [Frame(Kind.ITEM), Frame(Kind.PONG), Frame(Kind.REPLY, flags=1)])
def test_an_answer_out_of_turn_costs_the_pair(answer: Frame) -> None:
    with Answers(encode(answer)) as client:
        if answer.flags:  # which mean nothing here
            assert client.send_subroutine_batch("f", b"x") == 0
            return
        with pytest.raises(RemoteProtocolError):
            client.send_subroutine_batch("f", b"x")
        assert not client.connected


def test_a_known_call_that_is_cancelled_costs_the_pair_and_its_caller_gets_link_closed() -> None:
    with Answers() as client:
        failed: list[Exception] = []

        def call() -> None:
            try:
                client.send_subroutine_batch("f", b"x")
            except Exception as exc:
                failed.append(exc)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        assert eventually(lambda: client._channel.session.state is State.CALLING)
        assert client.cancel()
        thread.join(PATIENCE_S)
        assert [type(exc) for exc in failed] == [LinkClosed]
        assert not client.connected


def test_a_closed_client_says_so_of_a_known_call_too() -> None:
    with serving() as gateway:
        gateway.add_subroutine("f", lambda **_: 1)
        client = Controller(port=gateway.port).get_client()
        assert [client.send_subroutine_batch("f", b"x") for _ in range(TIMES)] == [1] * TIMES
        client.close()
        with pytest.raises(LinkClosed, match="get another client"):
            client.send_subroutine_batch("f", b"x")
