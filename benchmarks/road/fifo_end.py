"""Raw sockets, first in, first out: every picture is sent, in order, as soon as the one before has left."""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time

from benchmarks.road import PICTURE_BYTES, age_ms, pictures, play


def show(seconds: float) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        print("port", listener.getsockname()[1], flush=True)
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def send() -> None:
            while True:
                sock.sendall(waiting.get())

        threading.Thread(target=send, daemon=True).start()
        for picture in pictures(seconds):
            waiting.put(picture)
        sys.stdin.read()


def look(host: str, port: int, seconds: float) -> list[float]:
    ages: list[float] = []
    end_s = time.monotonic() + seconds
    with socket.create_connection((host, port)) as sock, sock.makefile("rb") as file:
        while time.monotonic() < end_s:
            ages.append(age_ms(file.read(PICTURE_BYTES)))
    return ages


if __name__ == "__main__":
    play(show, look)
