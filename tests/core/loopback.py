"""Both ends over real loopback sockets: gateways, raw peers, and a census of threads and files."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol, Self

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.decoder import FrameDecoder
from pynet_core.gateway import Gateway
from pynet_core.wire import (
    MAGIC,
    MAX_CONTROL_BYTES,
    MAX_ITEM_BYTES,
    WIRE_VERSION,
    Call,
    Frame,
    Hello,
    Kind,
    Welcome,
    encode,
    pack_body,
    pack_call,
)

PATIENCE_S: Final = 5.0  # for what must happen, on two cores that are busy with other things


@contextlib.contextmanager
def serving(port: int = 0, max_poolsize: int = 5, **options: Any) -> Iterator[Gateway]:
    """A gateway on a free port; at the end every thread of it must be gone."""
    gateway = Gateway(port, max_poolsize, **options)
    gateway.start()
    try:
        yield gateway
    finally:
        stuck = gateway.stop()
    assert stuck == []


class Listens(Protocol):
    port: int


def controller_of(gateway: Listens) -> Controller:
    return Controller(port=gateway.port)


def collected(client: Client, name: str, *arguments: Any, **kwargs: Any) -> list[tuple[int, bytes]]:
    """The items of a stream that ends by itself."""
    got: list[tuple[int, bytes]] = []
    client.get_subroutine_stream(
        name, lambda _, ident, body: got.append((ident, body)), None, list(arguments), **kwargs
    )
    return got


def counting(count: int) -> Iterator[tuple[int, bytes]]:
    for number in range(count):
        yield number, b"%d" % number


class Ticker:
    """A generator function that yields (n, n) every `period_s` for ever, and knows what it has yielded."""

    def __init__(self, period_s: float = 0.002) -> None:
        self.newest = -1
        self.running = 0
        self._period_s = period_s

    def __call__(self) -> Iterator[tuple[int, bytes]]:
        self.running += 1
        try:
            number = 0
            while True:
                self.newest = number
                yield number, b"%d" % number
                number += 1
                time.sleep(self._period_s)
        finally:
            self.running -= 1


class Gate:
    """A function that blocks until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()

    def __call__(self, *_: Any, **__: Any) -> bytes:
        self.entered.release()
        assert self._open.wait(PATIENCE_S)
        return b""

    def open(self) -> None:
        self._open.set()


def eventually(claim: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
    """True as soon as the claim holds, False when it has not for `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def our_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("pynet "))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class RawPeer:
    """One end of a connection that may misbehave: it sends any bytes, and reads frames."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_S)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each second frame waits 40 ms
        self.sock = sock
        self._decoder = FrameDecoder()
        self._decoder.opening = False
        self._frames: list[Frame] = []

    @classmethod
    def connect(cls, port: int) -> Self:
        return cls(socket.create_connection(("127.0.0.1", port)))

    @classmethod
    def greeted(cls, port: int) -> Self:
        """Connected, and WELCOME read."""
        peer = cls.connect(port)
        peer.send(hello())
        assert peer.receive().kind == Kind.WELCOME
        return peer

    def send(self, *frames: Frame) -> None:
        self.sock.sendall(b"".join(map(encode, frames)))

    def receive(self) -> Frame:
        """The next frame; fails when there is none within 5 s.

        Raises:
            EOFError: The other end has closed.
        """
        while not self._frames:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def hears_the_end(self) -> bool:
        """Reads on; True when the other end closes within 5 s, whatever it has sent before."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(65536):
                pass
        return True

    def close(self) -> None:
        """Close as a program that ends: FIN."""
        self.sock.close()

    def reset(self) -> None:
        """Close as a machine that forgets: RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeGateway:
    """Listens like a gateway and answers as it is told to, one connection at a time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> RawPeer:
        return RawPeer(self._listener.accept()[0])

    def accept_and_welcome(self) -> RawPeer:
        peer = self.accept()
        assert peer.receive().kind == Kind.HELLO
        peer.send(welcome())
        return peer

    def accept_stream(self) -> RawPeer:
        """Up to the STREAM that is asked for, and the ping before it."""
        peer = self.accept_and_welcome()
        assert peer.receive().kind == Kind.PING
        peer.send(Frame(Kind.PONG))
        assert peer.receive().kind == Kind.STREAM
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def hello(**changes: Any) -> Frame:
    """A HELLO like a Controller's, as a pair of its own."""
    fields: dict[str, Any] = {
        "magic": MAGIC,
        "capabilities": (),
        "controller_id": bytes(16),
        "pair_id": os.urandom(8),
        "attempt": 1,
        "purpose": "stream",
        "name": "raw",
    }
    return Frame(Kind.HELLO, WIRE_VERSION, pack_body(Hello(**{**fields, **changes})))


def welcome() -> Frame:
    body = Welcome(
        gateway="fake", role="admin", max_item_bytes=MAX_ITEM_BYTES, max_control_bytes=MAX_CONTROL_BYTES
    )
    return Frame(Kind.WELCOME, 200, pack_body(body))


def request(kind: Kind, name: str, *arguments: Any, buffer: bytes = b"", **kwargs: Any) -> Frame:
    head = pack_call(Call(name=name, arguments=list(arguments), kwargs=kwargs))
    return Frame(kind, len(head), head + buffer)
