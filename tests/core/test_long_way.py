"""Newest-only streams over a relay that delays, or takes long for each item: real sockets, real clocks."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest

from pynet_core.controller import Controller
from tests.core.loopback import serving

pytestmark = [pytest.mark.system, pytest.mark.shared]

PERIOD_S = 1 / 30
ITEM_BYTES = 20_000
CHUNK_BYTES = 2_000


class LongWay:
    """A relay that gives on what comes `delay_s` later, to the controller at most `bytes_per_s`."""

    def __init__(self, target: int, *, delay_s: float, bytes_per_s: float = 0.0) -> None:
        self._target, self._delay_s, self._bytes_per_s = target, delay_s, bytes_per_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._socks: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        self._socks += [near, far]
        for source, sink, bytes_per_s in ((near, far, 0.0), (far, near, self._bytes_per_s)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            on_the_way: queue.Queue[tuple[float, bytes]] = queue.Queue()
            threading.Thread(target=self._take, args=(source, on_the_way, bytes_per_s), daemon=True).start()
            threading.Thread(target=self._give, args=(sink, on_the_way), daemon=True).start()

    def _take(self, source: socket.socket, way: queue.Queue[tuple[float, bytes]], bytes_per_s: float) -> None:
        free = time.monotonic()
        while data := source.recv(CHUNK_BYTES):
            free = max(free, time.monotonic()) + (len(data) / bytes_per_s if bytes_per_s else 0)
            time.sleep(max(0, free - time.monotonic()))
            way.put((time.monotonic() + self._delay_s, data))
        way.put((0, b""))

    def _give(self, sink: socket.socket, way: queue.Queue[tuple[float, bytes]]) -> None:
        while True:
            due, data = way.get()
            if not data:
                return
            time.sleep(max(0, due - time.monotonic()))
            sink.sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._socks):
            sock.close()


def watched(way_s: float, seconds: float, bytes_per_s: float = 0.0) -> tuple[float, float]:
    """Rate in Hz and median age in ms of a camera's stream over such a way, after it has settled."""

    def camera() -> Iterator[bytes]:
        due = time.monotonic()
        while True:
            yield bytes(ITEM_BYTES)
            due += PERIOD_S
            time.sleep(max(0, due - time.monotonic()))

    with serving() as gateway:
        gateway.add_subroutine("camera", camera, keep="latest")
        with (
            LongWay(gateway.port, delay_s=way_s, bytes_per_s=bytes_per_s) as way,
            Controller(port=way.port).get_client() as client,
        ):
            running = client.subscribe("camera", lambda *_: None)
            time.sleep(seconds / 2)
            before, since = running.stats.items, time.monotonic()
            time.sleep(seconds / 2)
            stats = running.stats
            running.stop()
            return (stats.items - before) / (time.monotonic() - since), stats.age_p50_ms


def test_a_camera_60_ms_away_keeps_its_rate_and_is_no_older_than_the_way() -> None:
    rate_hz, age_ms = watched(0.06, 6)
    assert rate_hz > 12, "one at a time would be 8"
    assert age_ms < 60 + 2 * PERIOD_S * 1000 + 100


def test_over_a_thin_link_a_picture_waits_behind_no_other() -> None:
    rate_hz, age_ms = watched(0.001, 3, bytes_per_s=ITEM_BYTES / 0.1)  # 100 ms for each
    assert 4 < rate_hz < 14
    assert age_ms < 250, "three would be on their way, or a queue of seconds"
