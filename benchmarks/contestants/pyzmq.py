"""pyzmq: REQ/REP for calls, PUSH/PULL for streams."""

from __future__ import annotations

import threading

import zmq

from benchmarks.contestants import End, OnItem, even_out, items, play, serve_for_ever


def serve() -> None:
    context = zmq.Context()
    calls = context.socket(zmq.REP)
    port = calls.bind_to_random_port("tcp://127.0.0.1")

    def push(socket: zmq.Socket[bytes], arguments: list[int]) -> None:
        for item in items(*arguments):
            socket.send(item)
        socket.close()

    def work() -> None:
        while True:
            request = calls.recv()
            if request.startswith(b"stream "):
                socket = context.socket(zmq.PUSH)
                arguments = [int(word) for word in request.split()[1:]]
                port = socket.bind_to_random_port("tcp://127.0.0.1")
                even_out()
                calls.send(b"%d" % port)
                threading.Thread(target=push, args=(socket, arguments), daemon=True).start()
            else:
                calls.send(bytes(8))

    threading.Thread(target=work, daemon=True).start()
    serve_for_ever(port)


class _Sockets:
    def __init__(self, port: int) -> None:
        self._context = zmq.Context()
        self._calls = self._context.socket(zmq.REQ)
        self._calls.connect(f"tcp://127.0.0.1:{port}")

    def round_trip(self, payload: bytes) -> None:
        self._calls.send(payload)
        self._calls.recv()

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        self._calls.send(b"stream %d %d %d %d" % (size, count, gap_us, burst))
        with self._context.socket(zmq.PULL) as stream:
            stream.connect(f"tcp://127.0.0.1:{int(self._calls.recv())}")
            receive = stream.recv
            for _ in range(count):
                on_item(receive())

    def close(self) -> None:
        self._context.destroy(linger=0)


def connect(port: int) -> End:
    return _Sockets(port)


if __name__ == "__main__":
    play(serve, connect)
