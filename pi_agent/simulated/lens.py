"""The simulated lens: pictures the world has rendered, from its socket.

The world listens there (SEQPACKET: one CameraFrame a message) and may come and
go; we connect to whichever there is.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.messages import CameraFrame
from pynet_car.world import CAMERA_SOCKET, MAX_FRAME_BYTES

RECONNECT_S: Final = 0.5
WAKE_S: Final = 0.2  # how soon `close` is seen

log = logging.getLogger(__name__)


class SimulatedLens:
    """A `ports.Camera` that shows the simulated world."""

    def __init__(self, runtime_dir: Path) -> None:
        self._path = runtime_dir / CAMERA_SOCKET
        self._closed = threading.Event()
        self._decode = msgspec.msgpack.Decoder(CameraFrame).decode
        self._buffer = bytearray(MAX_FRAME_BYTES)

    def frames(self) -> Iterator[CameraFrame]:
        """Each new picture, the newest when several wait; ends after `close`, not when the world is away."""
        is_away = False
        while not self._closed.is_set():
            try:
                with self._connect() as sock:
                    log.info("the lens sees the simulated world at %s", self._path)
                    is_away = False
                    yield from self._receive(sock)
            except OSError as exc:
                if not is_away:
                    log.warning("no simulated world at %s (%s): waiting for one", self._path, exc)
                is_away = True
            self._closed.wait(RECONNECT_S)

    def close(self) -> None:
        self._closed.set()

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(str(self._path))
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        return sock

    def _receive(self, sock: socket.socket) -> Iterator[CameraFrame]:
        """Frames until the world goes or we are closed."""
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        while not self._closed.is_set():
            if not poll.poll(WAKE_S * 1000):
                continue
            length = self._take_newest(sock)
            if length is None:
                return
            try:
                yield self._decode(memoryview(self._buffer)[:length])
            except msgspec.MsgspecError as exc:
                log.warning("the world sent no picture but %d B of something else: %s", length, exc)

    def _take_newest(self, sock: socket.socket) -> int | None:
        """The length of the newest message, now in the buffer; None when the world has gone."""
        newest = None
        try:
            while length := sock.recv_into(self._buffer):
                newest = length
        except BlockingIOError:
            pass
        return newest
