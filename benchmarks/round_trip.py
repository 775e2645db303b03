"""Round trip of a no-op buffer call against raw Python sockets: two processes each, loopback, turn by turn.

The raw side is the least that is still correct: a length, 64 bytes, one send and one recv each way.  On the
same core the figure is the length of the path; on any core it is mostly what waking another core costs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynet_core.controller import Controller
from pynet_core.gateway import Gateway

PAYLOAD: Final = bytes(64)
WARM_UP_CALLS: Final = 200
RECEIVE_BYTES: Final = 2048
START_TIMEOUT_S: Final = 10.0

_LENGTH: Final = struct.Struct("<I")
_PINNING: Final = hasattr(os, "sched_setaffinity")  # Linux

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What `rounds` rounds of `calls` calls took; `ratio`: pynet's p50 by raw's, median over the rounds."""

    same_core: bool
    rounds: int
    calls: int
    raw_p50_us: float
    raw_p99_us: float
    pynet_p50_us: float
    pynet_p99_us: float
    ratio: float


def measure(rounds: int = 5, calls: int = 2000, *, same_core: bool) -> RoundTrip:
    """Measure both, turn by turn, from the calling thread.

    `same_core` pins this thread and the servers to one core meanwhile;
    ignored where the system cannot pin.
    """
    core = max(os.sched_getaffinity(0)) if _PINNING and same_core else None
    with _pinned(core), _raw(core) as raw, _pynet(core) as pynet:
        for call in (raw, pynet):
            _time(call, WARM_UP_CALLS)
        pairs = [(_time(raw, calls), _time(pynet, calls)) for _ in range(rounds)]
    raw_us = [us for one, _ in pairs for us in one]
    pynet_us = [us for _, one in pairs for us in one]
    return RoundTrip(
        same_core=core is not None,
        rounds=rounds,
        calls=calls,
        raw_p50_us=statistics.median(raw_us),
        raw_p99_us=_p99(raw_us),
        pynet_p50_us=statistics.median(pynet_us),
        pynet_p99_us=_p99(pynet_us),
        ratio=statistics.median(statistics.median(b) / statistics.median(a) for a, b in pairs),
    )


def main(argv: Sequence[str]) -> None:
    """The command line: a table, or with --json a list of RoundTrips, same core first."""
    parser = argparse.ArgumentParser(prog="round_trip", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=2000, help="per round and contestant")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    results = [measure(args.rounds, args.calls, same_core=same_core) for same_core in (True, False)]
    if args.json:
        print(json.dumps([dataclasses.asdict(result) for result in results]))
        return
    print(f"round trip, us ({args.rounds} rounds of {args.calls} calls)    p50      p99")
    for result in results:
        where = "same core" if result.same_core else "any core"
        print(f"  {where:10} raw sockets {result.raw_p50_us:25.1f} {result.raw_p99_us:8.1f}")
        print(
            f"  {where:10} pynet buffer call {result.pynet_p50_us:19.1f} {result.pynet_p99_us:8.1f}"
            f"    {result.ratio:.2f} x raw"
        )


def _time(call: Call, calls: int) -> list[float]:
    clock = time.perf_counter_ns
    took = []
    for _ in range(calls):
        start = clock()
        call()
        took.append((clock() - start) / 1000)
    return took


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


@contextlib.contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _raw(core: int | None) -> Iterator[Call]:
    with _server("raw", core) as port, socket.create_connection(("127.0.0.1", port), START_TIMEOUT_S) as sock:
        sock.settimeout(None)
        _tune(sock)
        request = _LENGTH.pack(len(PAYLOAD)) + PAYLOAD

        def call() -> None:
            sock.sendall(request)
            _receive(sock)

        yield call


@contextlib.contextmanager
def _pynet(core: int | None) -> Iterator[Call]:
    with _server("pynet", core) as port, Controller(port=port).get_client(purpose="control") as client:
        yield lambda: client.send_subroutine_batch("no_op", PAYLOAD)


@contextlib.contextmanager
def _server(kind: str, core: int | None) -> Iterator[int]:
    """A server process of that kind; gives its port.  It lives as long as its stdin."""
    command = [sys.executable, "-m", "benchmarks.round_trip", kind, *([] if core is None else [str(core)])]
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            assert server.stdin is not None
            server.stdin.close()


def _tune(sock: socket.socket) -> None:
    """As pynet does on loopback: none shall win by the kernel's choice of congestion control."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")


def _receive(sock: socket.socket) -> bytes:
    """One message, b'' when the peer has closed; only one is ever on its way, so nothing follows it."""
    message = sock.recv(RECEIVE_BYTES)
    while message and (
        len(message) < _LENGTH.size or len(message) < _LENGTH.size + _LENGTH.unpack_from(message)[0]
    ):
        message += sock.recv(RECEIVE_BYTES)
    return message


def _serve_raw() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(START_TIMEOUT_S)
        print(listener.getsockname()[1], flush=True)
        sock, _ = listener.accept()
    with sock:
        sock.settimeout(None)
        _tune(sock)
        reply = _LENGTH.pack(8) + bytes(8)
        while _receive(sock):
            sock.sendall(reply)


def _serve_pynet() -> None:
    gateway = Gateway(0)
    gateway.add_subroutine("no_op", lambda **kwargs: None)
    with gateway:
        print(gateway.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":  # a server process
    if len(sys.argv) > 2:
        os.sched_setaffinity(0, {int(sys.argv[2])})
    {"raw": _serve_raw, "pynet": _serve_pynet}[sys.argv[1]]()
