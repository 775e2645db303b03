"""pynetwork 2.4: the ancestor, by the same calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pynetwork

from benchmarks.contestants import End, OnItem, free_port, items, play, serve_for_ever


def numbered(size: int, count: int, gap_us: int, burst: int, **_: Any) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(items(size, count, gap_us, burst))


def serve() -> None:
    port = free_port()
    gateway = pynetwork.Gateway(port, max_poolsize=16)
    gateway.add_subroutine("no_op", lambda **kwargs: 0)
    gateway.add_subroutine("items", numbered)
    gateway.start()
    serve_for_ever(port)


class _Client:
    def __init__(self, port: int) -> None:
        self._client = pynetwork.Controller(port=port, gateway_ip="127.0.0.1").get_client()

    def round_trip(self, payload: bytes) -> None:
        self._client.send_subroutine_batch("no_op", payload)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        def callback(name: str, ident: int, item: bytes) -> bool:
            on_item(item)
            return True

        self._client.get_subroutine_stream("items", callback, None, [size, count, gap_us, burst])

    def close(self) -> None:
        self._client.close_handler()


def connect(port: int) -> End:
    return _Client(port)


if __name__ == "__main__":
    play(serve, connect)
