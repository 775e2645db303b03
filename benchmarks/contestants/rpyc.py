"""rpyc: a call; and `buffiter` over a remote generator, as many items a call as come together or 1 MB."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Final

import rpyc
from rpyc.utils.helpers import buffiter
from rpyc.utils.server import ThreadedServer

from benchmarks.contestants import End, OnItem, items, play, serve_for_ever, together

_PLAIN: Final = {"sync_request_timeout": None}


class _Work(rpyc.Service):  # type: ignore[misc]
    def exposed_no_op(self, payload: bytes) -> None:
        pass

    def exposed_items(self, *arguments: int) -> Iterator[bytes]:
        return items(*arguments)


def serve() -> None:
    quiet = logging.getLogger("rpyc")
    quiet.setLevel(logging.CRITICAL)
    server = ThreadedServer(
        _Work, hostname="127.0.0.1", port=0, auto_register=False, protocol_config=_PLAIN, logger=quiet
    )
    server.listener.listen()
    threading.Thread(target=server.start, daemon=True).start()
    serve_for_ever(server.port)


class _Connection:
    def __init__(self, port: int) -> None:
        stream = rpyc.SocketStream.connect("127.0.0.1", port, nodelay=True)
        self._connection = rpyc.connect_stream(stream, config=_PLAIN)
        self._work = self._connection.root

    def round_trip(self, payload: bytes) -> None:
        self._work.no_op(payload)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        at_once = together(size, gap_us, burst)
        for item in buffiter(self._work.items(size, count, gap_us, burst), at_once, at_once):
            on_item(item)

    def close(self) -> None:
        self._connection.close()


def connect(port: int) -> End:
    return _Connection(port)


if __name__ == "__main__":
    play(serve, connect)
