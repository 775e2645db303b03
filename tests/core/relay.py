"""A relay between controller and gateway that counts, cuts, stalls, or changes what passes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final, Self

from pynet_core.decoder import FrameDecoder
from pynet_core.wire import Frame, encode

BYTES: Final = 65536


class Relay:
    """Listens on `port` and passes connections on to another, both ways.

    `cut_up`, `cut_down`: after so many bytes from the controller, or from the
    gateway, both connections are cut.  `stall_down`: after so many the rest is
    kept back, and `stalled` is set.  `tamper` may change each frame from the
    gateway.
    """

    def __init__(
        self,
        target: int,
        *,
        cut_up: int | None = None,
        cut_down: int | None = None,
        stall_down: int | None = None,
        tamper: Callable[[Frame], Frame] | None = None,
    ) -> None:
        self._target = target
        self._cut_up, self._cut_down, self._stall_down = cut_up, cut_down, stall_down
        self._tamper = tamper
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.up_bytes = self.down_bytes = 0
        self.stalled = threading.Event()
        self._socks: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._socks += [near, far]
                for way in (self._up, self._down):
                    self._threads.append(threading.Thread(target=way, args=(near, far), daemon=True))
                    self._threads[-1].start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(BYTES):
                if self._cut_up is not None and self.up_bytes + len(data) >= self._cut_up:
                    far.sendall(data[: self._cut_up - self.up_bytes])
                    self.up_bytes = self._cut_up
                    break
                self.up_bytes += len(data)
                far.sendall(data)
        _cut(near, far)

    def _down(self, near: socket.socket, far: socket.socket) -> None:
        decoder = FrameDecoder()
        decoder.opening = False
        with contextlib.suppress(OSError):
            while data := far.recv(BYTES):
                if self._tamper is not None:
                    data = b"".join(encode(self._tamper(frame)) for frame in decoder.feed(data))
                for limit in (self._cut_down, self._stall_down):
                    if limit is not None and self.down_bytes + len(data) >= limit:
                        near.sendall(data[: limit - self.down_bytes])
                        self.down_bytes = limit
                        if limit == self._stall_down:
                            self.stalled.set()
                            return
                        _cut(near, far)
                        return
                self.down_bytes += len(data)
                near.sendall(data)
        _cut(near, far)

    def cut_all(self) -> None:
        """Cut what is connected now; those who come back are passed on."""
        _cut(*self._socks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        _cut(*self._socks)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        for sock in self._socks:
            sock.close()


def _cut(*socks: socket.socket) -> None:
    for sock in socks:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
