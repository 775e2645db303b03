"""Libraries that carry messages, each in two processes of its own: what `benchmarks.messages` compares.

`python -m benchmarks.contestants.NAME serve` prints `port N` and serves until
its stdin ends; `... call N` reads lines `KIND SIZE COUNT GAP_US BURST` and answers
each with `result FIGURE`, or where it is one of times, us, with `result FIGURE P50 P99` and how
many of them are in each of BINS bins:

    round_trip  median of COUNT round trips, us
    busy        the same beside a camera and three sensors on connections of their own
    hog         p99 of them beside a generator there that computes, in Python, and seldom yields
    stream      items a second, of a stream of COUNT as fast as they go
    paced       median age of items that come every GAP_US, us
    burst       p99 of the ages where BURST of them come together

A file here imports its own library and nothing of pynet, so that it runs in an
environment that has only that.  All go over plain TCP on loopback, nothing is
compressed, and no item is lost.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

OnItem = Callable[[bytes], object]

FOR_EVER: Final = 1_000_000_000
BUSY: Final = ((40_000, 33_333), (64, 5_000), (64, 5_000), (64, 5_000))  # bytes, us between them
HOG: Final = ((64, -50_000),)  # us that each takes to compute
STAMP: Final = struct.Struct("<q")
BINS_PER_DECADE: Final = 10  # each a quarter longer than the one before
BINS: Final = 6 * BINS_PER_DECADE  # from 1 us to 1 s


class End(Protocol):
    """The calling end."""

    def round_trip(self, payload: bytes) -> None:
        """Send it to a function there that does nothing, and wait for its answer."""

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        """Let `items` run there; call back with each.  What that raises ends it, and comes out."""

    def close(self) -> None:
        """Done, or in the middle of a stream."""


class _Enough(Exception):
    """Of a stream that runs beside something."""


def items(size: int, count: int, gap_us: int, burst: int) -> Iterator[bytes]:
    """So many items of so many bytes: at once, or `burst` every `gap_us`, beginning with the time.

    A negative gap is not slept but computed away.
    """
    item = bytes(size)
    if not gap_us:
        for _ in range(count):
            yield item
        return
    rest, due_ns = item[STAMP.size :], time.monotonic_ns()
    for number in range(count):
        if not number % burst:
            due_ns += gap_us * 1000
            if gap_us > 0:
                time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            else:
                end_ns = time.monotonic_ns() - gap_us * 1000
                while time.monotonic_ns() < end_ns:
                    pass
        yield STAMP.pack(time.monotonic_ns()) + rest


def together(size: int, gap_us: int, burst: int) -> int:
    """How many items to ask for at once, where each asking is a call: none waits for a later one."""
    return burst if gap_us else max(1, min(1000, 1_000_000 // size))


def free_port() -> int:
    """For who cannot say which one it got."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def even_out() -> None:
    """Let every TCP socket of this process, and what it accepts, send at once and under `cubic`, as raw ones.

    None shall win by the kernel's choice of congestion control; most libraries leave it to the kernel.
    """
    if sys.platform != "linux":
        return
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # no TCP socket, or gone
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, int(entry.name))
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
            finally:
                sock.detach()  # it is not ours to close


def serve_for_ever(port: int) -> None:
    """Say that everything listens on that port; until stdin ends."""
    even_out()
    print("port", port, flush=True)
    sys.stdin.read()


def play(serve: Callable[[], None], connect: Callable[[int], End]) -> None:
    """What a contestant's file does when it is run."""
    if sys.argv[1] == "serve":
        serve()
    else:
        _call(connect, int(sys.argv[2]))
    os._exit(0)  # some libraries' threads go on for ever


def _call(connect: Callable[[int], End], port: int) -> None:
    end = connect(port)
    even_out()
    for line in sys.stdin:
        kind, *numbers = line.split()
        size, count, gap_us, burst = map(int, numbers)
        if kind == "stream":
            print("result", _stream(end, size, count), flush=True)
            continue
        if kind == "round_trip":
            times_us = _round_trips_us(end, size, count)
        elif kind in ("busy", "hog"):
            with _beside(lambda: connect(port), BUSY if kind == "busy" else HOG):
                times_us = _round_trips_us(end, size, count)
        else:
            times_us = _ages_us(end, size, count, gap_us, burst)
        p50, p99 = (sorted(times_us)[count * percent // 100] for percent in (50, 99))
        counts = [0] * BINS
        for time_us in times_us:
            counts[bin_of(time_us)] += 1
        print("result", p99 if kind in ("hog", "burst") else p50, p50, p99, *counts, flush=True)


def bin_of(time_us: float) -> int:
    """In which bin a time is; the first and the last have what is beyond them too."""
    return min(BINS - 1, int(BINS_PER_DECADE * math.log10(max(1.0, time_us))))


def _round_trips_us(end: End, size: int, count: int) -> list[float]:
    payload, clock, times_us = bytes(size), time.perf_counter_ns, []
    for _ in range(count):
        start = clock()
        end.round_trip(payload)
        times_us.append((clock() - start) / 1000)
    return times_us


def _stream(end: End, size: int, count: int) -> float:
    seen = 0

    def on_item(item: bytes) -> None:
        nonlocal seen
        assert len(item) == size
        seen += 1

    start = time.perf_counter()
    end.stream(size, count, 0, 1, on_item)
    took_s = time.perf_counter() - start
    assert seen == count
    return count / took_s


def _ages_us(end: End, size: int, count: int, gap_us: int, burst: int) -> list[float]:
    clock, ages_us = time.monotonic_ns, []

    def on_item(item: bytes) -> None:
        ages_us.append((clock() - STAMP.unpack_from(item)[0]) / 1000)

    end.stream(size, count, gap_us, burst, on_item)
    assert len(ages_us) == count
    return ages_us


@contextlib.contextmanager
def _beside(connect: Callable[[], End], streams: tuple[tuple[int, int], ...]) -> Iterator[None]:
    """While these run."""
    enough = threading.Event()
    running = threading.Barrier(len(streams) + 1)

    def draw(end: End, size: int, gap_us: int) -> None:
        first = True

        def on_item(_: bytes) -> None:
            nonlocal first
            if first:
                first = False
                running.wait()
            if enough.is_set():
                raise _Enough

        with contextlib.suppress(_Enough):
            end.stream(size, FOR_EVER, gap_us, 1, on_item)
        end.close()

    threads = [threading.Thread(target=draw, args=(connect(), *each)) for each in streams]
    for thread in threads:
        thread.start()
    running.wait()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join()
