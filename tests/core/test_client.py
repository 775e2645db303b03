"""Calls, sinks, pings and the end of a client, over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pynet_core.client import Batch, Client
from pynet_core.errors import LinkClosed, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.subroutines import Peer, caller
from tests.core.loopback import (
    PATIENCE_S,
    Gate,
    Ticker,
    collected,
    controller_of,
    counting,
    eventually,
)

# Batches and buffers


@pytest.mark.parametrize(
    ("returned", "ident", "body"),
    [
        (b"x", 0, b"x"),
        (b"", 0, b""),
        (bytearray(b"x"), 0, b"x"),
        ((7, b"x"), 7, b"x"),
        ((-7, b""), -7, b""),
        ((2**63 - 1, memoryview(b"x")), 2**63 - 1, b"x"),
    ],
)
def test_a_batch_is_bytes_with_the_ident_the_function_gave_along(
    gateway: Gateway, client: Client, returned: Any, ident: int, body: bytes
) -> None:
    gateway.add_subroutine("f", lambda: returned)
    batch = client.get_subroutine_batch("f")
    assert isinstance(batch, Batch)
    assert isinstance(batch, bytes)
    assert (batch.ident, batch) == (ident, body)


def test_a_batch_of_10_mb_arrives_whole(gateway: Gateway, client: Client) -> None:
    data = bytes(range(250)) * 40_000
    gateway.add_subroutine("f", lambda: data)
    assert client.get_subroutine_batch("f") == data


@pytest.mark.parametrize(
    ("returned", "answer"),
    [
        (0, 0),
        (-5, -5),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (True, 0),
        (False, 0),
        (None, 0),
        ("5", 0),
        (5.0, 0),
        (b"5", 0),
    ],
)
def test_a_buffer_call_returns_the_int_and_0_for_what_is_none(
    gateway: Gateway, client: Client, returned: Any, answer: int
) -> None:
    gateway.add_subroutine("f", lambda **_: returned)
    assert client.send_subroutine_batch("f", b"x") == answer


@pytest.mark.parametrize(
    ("buffer", "seen"),
    [
        (None, None),
        (b"", None),
        (b"x", b"x"),
        (bytearray(b"xy"), b"xy"),
        (memoryview(b"abc"), b"abc"),
        (bytes(3_000_000), bytes(3_000_000)),
        (memoryview(b"\1\0\0\0\2\0\0\0").cast("i"), b"\1\0\0\0\2\0\0\0"),
    ],
)
def test_the_function_finds_the_bytes_under_buffer_and_no_such_key_without_any(
    gateway: Gateway, client: Client, buffer: Any, seen: bytes | None
) -> None:
    calls: list[Any] = []
    gateway.add_subroutine("f", lambda *a, **k: calls.append((a, k)))
    client.send_subroutine_batch("f", buffer, [1], key="v")
    expected = {"key": "v"} if seen is None else {"key": "v", "buffer": seen}
    assert calls == [((1,), expected)]


def test_the_callers_arguments_are_left_as_they_were(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("f", lambda *a, **k: b"")
    arguments = [1, [2]]
    client.get_subroutine_batch("f", arguments, key={"a": 1})
    client.get_subroutine_batch("f", (1, 2))  # type: ignore[arg-type]
    assert arguments == [1, [2]]


def test_a_call_waits_no_longer_than_the_clients_timeout(gateway: Gateway, client: Client) -> None:
    gate = Gate()
    gateway.add_subroutine("f", gate)
    client.timeout_s = 0.05
    with pytest.raises(TimeoutError, match=r"nothing within 0\.05 s"):
        client.get_subroutine_batch("f")
    assert not client.connected, "a late answer would be taken for the next one's"
    gate.open()


# Sinks


def test_a_sinks_buffers_arrive_in_order_and_close_waits_for_the_last(
    gateway: Gateway, client: Client
) -> None:
    got: list[tuple[str, bytes]] = []

    def take(channel: str, buffer: bytes = b"none", scale: int = 1) -> None:
        time.sleep(0.0005)
        got.append((channel, buffer * scale))

    gateway.add_subroutine("take", take)
    with client.open_buffer("take", ["left"], scale=2) as sink:
        sent = [b"%d" % number for number in range(100)]
        assert all(sink.put(buffer) for buffer in [*sent, b"", bytearray(b"!")])
    assert got == [("left", each * 2) for each in [*sent, b"none", b"!"]]
    assert sink.dropped == 0
    assert client.ping().message == "ping"


def test_a_sink_drops_and_counts_when_the_far_side_is_congested_and_keeps_the_order(gateway: Gateway) -> None:
    gate = Gate()
    got: list[int] = []

    def take(buffer: bytes) -> None:
        got.append(int.from_bytes(buffer[:4], "big"))
        gate()

    gateway.add_subroutine("take", take)
    with controller_of(gateway).get_client(purpose="control") as client:
        sink = client.open_buffer("take")
        sent: list[int] = []
        number = 0
        while sink.dropped < 20:
            if sink.put(number.to_bytes(4, "big") + bytes(50_000)):
                sent.append(number)
            number += 1
            assert number < 10_000, "never congested"
        assert len(sent) + sink.dropped == number
        gate.open()
        sink.close()
        assert got == sent
        assert client.ping().message == "ping"


def test_puts_that_cross_the_error_mean_nothing_and_the_pair_goes_on(
    gateway: Gateway, client: Client
) -> None:
    calls: list[bytes] = []

    def take(buffer: bytes) -> None:
        calls.append(buffer)
        if buffer == b"bad":
            raise ValueError("bad buffer")

    gateway.add_subroutine("take", take)
    for _ in range(30):
        calls.clear()
        sink = client.open_buffer("take")
        with pytest.raises(SubroutineError, match="ValueError: bad buffer"):
            for buffer in [b"good", b"bad", *[b"more"] * 5]:
                sink.put(buffer)
            sink.close()
        assert calls == [b"good", b"bad"]
        with pytest.raises(LinkClosed, match="sink of 'take' is closed; open it again"):
            sink.put(b"x")
        sink.close()
    assert client.ping().message == "ping"


def test_a_sink_left_by_an_exception_does_not_hide_it(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("take", lambda **_: None)
    with pytest.raises(KeyError, match="mine"), client.open_buffer("take") as sink:
        sink.put(b"x")
        raise KeyError("mine")
    assert client.ping().message == "ping", "the pair is free"


def test_a_sink_left_by_an_exception_waits_a_second_for_what_was_put(
    gateway: Gateway, client: Client
) -> None:
    gate = Gate()
    gateway.add_subroutine("take", gate)
    with pytest.raises(KeyError, match="mine"), client.open_buffer("take") as sink:
        sink.put(b"x")
        raise KeyError("mine")
    assert not client.connected
    gate.open()


def test_a_sink_left_by_ctrl_c_costs_its_pair_at_once(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("take", lambda **_: None)
    with pytest.raises(KeyboardInterrupt), client.open_buffer("take"):
        raise KeyboardInterrupt
    assert not client.connected


def test_a_generator_is_no_sink(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("count", counting)
    with pytest.raises(SubroutineError, match="'count' is a generator; ask for it as a stream"):
        client.open_buffer("count")
    assert client.ping().message == "ping"


@pytest.mark.parametrize("buffer", ["text", 5, None, [1]])
def test_a_put_of_what_is_no_buffer_is_a_type_error_and_sends_nothing(
    gateway: Gateway, client: Client, buffer: Any
) -> None:
    calls: list[bytes] = []
    gateway.add_subroutine("take", lambda buffer: calls.append(buffer))
    with client.open_buffer("take") as sink:
        with pytest.raises(TypeError, match="bytes-like"):
            sink.put(buffer)
        sink.put(memoryview(b"\1\0\2\0").cast("h"))
    assert calls == [b"\1\0\2\0"]


# Ping, caller, and the rest


def test_a_ping_comes_back_with_the_time_it_took_and_the_offset_of_the_clocks(client: Client) -> None:
    pong = client.ping("Hello")
    assert pong.message == "Hello"
    assert client.ping(5).message == "5"  # type: ignore[arg-type]
    assert abs(pong.offset_ns) <= pong.rtt_ns / 2, "one machine, one clock"


def test_a_subroutine_knows_which_pair_called_it(gateway: Gateway) -> None:
    def who() -> bytes:
        return repr(caller()).encode()

    def stream_who() -> Iterator[bytes]:
        yield repr(caller()).encode()

    gateway.add_subroutine("who", who)
    gateway.add_subroutine("own", stream_who)
    gateway.add_subroutine("own newest", stream_who, keep="latest")
    controller = controller_of(gateway)
    with controller.get_client(purpose="control") as one, controller.get_client() as two:
        names = [one.get_subroutine_batch("who"), two.get_subroutine_batch("who")]
        assert names[0] != names[1]
        for each, name in zip((one, two), names, strict=True):
            assert [body for _, body in collected(each, "own")] == [name]
            assert [body for _, body in collected(each, "own newest")] == [name]
        peers = [eval(name, {"Peer": Peer}) for name in names]
    assert [peer.controller_id for peer in peers] == [controller.id] * 2
    assert [peer.purpose for peer in peers] == ["control", "stream"]
    assert {peer.role for peer in peers} == {"admin"}


def test_a_shared_generator_has_no_caller(gateway: Gateway, client: Client) -> None:
    def who() -> Iterator[bytes]:
        yield repr(caller()).encode()

    gateway.add_subroutine("who", who, shared=True)
    with pytest.raises(SubroutineError, match=r"LookupError: no caller: .* inside a shared generator"):
        collected(client, "who")


def test_subroutines_come_and_go_while_pairs_are_open(gateway: Gateway, client: Client) -> None:
    with pytest.raises(SubroutineError):
        client.get_subroutine_batch("f")
    gateway.add_subroutine("f", lambda: b"1")
    assert client.get_subroutine_batch("f") == b"1"
    gateway.add_subroutine(name="f", subroutine=lambda: b"2")
    assert client.get_subroutine_batch("f") == b"2"
    gateway.remove_subroutine("f")
    with pytest.raises(SubroutineError) as caught:
        client.get_subroutine_batch("f")
    assert (caught.value.code, caught.value.error) == (404, "UnknownSubroutine")


def test_a_stream_whose_subroutine_is_removed_goes_on(gateway: Gateway, client: Client) -> None:
    def feed() -> Iterator[bytes]:
        yield b"1"
        gateway.remove_subroutine("feed")
        yield b"2"

    gateway.add_subroutine("feed", feed)
    assert [body for _, body in collected(client, "feed")] == [b"1", b"2"]


def test_one_thing_at_a_time_on_a_pair(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("count", counting)

    def callback(_name: str, _ident: int, _body: bytes) -> None:
        client.ping()

    with pytest.raises(Exception, match="cannot send PING: this pair is in a stream; one thing at a time"):
        client.get_subroutine_stream("count", callback, None, [3])
    assert client.ping().message == "ping"


# Closing


def test_a_closed_client_says_so(client: Client) -> None:
    assert client.connected
    client.close_handler()
    client.close_handler()
    client.close()
    assert not client.connected
    for ask in (client.ping, lambda: client.get_subroutine_batch("f"), lambda: client.open_buffer("f")):
        with pytest.raises(LinkClosed, match="this pair is closed; get another client"):
            ask()


def test_a_callback_may_close_its_own_client(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker())
    with pytest.raises(LinkClosed, match="this pair is closed"):
        client.get_subroutine_stream("tick", lambda *_: client.close())
    assert eventually(lambda: not gateway.pool.live)


def test_abort_wakes_whoever_waits_in_a_call(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("f", gate)
    client = controller_of(gateway).get_client()
    errors: list[BaseException] = []

    def call() -> None:
        try:
            client.get_subroutine_batch("f")
        except LinkClosed as exc:
            errors.append(exc)

    calling = threading.Thread(target=call)
    calling.start()
    assert gate.entered.acquire(timeout=PATIENCE_S)
    client.abort()
    calling.join(PATIENCE_S)
    assert len(errors) == 1
    gate.open()


def test_a_socket_is_closed_by_the_thread_that_uses_it_lest_it_writes_into_the_next_one(
    gateway: Gateway,
) -> None:
    gateway.add_subroutine("take", lambda **_: 0)
    with controller_of(gateway).get_client() as client, ThreadPoolExecutor(1) as other:
        sink = other.submit(client.open_buffer, "take").result()
        client.close()
        assert client._channel._sock.fileno() >= 0, "the other thread may be about to write"
        with pytest.raises(LinkClosed):
            other.submit(sink.put, b"x").result()
        assert client._channel._sock.fileno() == -1


def test_a_call_of_another_thread_is_ended_by_close_and_leaves_no_socket(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)
    client = controller_of(gateway).get_client()
    with ThreadPoolExecutor(1) as other:
        calling = other.submit(client.get_subroutine_batch, "gate")
        assert gate.entered.acquire(timeout=PATIENCE_S)
        client.close()
        with pytest.raises(LinkClosed):
            calling.result()
    assert client._channel._sock.fileno() == -1
    gate.open()


def test_close_in_a_callback_or_beside_an_open_sink_leaves_no_socket(gateway: Gateway) -> None:
    gateway.add_subroutine("take", lambda **_: 0)
    gateway.add_subroutine("tick", Ticker())
    with controller_of(gateway).get_client() as client:
        client.open_buffer("take")
    assert client._channel._sock.fileno() == -1
    client = controller_of(gateway).get_client()
    with pytest.raises(LinkClosed):
        client.get_subroutine_stream("tick", lambda *_: client.close())
    assert client._channel._sock.fileno() == -1
