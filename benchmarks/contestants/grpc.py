"""grpcio: a unary call, and server streaming; bytes as they are, without protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from benchmarks.contestants import End, OnItem, items, play, serve_for_ever

THREADS: Final = 16
# Each channel a connection of its own, as everybody else's; who draws a stream reads it, not a thread more.
_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1), ("SingleThreadedUnaryStream", 1))


def _stream(request: bytes, context: Any) -> Iterator[bytes]:
    return items(*map(int, request.split()))


def serve() -> None:
    server = grpc.server(ThreadPoolExecutor(THREADS))
    handlers = {
        "no_op": grpc.unary_unary_rpc_method_handler(lambda request, context: bytes(8)),
        "items": grpc.unary_stream_rpc_method_handler(_stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("messages", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    serve_for_ever(port)


class _Channel:
    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
        grpc.channel_ready_future(self._channel).result()
        self._no_op = self._channel.unary_unary("/messages/no_op")
        self._items = self._channel.unary_stream("/messages/items")

    def round_trip(self, payload: bytes) -> None:
        self._no_op(payload)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        call = self._items(b"%d %d %d %d" % (size, count, gap_us, burst))
        try:
            for item in call:
                on_item(item)
        finally:
            call.cancel()

    def close(self) -> None:
        self._channel.close()


def connect(port: int) -> End:
    return _Channel(port)


if __name__ == "__main__":
    play(serve, connect)
