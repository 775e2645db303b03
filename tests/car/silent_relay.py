"""A relay between driver and car that can fall silent without closing anything, as a radio does."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Final, Self

BYTES: Final = 65536
LOOK_S: Final = 0.02


class _Connection:
    """One, both ways, in a thread of its own."""

    def __init__(self, near: socket.socket, target: int, is_silent: bool) -> None:
        self.near = near
        self.far = socket.create_connection(("127.0.0.1", target))
        self.is_silent = is_silent
        self.is_closed = False
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _pass_on(self) -> None:
        other = {self.near: self.far, self.far: self.near}
        with contextlib.suppress(OSError, ValueError), self.near, self.far:
            while True:
                for sock in select.select(list(other), [], [], LOOK_S)[0]:
                    if self.is_silent:
                        if not sock.recv(1, socket.MSG_PEEK):
                            return
                        threading.Event().wait(LOOK_S)
                    else:
                        data = sock.recv(BYTES)
                        if not data:
                            return
                        other[sock].sendall(data)
        self.is_closed = True

    def close(self) -> None:
        for sock in (self.near, self.far):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class SilentRelay:
    """Listens on `port`, and passes on to another until told otherwise."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[_Connection] = []
        self._swallow = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self, *, swallow: int = 0) -> None:
        """Nothing passes any more on what there is, nor on the next so many connections; all stay open."""
        self._swallow = swallow
        for connection in self.connections:
            connection.is_silent = True

    def speak(self) -> None:
        """All passes again, what was held too."""
        for connection in self.connections:
            connection.is_silent = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._swallow -= 1
                self.connections.append(_Connection(near, self._target, self._swallow >= 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self.connections:
            connection.close()
