"""pyzmq: REQ/REP for calls, PUSH/PULL for streams."""

from __future__ import annotations

import sys
import threading

import zmq

from benchmarks.contestants import End, OnItem, play


def serve() -> None:
    context = zmq.Context()
    calls, stream = context.socket(zmq.REP), context.socket(zmq.PUSH)
    port = calls.bind_to_random_port("tcp://127.0.0.1")
    stream_port = stream.bind_to_random_port("tcp://127.0.0.1")
    print("port", port, flush=True)

    def work() -> None:
        while True:
            request = calls.recv()
            if request == b"port?":
                calls.send(b"%d" % stream_port)
            elif request.startswith(b"stream "):
                size, count = map(int, request.split()[1:])
                calls.send(b"")
                item = bytes(size)
                for _ in range(count):
                    stream.send(item)
            else:
                calls.send(bytes(8))

    threading.Thread(target=work, daemon=True).start()
    sys.stdin.read()


class _Sockets:
    def __init__(self, port: int) -> None:
        context = zmq.Context()
        self._calls, self._stream = context.socket(zmq.REQ), context.socket(zmq.PULL)
        self._calls.connect(f"tcp://127.0.0.1:{port}")
        self._calls.send(b"port?")
        self._stream.connect(f"tcp://127.0.0.1:{int(self._calls.recv())}")

    def round_trip(self, payload: bytes) -> None:
        self._calls.send(payload)
        self._calls.recv()

    def stream(self, size: int, count: int, on_item: OnItem) -> None:
        self._calls.send(b"stream %d %d" % (size, count))
        self._calls.recv()
        receive = self._stream.recv
        for _ in range(count):
            on_item(receive())


def connect(port: int) -> End:
    return _Sockets(port)


if __name__ == "__main__":
    play(serve, connect)
