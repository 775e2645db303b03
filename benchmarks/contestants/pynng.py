"""pynng: REQ/REP for calls, PUSH/PULL for streams."""

from __future__ import annotations

import threading
import time

import pynng

from benchmarks.contestants import End, OnItem, even_out, free_port, items, play, serve_for_ever


def _at(port: int) -> str:
    return f"tcp://127.0.0.1:{port}"


def serve() -> None:
    port = free_port()
    calls = pynng.Rep0(listen=_at(port))

    def push(socket: pynng.Push0, arguments: list[int]) -> None:
        for item in items(*arguments):
            socket.send(item)
        while socket.pipes:  # closed at once, it would drop what is on its way
            time.sleep(0.001)
        socket.close()

    def work() -> None:
        while True:
            request = calls.recv()
            if request.startswith(b"stream "):
                arguments = [int(word) for word in request.split()[1:]]
                port = free_port()
                socket = pynng.Push0(listen=_at(port))
                even_out()
                threading.Thread(target=push, args=(socket, arguments), daemon=True).start()
                calls.send(b"%d" % port)
            else:
                calls.send(bytes(8))

    threading.Thread(target=work, daemon=True).start()
    serve_for_ever(port)


class _Sockets:
    def __init__(self, port: int) -> None:
        self._calls = pynng.Req0(dial=_at(port), block_on_dial=True)

    def round_trip(self, payload: bytes) -> None:
        self._calls.send(payload)
        self._calls.recv()

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        self._calls.send(b"stream %d %d %d %d" % (size, count, gap_us, burst))
        with pynng.Pull0(dial=_at(int(self._calls.recv())), block_on_dial=True) as stream:
            receive = stream.recv
            for _ in range(count):
                on_item(receive())

    def close(self) -> None:
        self._calls.close()


def connect(port: int) -> End:
    return _Sockets(port)


if __name__ == "__main__":
    play(serve, connect)
