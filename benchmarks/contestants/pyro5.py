"""Pyro5 with msgpack: a call; and `BatchProxy`, as many items a call as come together or 1 MB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import Pyro5.api

from benchmarks.contestants import End, OnItem, items, play, serve_for_ever, together

OBJECT: Final = "work"

Pyro5.api.config.SERIALIZER = "msgpack"
Pyro5.api.config.SOCK_NODELAY = True
Pyro5.api.config.COMPRESSION = False


class Work:
    """One for each connection."""

    def __init__(self) -> None:
        self._items: Iterator[bytes] = iter(())

    def no_op(self, payload: bytes) -> None:
        pass

    def begin(self, *arguments: int) -> None:
        self._items = items(*arguments)

    def take(self) -> bytes:
        return next(self._items)


def serve() -> None:
    daemon = Pyro5.api.Daemon("127.0.0.1", 0)
    daemon.register(Pyro5.api.behavior(instance_mode="session")(Pyro5.api.expose(Work)), OBJECT)
    threading.Thread(target=daemon.requestLoop, daemon=True).start()
    serve_for_ever(int(daemon.locationStr.rpartition(":")[2]))


class _Proxy:
    def __init__(self, port: int) -> None:
        self._uri = f"PYRO:{OBJECT}@127.0.0.1:{port}"
        self._proxy = Pyro5.api.Proxy(self._uri)
        self._proxy._pyroBind()

    def round_trip(self, payload: bytes) -> None:
        self._proxy.no_op(payload)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        self._proxy._pyroClaimOwnership()  # of this thread
        self._proxy.begin(size, count, gap_us, burst)
        batch, at_once = Pyro5.api.BatchProxy(self._proxy), together(size, gap_us, burst)
        for begun in range(0, count, at_once):
            for _ in range(min(at_once, count - begun)):
                batch.take()
            for item in batch():
                on_item(item)

    def close(self) -> None:
        self._proxy._pyroRelease()


def connect(port: int) -> End:
    return _Proxy(port)


if __name__ == "__main__":
    play(serve, connect)
