"""A peer that dies in the middle of a message, at any byte of any of them: nothing hangs, spins or leaks."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.errors import LinkError, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.wire import Failure, Flag, Frame, Kind, encode, pack_body
from tests.core.loopback import (
    PATIENCE_S,
    FakeGateway,
    RawPeer,
    Ticker,
    controller_of,
    counting,
    eventually,
    hello,
    open_files,
    our_threads,
    request,
    serving,
    welcome,
)

CUTS = [RawPeer.close, RawPeer.reset]
BUFFER = bytes(range(250)) * 160  # 40 KB


def places(data: bytes, every: int = 200) -> list[int]:
    """Where to cut: at each of the first bytes, the last ones, and some in between of a long message."""
    return sorted({*range(min(len(data), every)), *range(every, len(data), 997), len(data) - 1, len(data)})


def is_idle() -> bool:
    """What spins uses a good part of any 20 ms, however busy the machine is; a garbage collection ends."""
    before_s = time.process_time()
    time.sleep(0.02)
    return time.process_time() - before_s < 0.002


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = open_files()
    yield
    assert eventually(lambda: open_files() <= before), f"{open_files() - before} files left open"


@pytest.fixture
def busy() -> Iterator[Gateway]:
    """A gateway that offers one of everything, and must be as it was when all peers have died."""
    with serving(max_poolsize=1000) as gateway:
        gateway.add_subroutine("count", counting)
        gateway.add_subroutine("large", lambda: BUFFER)
        gateway.add_subroutine("take", lambda **_: 0)
        gateway.add_subroutine("own", Ticker(0.001))
        gateway.add_subroutine("newest", Ticker(0.001), keep="latest")
        gateway.add_subroutine("shared", Ticker(0.001), shared=True)
        gateway.add_subroutine("camera", Ticker(0.001), shared=True, keep="latest")
        threads = our_threads()
        yield gateway
        assert eventually(lambda: our_threads() == threads), f"threads left: {our_threads()}"
        assert not gateway.pool.unproven | gateway.pool.live | gateway.pool.stuck
        assert eventually(is_idle), "something spins"
        with controller_of(gateway).get_client() as client:
            assert client.send_subroutine_batch("take", b"x") == 0


# The gateway outlives its controllers


@pytest.mark.parametrize("cut", CUTS)
def test_a_controller_that_dies_at_any_byte_of_its_hello(
    busy: Gateway, cut: Callable[[RawPeer], None]
) -> None:
    data = encode(hello())
    for place in places(data):
        peer = RawPeer.connect(busy.port)
        peer.sock.sendall(data[:place])
        cut(peer)
        if place % 8 == 0:  # no more than the 16 that may be without a HELLO
            assert eventually(lambda: not busy.pool.unproven)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "asked",
    [
        request(Kind.STREAM, "count", 3),
        request(Kind.STREAM, "own"),
        request(Kind.STREAM, "newest"),
        request(Kind.STREAM, "shared"),
        request(Kind.STREAM, "camera"),
        request(Kind.BATCH, "large"),
        request(Kind.BUFFER, "take", buffer=BUFFER),
        request(Kind.SINK, "take"),
        Frame(Kind.PING, 0, b"ping"),
        Frame(Kind.CLOSE_HANDLER),
    ],
    ids=lambda frame: f"{Kind(frame.kind).name}-{frame.body[7:13].decode(errors='ignore')}",
)
def test_a_controller_that_dies_at_any_byte_of_a_request(
    busy: Gateway, asked: Frame, cut: Callable[[RawPeer], None]
) -> None:
    data = encode(asked)
    for place in places(data, 70):
        peer = RawPeer.greeted(busy.port)
        peer.sock.sendall(data[:place])
        cut(peer)


FOLLOW_UPS: list[tuple[Frame, list[Frame]]] = [
    (request(Kind.SINK, "take"), [Frame(Kind.PUT, 0, b"left"), Frame(Kind.PUT, 0, b""), Frame(Kind.END)]),
    (request(Kind.SINK, "take"), [Frame(Kind.PUT, 0, BUFFER), Frame(Kind.PUT, 0, BUFFER)]),
    (request(Kind.STREAM, "camera"), [Frame(Kind.CREDIT, 1), Frame(Kind.CANCEL)]),
    (request(Kind.STREAM, "newest"), [Frame(Kind.CREDIT, 1), Frame(Kind.CANCEL)]),
    (request(Kind.STREAM, "own"), [Frame(Kind.CANCEL), Frame(Kind.PING)]),
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("asked", "then"), FOLLOW_UPS, ids=lambda value: None)
def test_a_controller_that_dies_at_any_byte_of_what_follows_a_request(
    busy: Gateway, asked: Frame, then: list[Frame], cut: Callable[[RawPeer], None]
) -> None:
    data = b"".join(map(encode, then))
    for place in places(data, 80):
        peer = RawPeer.greeted(busy.port)
        peer.send(asked)
        assert peer.receive().kind in (Kind.REPLY, Kind.ITEM)
        peer.sock.sendall(data[:place])
        cut(peer)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", ["large items", "shared items", "newest items"])
def test_a_controller_that_dies_without_reading_what_is_sent_to_it(
    busy: Gateway, name: str, cut: Callable[[RawPeer], None]
) -> None:
    def pictures() -> Iterator[bytes]:
        while True:
            yield bytes(1_000_000)
            time.sleep(0.001)

    options: Any = {"large items": {}, "shared items": {"shared": True}, "newest items": {"keep": "latest"}}
    busy.add_subroutine(name, pictures, **options[name])
    for _ in range(10):
        peer = RawPeer.greeted(busy.port)
        peer.send(request(Kind.STREAM, name))
        peer.sock.recv(100)
        cut(peer)


# A client outlives its gateway


def cut_answers(
    answer: bytes, cut: Callable[[RawPeer], None], use: Callable[[Client], None], *, every: int = 70
) -> None:
    """Run `use` on clients whose gateway dies at each place of its answer: a LinkError each, at once."""
    with FakeGateway() as fake:
        for place in places(answer, every):

            def serve(place: int = place) -> None:
                peer = fake.accept_and_welcome()
                peer.sock.recv(64)
                with contextlib.suppress(ConnectionError):
                    peer.sock.sendall(answer[:place])
                cut(peer)

            serving = threading.Thread(target=serve, name="fake gateway")
            serving.start()
            client = controller_of(fake).get_client()
            client.timeout_s = None  # nothing but the cut may end it
            try:
                use(client)
            except LinkError:
                assert place < len(answer) or not client.connected
            serving.join()
            client.close()


@pytest.mark.parametrize("cut", CUTS)
def test_a_gateway_that_dies_at_any_byte_of_its_welcome(cut: Callable[[RawPeer], None]) -> None:
    data = encode(welcome())
    with FakeGateway() as fake:
        for place in range(len(data)):

            def serve(place: int = place) -> None:
                peer = fake.accept()
                peer.receive()
                peer.sock.sendall(data[:place])
                cut(peer)

            serving = threading.Thread(target=serve)
            serving.start()
            with pytest.raises(LinkError, match="closed the connection before WELCOME"):
                controller_of(fake).get_client()
            serving.join()


def ask_batch(client: Client) -> None:
    client.get_subroutine_batch("f")


def ask_buffer(client: Client) -> None:
    client.send_subroutine_batch("f", BUFFER)


def ask_ping(client: Client) -> None:
    client.ping()


def ask_stream(client: Client) -> None:
    client.get_subroutine_stream("f", lambda *_: None)
    client.ping()  # after a natural end there is no more


def ask_subscription(client: Client) -> None:
    running = client.subscribe("f", lambda *_: None)
    assert running.wait(PATIENCE_S), "the stream's thread hangs"
    if running.error is not None:
        raise running.error


def ask_iteration(client: Client) -> None:
    for _ in client.subscribe("f"):
        pass


def use_sink(client: Client) -> None:
    with contextlib.suppress(SubroutineError), client.open_buffer("f") as sink:
        while True:
            sink.put(b"x")


PONG = Frame(Kind.PONG)  # a stream begins with a ping
ITEMS = [PONG, Frame(Kind.ITEM, 0, b"abc"), Frame(Kind.ITEM, 1, b"", 7, Flag.CREDITED), Frame(Kind.END)]
ERROR = Frame(Kind.ERROR, 500, pack_body(Failure(error="ValueError", reason="broken")))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("frames", "use"),
    [
        ([Frame(Kind.PONG, 0, b"ping")], ask_ping),
        ([Frame(Kind.REPLY, 0, b"answer")], ask_batch),
        ([Frame(Kind.REPLY, 0, BUFFER)], ask_batch),
        ([Frame(Kind.REPLY)], ask_buffer),
        (ITEMS, ask_stream),
        ([PONG, Frame(Kind.ITEM, 0, BUFFER), Frame(Kind.ITEM, 0, BUFFER)], ask_stream),
        (ITEMS, ask_subscription),
        (ITEMS, ask_iteration),
        ([Frame(Kind.REPLY), ERROR], use_sink),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_gateway_that_dies_at_any_byte_of_its_answer(
    frames: list[Frame], use: Callable[[Client], None], cut: Callable[[RawPeer], None]
) -> None:
    cut_answers(b"".join(map(encode, frames)), cut, use)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("read_bytes", [0, 1, 24, 1000, 39_000])
def test_a_gateway_that_dies_while_a_large_buffer_is_sent_to_it(
    read_bytes: int, cut: Callable[[RawPeer], None]
) -> None:
    with FakeGateway() as fake:

        def serve() -> None:
            peer = fake.accept_and_welcome()
            left = read_bytes
            while left and (data := peer.sock.recv(left)):
                left -= len(data)
            cut(peer)

        serving = threading.Thread(target=serve)
        serving.start()
        with controller_of(fake).get_client() as client, pytest.raises(LinkError):
            client.send_subroutine_batch("f", bytes(20_000_000))
        serving.join()
        assert not client.connected


def test_a_gateway_that_vanishes_while_nobody_talks_is_noticed_at_the_next_word() -> None:
    with FakeGateway() as fake:
        accepting = threading.Thread(target=lambda: fake.accept_and_welcome().close())
        accepting.start()
        client = controller_of(fake).get_client()
        accepting.join()
        with pytest.raises(LinkError):
            client.ping()
        assert not client.connected
        client.close()


def test_a_socket_that_is_half_closed_still_gets_its_answer_then_ends(busy: Gateway) -> None:
    peer = RawPeer.greeted(busy.port)
    peer.send(request(Kind.BATCH, "large"))
    peer.sock.shutdown(socket.SHUT_WR)
    assert peer.receive().body == BUFFER
    assert peer.hears_the_end()
    peer.close()
