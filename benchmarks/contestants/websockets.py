"""websockets, its blocking half: a message there and one back, and a message for each item."""

from __future__ import annotations

import contextlib
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_to
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_at

from benchmarks.contestants import End, OnItem, items, play, serve_for_ever


def _answer(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        for request in connection:
            if isinstance(request, bytes):
                connection.send(bytes(8))
                continue
            for item in items(*map(int, request.split())):
                connection.send(item)


def serve() -> None:
    server = serve_at(_answer, "127.0.0.1", 0, compression=None, max_size=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    serve_for_ever(server.socket.getsockname()[1])


class _Connection:
    def __init__(self, port: int) -> None:
        where = f"ws://127.0.0.1:{port}"
        self._stack = contextlib.ExitStack()
        opened = connect_to(where, compression=None, max_size=None, proxy=None)
        self._connection = self._stack.enter_context(opened)

    def round_trip(self, payload: bytes) -> None:
        self._connection.send(payload)
        self._connection.recv()

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        self._connection.send(f"{size} {count} {gap_us} {burst}")
        receive = self._connection.recv
        for _ in range(count):
            item = receive()
            assert isinstance(item, bytes)
            on_item(item)

    def close(self) -> None:
        self._stack.close()


def connect(port: int) -> End:
    return _Connection(port)


if __name__ == "__main__":
    play(serve, connect)
