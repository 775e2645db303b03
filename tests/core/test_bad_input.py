"""What people and strangers get wrong: one clear error each, and connection, gateway and others intact."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import (
    DeadlineExceeded,
    LinkClosed,
    LinkError,
    LocalProtocolError,
    PoolFull,
    Refused,
    RemoteProtocolError,
    SubroutineError,
)
from pynet_core.gateway import Gateway
from pynet_core.wire import (
    MAX_CONTROL_BYTES,
    MAX_ITEM_BYTES,
    MAX_OPENING_BYTES,
    Failure,
    Frame,
    Kind,
    encode,
    pack_body,
)
from tests.core.loopback import (
    PATIENCE_S,
    RawPeer,
    Ticker,
    collected,
    controller_of,
    counting,
    eventually,
    hello,
    request,
    serving,
)
from tests.ports import free_port


@pytest.fixture(autouse=True)
def others_are_unharmed(gateway: Gateway) -> Iterator[None]:
    """A second pair streams all the while and must miss nothing; newcomers must be served after."""
    gateway.add_subroutine("ticking", Ticker(0.001))
    with controller_of(gateway).get_client() as other:
        got: list[int] = []
        running = other.subscribe("ticking", lambda _, ident, __: got.append(ident))
        yield
        count = len(got)
        assert eventually(lambda: len(got) > count + 3)
        running.stop()
        assert got == list(range(len(got)))
        assert running.error is None
    with controller_of(gateway).get_client() as newcomer:
        assert newcomer.ping().message == "ping"


# No gateway


@contextlib.contextmanager
def stranger(says: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something that listens and is no gateway; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(PATIENCE_S)
                says(sock)
                with contextlib.suppress(OSError):
                    while sock.recv(4096):
                        pass

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield listener.getsockname()[1]
        serving.join(PATIENCE_S)


def test_no_gateway_is_a_link_error_that_asks_the_right_questions() -> None:
    port = free_port()
    with pytest.raises(
        LinkError, match=f"no gateway at this machine port {port}: is it started, and is this"
    ):
        Controller(port=port).get_client()
    with pytest.raises(LinkError, match=f"no gateway at 127.0.0.1 port {port}"):
        Controller("127.0.0.1", port).get_client()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".org", "a..b", "300.1.2.3", "\udcff"])
def test_a_host_that_is_none_is_a_link_error(host: str) -> None:
    with pytest.raises(LinkError, match="cannot reach "):
        Controller(host).get_client()


@pytest.mark.parametrize("port", [-1, 0, 65536, 65536 + 1857, 10**20, "1857", None])
def test_a_port_that_is_none_is_a_value_error_and_never_another_port(port: Any) -> None:
    with pytest.raises(ValueError, match=f"port must be 1 to 65535, got {port!r}"):
        Controller(port=port).get_client()


@pytest.mark.parametrize(
    "banner",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n",
        b"220 mail.example.org ESMTP Postfix\r\n",
        bytes(24),
        b"\xff" * 24,
        struct.pack("<IIqq", MAX_OPENING_BYTES + 1, Kind.WELCOME, 200, 0),
        encode(Frame(Kind.WELCOME, 200, b"not msgpack")),
        encode(Frame(Kind.REFUSAL, 503, b"\x80")),
        encode(Frame(Kind.PONG)),
        encode(hello()),
    ],
)
def test_something_else_that_answers_is_named_as_no_gateway(banner: bytes) -> None:
    with stranger(lambda sock: sock.sendall(banner)) as port:
        where = f"no pynet gateway at this machine port {port}, something else answers: "
        with pytest.raises(RemoteProtocolError, match=where):
            Controller(port=port).get_client()


def test_a_listener_that_closes_is_named() -> None:
    with stranger(lambda sock: sock.shutdown(socket.SHUT_RDWR)) as port:
        words = f"this machine port {port} closed the connection before WELCOME, is it a gateway?"
        with pytest.raises(LinkClosed, match=words):
            Controller(port=port).get_client()


@pytest.mark.parametrize("half", [b"", b"220 FTP\r\n", encode(Frame(Kind.WELCOME, 200, bytes(50)))[:60]])
def test_a_listener_that_stays_silent_or_stops_half_way_costs_the_timeout(half: bytes) -> None:
    with (
        stranger(lambda sock: sock.sendall(half)) as port,
        pytest.raises(DeadlineExceeded, match=rf"this machine port {port}: nothing within 0\.1 s"),
    ):
        Controller(port=port).get_client(timeout_s=0.1)


def test_a_full_pool_says_so_and_what_to_do() -> None:
    with serving(max_poolsize=1) as full, controller_of(full).get_client() as first:
        with pytest.raises(PoolFull, match="503: the pool of 1 is full; close a pair or raise max_poolsize"):
            controller_of(full).get_client()
        assert first.ping().message == "ping"


# Wrong requests: the pair lives


def nested(depth: int) -> Any:
    inner: Any = []
    for _ in range(depth):
        inner = [inner]
    return inner


class Unencodable: ...


@pytest.mark.parametrize(
    ("arguments", "kwargs", "words"),
    [
        (
            [Unencodable()],
            {},
            "arguments of 'f' cannot travel: .*Unencodable is unsupported; use numbers, str",
        ),
        ([], {"key": {1, print}}, "arguments of 'f' cannot travel"),
        ([2**80], {}, "arguments of 'f' cannot travel"),
        (["\udcff"], {}, "arguments of 'f' cannot travel"),
        ([nested(20_000)], {}, "arguments of 'f' cannot travel: .*recursion"),
        (
            [bytes(MAX_CONTROL_BYTES)],
            {},
            "arguments of 'f' are 65.* B, limit 65536 B; send large data as buffer",
        ),
    ],
)
def test_arguments_that_cannot_travel_are_told_at_once(
    gateway: Gateway, client: Client, arguments: list[Any], kwargs: dict[str, Any], words: str
) -> None:
    gateway.add_subroutine("f", lambda *_, **__: b"")
    for ask in (client.get_subroutine_batch, client.open_buffer):
        with pytest.raises(LocalProtocolError, match=words):
            ask("f", arguments, **kwargs)
    with pytest.raises(LocalProtocolError, match=words):
        client.get_subroutine_stream("f", print, None, arguments, **kwargs)
    assert client.ping().message == "ping"


@pytest.mark.parametrize("arguments", ["hello", b"hello", 5, {"a": 1}])
def test_an_argument_without_its_list_is_not_taken_apart(client: Client, arguments: Any) -> None:
    for ask in (client.get_subroutine_batch, client.open_buffer):
        with pytest.raises(TypeError, match=r"^arguments of 'echo' are a list, got .*: write "):
            ask("echo", arguments)
    assert client.ping().rtt_ns > 0


@pytest.mark.parametrize("where", ["localhost", ("localhost",), 5, ("localhost", 1857, 1)])
def test_a_gateway_that_is_no_pair_of_host_and_port_is_told_as_that(where: Any) -> None:
    with pytest.raises(ValueError, match=r"^a gateway is \('host', port\), got "):
        Controller().get_client(where)
    with pytest.raises(ValueError, match=r"^a gateway is \('host', port\), got "):
        Controller().get_swarm(2, [where])


def test_a_buffer_that_is_too_large_or_none_is_told_at_once(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("f", lambda **_: 1)
    with pytest.raises(LocalProtocolError, match=f"BUFFER of 671.* B, limit {MAX_ITEM_BYTES} B$"):
        client.send_subroutine_batch("f", bytes(MAX_ITEM_BYTES))
    with pytest.raises(TypeError, match="bytes-like object is required, not 'str'"):
        client.send_subroutine_batch("f", "text")
    with pytest.raises(TypeError, match="contiguous"):
        client.send_subroutine_batch("f", memoryview(b"abcd")[::2])
    with pytest.raises(LocalProtocolError, match="a subroutine's name is a string, got 5"):
        client.send_subroutine_batch(5, b"")  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="PING of 70000 B, limit 65536 B"):
        client.ping("x" * 70_000)
    assert client.send_subroutine_batch("f", b"x") == 1


ASKS: list[Callable[[Client], Any]] = [
    lambda client: client.get_subroutine_batch("f", ["too", "many"], key=1),
    lambda client: client.send_subroutine_batch("f", b"x", ["too", "many"], key=1),
    lambda client: client.get_subroutine_stream("f", print, None, ["too", "many"], key=1),
]


@pytest.mark.parametrize("ask", ASKS)
def test_an_unknown_subroutine_is_named(client: Client, ask: Callable[[Client], Any]) -> None:
    with pytest.raises(SubroutineError, match="UnknownSubroutine: no subroutine 'f' is registered") as caught:
        ask(client)
    assert (caught.value.name, caught.value.code) == ("f", 404)
    with pytest.raises(SubroutineError, match="no subroutine '' is registered"):
        client.send_subroutine_batch()
    with pytest.raises(SubroutineError, match=r"no subroutine 'x{256}' is registered"):
        client.get_subroutine_batch("x" * 60_000)
    with pytest.raises(SubroutineError, match="no subroutine 'g' is registered"):
        client.open_buffer("g")
    assert client.ping().message == "ping"


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("options", [{}, {"keep": "latest"}])
def test_wrong_arguments_are_a_type_error_of_the_far_side(
    gateway: Gateway, client: Client, ask: Callable[[Client], Any], options: Any
) -> None:
    if ask is ASKS[2]:
        gateway.add_subroutine("f", counting, **options)
    else:
        gateway.add_subroutine("f", lambda number: b"")
    with pytest.raises(SubroutineError, match=r"TypeError: .*argument") as caught:
        ask(client)
    assert (caught.value.error, caught.value.code) == ("TypeError", 500)
    assert client.ping().message == "ping"


def test_a_call_and_a_stream_are_not_each_other_and_neither_runs(gateway: Gateway, client: Client) -> None:
    ran: list[str] = []

    def function(**_: Any) -> None:
        ran.append("function")

    def generator(**_: Any) -> Iterator[bytes]:
        ran.append("generator")
        yield b""

    gateway.add_subroutine("function", function)
    gateway.add_subroutine("generator", generator)
    with pytest.raises(SubroutineError, match="WrongUse: 'function' is no generator; call it as a batch"):
        collected(client, "function")
    for ask in (client.get_subroutine_batch, client.send_subroutine_batch, client.open_buffer):
        with pytest.raises(
            SubroutineError, match="WrongUse: 'generator' is a generator; ask for it as a str"
        ):
            ask("generator")
    assert ran == []
    assert client.ping().message == "ping"


# Subroutines that fail: the pair lives


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


ERRORS: list[tuple[BaseException, str]] = [
    (ValueError("broken"), "ValueError: broken"),
    (LinkClosed("of another link"), "LinkClosed: of another link"),
    (RemoteProtocolError("of another peer"), "RemoteProtocolError: of another peer"),
    (LocalProtocolError("of another pair"), "LocalProtocolError: of another pair"),
    (SubroutineError("g", "KeyError", "'x'", 404), "subroutine 'g' failed on the peer: KeyError: 'x'"),
    (DeadlineExceeded("too late"), "DeadlineExceeded: too late"),
    (SystemExit(3), "SystemExit: 3"),
    (KeyboardInterrupt(), "KeyboardInterrupt: "),
    (StopIteration(5), "StopIteration: 5|RuntimeError: generator raised StopIteration"),
    (OSError(2, "No such file", "caf\udce9"), r"FileNotFoundError: \[Errno 2\] No such file"),
    (Unspeakable(), "Unspeakable: .its message cannot be shown"),
    (RuntimeError("x" * 1_000_000), "RuntimeError: xxx"),
    (type("E" * 100_000, (Exception,), {})("long"), "EEE"),
]


def raising(error: BaseException) -> Callable[..., Any]:
    def function(**_: Any) -> bytes:
        raise error

    return function


def raising_half_way(error: BaseException) -> Callable[..., Iterator[bytes]]:
    def generator() -> Iterator[bytes]:
        yield b"a"
        yield b"b"
        raise error

    return generator


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda value: type(value).__name__[:20])
def test_what_a_subroutine_raises_is_told_by_type_and_message_and_costs_the_call_only(
    gateway: Gateway, client: Client, error: BaseException, words: str
) -> None:
    gateway.add_subroutine("f", raising(error))
    with pytest.raises(SubroutineError, match=words):
        client.get_subroutine_batch("f")
    with pytest.raises(SubroutineError, match=words):
        client.send_subroutine_batch("f", b"x")
    sink = client.open_buffer("f")
    sink.put(b"x")
    with pytest.raises(SubroutineError, match=words):
        sink.close()
    assert client.ping().message == "ping"


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda value: type(value).__name__[:20])
@pytest.mark.parametrize("options", [{}, {"shared": True}])
def test_a_generator_that_raises_half_way_gives_the_items_before_it_then_the_error_and_no_end(
    gateway: Gateway, client: Client, error: BaseException, words: str, options: Any
) -> None:
    gateway.add_subroutine("f", raising_half_way(error), **options)
    got: list[bytes] = []
    ends: list[str] = []
    with pytest.raises(SubroutineError, match=words):
        client.get_subroutine_stream("f", lambda _name, _ident, body: got.append(body), ends.append)
    assert got == [b"a", b"b"]
    assert ends == []
    assert client.ping().message == "ping"


@pytest.mark.parametrize("nonsense", [None, "text", 5, [b""], ("1", b""), (1, b"", 2), (1, "x"), object()])
def test_a_batch_that_returns_nonsense_says_what_it_may(
    gateway: Gateway, client: Client, nonsense: Any
) -> None:
    gateway.add_subroutine("f", lambda: nonsense)
    with pytest.raises(SubroutineError, match=r"TypeError: gave .*; give bytes or \(ident, bytes\)"):
        client.get_subroutine_batch("f")
    assert client.ping().message == "ping"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("text", "TypeError: gave str; give bytes or"),
        ((1, b"", 2), "TypeError: gave a tuple of 3; give bytes or"),
        ((2**63, b""), "ident 9223372036854775808 does not fit a signed 64-bit integer"),
        (bytes(MAX_ITEM_BYTES + 1), f"ITEM of {MAX_ITEM_BYTES + 1} B, limit {MAX_ITEM_BYTES} B"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"keep": "latest"}, {"shared": True}])
def test_a_generator_that_yields_what_cannot_be_sent_ends_with_an_error(
    gateway: Gateway, client: Client, given: Any, words: str, options: Any
) -> None:
    def feed() -> Iterator[Any]:
        yield given

    gateway.add_subroutine("f", feed, **options)
    with pytest.raises(SubroutineError, match=words):
        collected(client, "f")
    assert client.ping().message == "ping"


def test_an_answer_that_cannot_be_sent_is_an_error(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("large", lambda: bytes(MAX_ITEM_BYTES + 1))
    gateway.add_subroutine("far", lambda: (-(2**63) - 1, b""))
    gateway.add_subroutine("int", lambda **_: 2**63)
    with pytest.raises(SubroutineError, match=f"REPLY of {MAX_ITEM_BYTES + 1} B, limit {MAX_ITEM_BYTES} B"):
        client.get_subroutine_batch("large")
    for ask in (lambda: client.get_subroutine_batch("far"), lambda: client.send_subroutine_batch("int")):
        with pytest.raises(SubroutineError, match="does not fit a signed 64-bit integer"):
            ask()
    assert client.ping().message == "ping"


def test_a_generator_that_will_not_be_closed_is_told_and_the_pair_lives(
    gateway: Gateway, client: Client
) -> None:
    def stubborn() -> Iterator[bytes]:
        for _ in range(2):  # the second time it does go
            with contextlib.suppress(GeneratorExit):
                while True:
                    yield b""
                    time.sleep(0.002)

    gateway.add_subroutine("f", stubborn)
    client.get_subroutine_stream("f", lambda *_: False)
    assert client.ping().message == "ping"


def test_a_callback_that_sleeps_costs_nobody_but_its_own_stream(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("tick", Ticker(0.001))
    asleep = threading.Event()
    wake = threading.Event()

    def callback(*_: Any) -> bool:
        asleep.set()
        return wake.wait(PATIENCE_S) and False

    sleeping = client.subscribe("tick", callback)
    assert asleep.wait(PATIENCE_S)
    with controller_of(gateway).get_client() as other:
        for _ in range(50):
            assert other.ping().rtt_ns < PATIENCE_S * 1e9
    wake.set()
    assert sleeping.wait(PATIENCE_S)
    assert client.ping().message == "ping"


# Strangers at our door: one connection each


def test_an_http_client_is_turned_away(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.request("GET", "/")
        connection.getresponse()
    connection.close()


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: car\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n" + bytes(24),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(24),  # TLS ClientHello
        bytes(24),
        encode(Frame(Kind.PING)),
        encode(request(Kind.BATCH, "f")),
        encode(Frame(Kind.HELLO, 1, b"not msgpack")),
        encode(Frame(Kind.HELLO, 1, bytes(0))),
        struct.pack("<IIqq", MAX_OPENING_BYTES + 1, Kind.HELLO, 1, 0),
        struct.pack("<IIqq", 2**32 - 1, Kind.HELLO, 1, 0),
        encode(hello(magic="other")),
        encode(hello(controller_id=b"short")),
        encode(hello(pair_id=bytes(9))),
        encode(hello()) + encode(hello()),
    ],
)
def test_what_is_no_hello_is_cut_without_more_words(gateway: Gateway, opening: bytes) -> None:
    with RawPeer.connect(gateway.port) as peer:
        peer.sock.sendall(opening)
        assert peer.hears_the_end()
    assert eventually(lambda: not gateway.pool.unproven)


def test_another_wire_version_is_refused_with_both_numbers(gateway: Gateway) -> None:
    with RawPeer.connect(gateway.port) as peer:
        peer.send(Frame(Kind.HELLO, 2, hello().body))
        refusal = peer.receive()
        assert (refusal.kind, refusal.ident) == (Kind.REFUSAL, 426)
        assert b"peer speaks wire 2, this gateway 1" in refusal.body
        assert peer.hears_the_end()


def test_a_controller_of_another_version_gets_the_refusal_as_its_error() -> None:
    reason = "peer speaks wire 1, this gateway 2"
    refusal = Frame(Kind.REFUSAL, 426, pack_body(Failure(error="Refused", reason=reason)))
    with stranger(lambda sock: sock.sendall(encode(refusal))) as port:
        with pytest.raises(Refused, match=f"refused with 426: {reason}") as caught:
            Controller(port=port).get_client()
        assert caught.value.code == 426


@pytest.mark.slow
def test_a_hello_that_drips_is_cut_after_two_seconds_and_one_that_makes_it_is_served(
    gateway: Gateway,
) -> None:
    data = encode(hello())
    with RawPeer.connect(gateway.port) as slow, RawPeer.connect(gateway.port) as slower:
        began = time.monotonic()
        for at in range(len(data)):
            slow.sock.sendall(data[at : at + 1])
            if at < len(data) // 4:
                slower.sock.sendall(data[at : at + 1])
            time.sleep(0.3 / len(data))
        assert slow.receive().kind == Kind.WELCOME
        assert slower.hears_the_end()
        assert 1.5 < time.monotonic() - began < 2 + PATIENCE_S


@pytest.mark.parametrize(
    "illegal",
    [
        Frame(Kind.HELLO),
        Frame(Kind.WELCOME),
        Frame(Kind.PONG),
        Frame(Kind.ITEM),
        Frame(Kind.CREDIT, 1),
        Frame(Kind.CANCEL),
        Frame(Kind.END),
        Frame(Kind.REPLY),
        Frame(Kind.PUT, 0, b"x"),
        Frame(Kind.BATCH, 9, b"too few"),
        Frame(Kind.BATCH, -1, b"negative"),
        Frame(Kind.STREAM, 3, b"\xc1\xc1\xc1"),
        Frame(Kind.BATCH, 60_017, b"\x83\xa4name\xa1x\xa9arguments" + b"\x91" * 60_000 + b"\x90"),
    ],
)
def test_a_frame_that_breaks_the_rules_costs_its_own_connection(
    gateway: Gateway, illegal: Frame, caplog: pytest.LogCaptureFixture
) -> None:
    with RawPeer.greeted(gateway.port) as peer:
        peer.send(illegal)
        assert peer.hears_the_end()
    assert eventually(lambda: "broke the protocol: peer " in caplog.text)
    assert eventually(lambda: len(gateway.pool.live) == 1)  # the other pair


@pytest.mark.parametrize("operation", ["stream", "newest", "sink"])
@pytest.mark.parametrize(
    "illegal",
    [Frame(Kind.PING), Frame(Kind.CREDIT, 1), Frame(Kind.CLOSE_HANDLER), request(Kind.BATCH, "take")],
)
def test_a_frame_out_of_turn_in_an_operation_costs_its_own_connection(
    gateway: Gateway, operation: str, illegal: Frame
) -> None:
    gateway.add_subroutine("stream", Ticker(0.001))
    gateway.add_subroutine("newest", Ticker(0.001), keep="latest")
    gateway.add_subroutine("take", lambda **_: 0)
    with RawPeer.greeted(gateway.port) as peer:
        peer.send(request(Kind.SINK, "take") if operation == "sink" else request(Kind.STREAM, operation))
        peer.receive()
        peer.send(*[illegal] * 20)  # of CREDIT on a newest-only stream the first one was due
        assert peer.hears_the_end()
    assert eventually(lambda: len(gateway.pool.live) == 1)


@pytest.mark.parametrize("roots", ["/srv/files", b"/srv", Path("/srv/files")])
def test_one_root_without_its_list_is_a_type_error_and_opens_no_other(roots: Any) -> None:
    """Letter by letter '/' would be a root: all that there is."""
    with pytest.raises(TypeError, match="roots is a list of folders, got"):
        Gateway(0, roots=roots)
