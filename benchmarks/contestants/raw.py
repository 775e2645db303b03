"""Raw Python sockets: a length and the bytes, one sendall for each; what a careful person would write."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from typing import Final

from benchmarks.contestants import End, OnItem, items, play

_LENGTH: Final = struct.Struct("<I")
_STREAM: Final = struct.Struct("<BIIiI")  # 1, size, count, gap_us, burst
READ_BYTES: Final = 256 * 1024
JOIN_BELOW_BYTES: Final = 16 * 1024


def serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(sock,), daemon=True).start()


def _serve_one(sock: socket.socket) -> None:
    with sock, contextlib.suppress(ConnectionError):
        _answer(sock)


def _answer(sock: socket.socket) -> None:
    _tune(sock)
    reply = _LENGTH.pack(8) + bytes(8)
    while request := _receive(sock):
        if len(request) != _LENGTH.size + _STREAM.size:
            sock.sendall(reply)
            continue
        _, size, *rest = _STREAM.unpack_from(request, _LENGTH.size)
        header = _LENGTH.pack(size)
        for item in items(size, *rest):
            if size < JOIN_BELOW_BYTES:
                sock.sendall(header + item)
            else:
                sent = sock.sendmsg([header, item])
                if sent < _LENGTH.size + size:
                    sock.sendall(memoryview(item)[sent - _LENGTH.size :])


def _tune(sock: socket.socket) -> None:
    """As pynet does on loopback: none shall win by the kernel's choice of congestion control."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")


def _receive(sock: socket.socket) -> bytes:
    """One message, b'' when the peer has closed; only one is ever on its way, so nothing follows it."""
    message = sock.recv(2048)
    while message and (
        len(message) < _LENGTH.size or len(message) < _LENGTH.size + _LENGTH.unpack_from(message)[0]
    ):
        message += sock.recv(2048)
    return message


class _Raw:
    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        _tune(self._sock)
        self._file = self._sock.makefile("rb", READ_BYTES)

    def round_trip(self, payload: bytes) -> None:
        self._sock.sendall(_LENGTH.pack(len(payload)) + payload)
        _receive(self._sock)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        self._sock.sendall(_LENGTH.pack(_STREAM.size) + _STREAM.pack(1, size, count, gap_us, burst))
        read = self._file.read
        for _ in range(count):
            (length,) = _LENGTH.unpack(read(_LENGTH.size))
            on_item(read(length))

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def connect(port: int) -> End:
    return _Raw(port)


if __name__ == "__main__":
    play(serve, connect)
