"""pynetwork 2.4: the ancestor, by the same calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import pynetwork

from benchmarks.contestants import End, OnItem, even_out, free_port, items, play, serve_for_ever

TRIES: Final = 20


def numbered(size: int, count: int, gap_us: int, burst: int, **_: Any) -> Iterator[tuple[int, bytes]]:
    even_out()  # for it listens on a new socket after each connection
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
        controller = pynetwork.Controller(port=port, gateway_ip="127.0.0.1")
        for left in reversed(range(TRIES)):
            try:
                self._client = controller.get_client()
                break
            except OSError:  # it listens anew after each connection, and who came too soon is reset
                if not left:
                    raise
                time.sleep(0.05)

    def round_trip(self, payload: bytes) -> None:
        self._client.send_subroutine_batch("no_op", payload)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        ended: list[Exception] = []

        def callback(name: str, ident: int, item: bytes) -> bool:
            try:
                on_item(item)
            except Exception as exc:  # let out here, it would leave the generator running
                ended.append(exc)
            return not ended

        self._client.get_subroutine_stream("items", callback, None, [size, count, gap_us, burst])
        if ended:
            raise ended[0]

    def close(self) -> None:
        self._client.close_handler()


def connect(port: int) -> End:
    return _Client(port)


if __name__ == "__main__":
    play(serve, connect)
