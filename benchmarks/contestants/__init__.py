"""Libraries that carry messages, each in two processes of its own: what `benchmarks.messages` compares.

`python -m benchmarks.contestants.NAME serve` prints `port N` and serves until
its stdin ends; `... call N` reads lines `TEST SIZE COUNT` and answers each with
`result FIGURE`: the median of COUNT round trips in us, or the items a second of
a stream of COUNT.  A file here imports its own library and nothing of pynet, so
that it runs in an environment that has only that.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Protocol

OnItem = Callable[[bytes], object]


class End(Protocol):
    """The calling end."""

    def round_trip(self, payload: bytes) -> None:
        """Send it to a function there that does nothing, and wait for its answer."""

    def stream(self, size: int, count: int, on_item: OnItem) -> None:
        """Let a generator there yield so many items of so many bytes; call back with each."""


def play(serve: Callable[[], None], connect: Callable[[int], End]) -> None:
    """What a contestant's file does when it is run."""
    if sys.argv[1] == "serve":
        serve()
        return
    end = connect(int(sys.argv[2]))
    for line in sys.stdin:
        test, size, count = line.split()
        print(
            "result",
            {"round_trip": _round_trip, "stream": _stream}[test](end, int(size), int(count)),
            flush=True,
        )


def _round_trip(end: End, size: int, count: int) -> float:
    payload, clock, times = bytes(size), time.perf_counter_ns, []
    for _ in range(count):
        start = clock()
        end.round_trip(payload)
        times.append(clock() - start)
    return statistics.median(times) / 1000


def _stream(end: End, size: int, count: int) -> float:
    seen = 0

    def on_item(item: bytes) -> None:
        nonlocal seen
        assert len(item) == size
        seen += 1

    start = time.perf_counter()
    end.stream(size, count, on_item)
    took_s = time.perf_counter() - start
    assert seen == count
    return count / took_s
