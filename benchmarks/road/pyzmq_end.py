"""pyzmq, PUSH/PULL with CONFLATE at both ends: each socket keeps the newest message only."""

from __future__ import annotations

import sys
import time

import zmq

from benchmarks.road import age_ms, pictures, play


def show(seconds: float) -> None:
    sock = zmq.Context().socket(zmq.PUSH)
    sock.setsockopt(zmq.CONFLATE, 1)
    print("port", sock.bind_to_random_port("tcp://*"), flush=True)
    for picture in pictures(seconds):
        sock.send(picture)
    sys.stdin.read()


def look(host: str, port: int, seconds: float) -> list[float]:
    ages: list[float] = []
    end_s = time.monotonic() + seconds
    sock = zmq.Context().socket(zmq.PULL)
    sock.setsockopt(zmq.CONFLATE, 1)
    sock.connect(f"tcp://{host}:{port}")
    while time.monotonic() < end_s:
        ages.append(age_ms(sock.recv()))
    return ages


if __name__ == "__main__":
    play(show, look)
