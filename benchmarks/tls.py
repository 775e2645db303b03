"""What TLS costs: the same gateway plain and under TLS, two processes each, loopback, turn by turn.

On loopback nothing hides the cipher: over Wi-Fi the link is slower than either.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.gateway import Gateway
from pynet_core.keys import SECRET_VARIABLE, Identity

SECRET: Final = "a secret of this benchmark's"
PAYLOAD: Final = bytes(64)
FRAME_BYTES: Final = 40_000  # a camera frame
FRAMES: Final = 1000  # at a time
FILE_BYTES: Final = 64 * 1024 * 1024
CALLS: Final = 500
OPENINGS: Final = 5
_PINNING: Final = hasattr(os, "sched_setaffinity")  # Linux


@dataclass(frozen=True, slots=True)
class Cost:
    """One thing measured; medians over the rounds, and `ratio`: TLS by plain, median of the rounds' own."""

    what: str
    unit: str
    plain: float
    tls: float
    ratio: float


def measure(rounds: int = 5, *, same_core: bool) -> list[Cost]:
    """Measure both, turn by turn, from the calling thread; `same_core` where the system can pin."""
    core = max(os.sched_getaffinity(0)) if _PINNING and same_core else None
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "file").write_bytes(os.urandom(FILE_BYTES))
        stack.enter_context(_pinned(core))
        ends = [_End(stack, kind, core, folder) for kind in ("plain", "tls")]
        seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for number in range(rounds + 1):  # the first warms up
            for what, unit, look in LOOKS:
                plain, tls = (look(end) for end in ends)
                if number:
                    seen.setdefault((what, unit), []).append((plain, tls))
    return [
        Cost(
            what,
            unit,
            statistics.median(plain for plain, _ in pairs),
            statistics.median(tls for _, tls in pairs),
            statistics.median(tls / plain for plain, tls in pairs),
        )
        for (what, unit), pairs in seen.items()
    ]


class _End:
    """A gateway process and our client of it."""

    def __init__(self, stack: contextlib.ExitStack, kind: str, core: int | None, folder: Path) -> None:
        identity = Identity.from_secret(SECRET) if kind == "tls" else None
        self.down = folder / kind
        self.file = str(folder / "file")
        self.controller = Controller(
            port=stack.enter_context(_server(kind, core)), identity=identity, download_dir=str(self.down)
        )
        self.client: Client = stack.enter_context(self.controller.get_client(purpose="control"))


def _round_trip(end: _End) -> float:
    times = []
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        end.client.send_subroutine_batch("no_op", PAYLOAD)
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def _frames(end: _End) -> float:
    start = time.perf_counter()
    end.client.get_subroutine_stream("frames", lambda *_: None)
    return FRAMES / (time.perf_counter() - start)


def _file(end: _End) -> float:
    start = time.perf_counter()
    (path,) = end.client.get_files_from_gateway(files=[end.file])
    took_s = time.perf_counter() - start
    Path(path).unlink()
    return FILE_BYTES / took_s / 1e6


def _opening(end: _End) -> float:
    times = []
    for _ in range(OPENINGS):
        start = time.perf_counter_ns()
        client = end.controller.get_client()
        times.append(time.perf_counter_ns() - start)
        client.close()
    return statistics.median(times) / 1e6


LOOKS: Final[list[tuple[str, str, Callable[[_End], float]]]] = [
    ("no-op buffer call, p50", "us", _round_trip),
    ("40 KB stream items", "/s", _frames),
    ("a 64 MB file, verified", "MB/s", _file),
    ("opening a pair", "ms", _opening),
]


def main(argv: Sequence[str]) -> None:
    """The command line: a table, or with --json a list of lists of Costs, same core first."""
    parser = argparse.ArgumentParser(prog="tls", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    results = [measure(arguments.rounds, same_core=same_core) for same_core in (True, False)]
    if arguments.json:
        print(json.dumps([[dataclasses.asdict(cost) for cost in costs] for costs in results]))
        return
    print(f"TLS 1.3 ({ssl.OPENSSL_VERSION}), {arguments.rounds} rounds: plain, TLS, ratio")
    for where, costs in zip(("same core", "any core"), results, strict=True):
        for cost in costs:
            figures = f"{cost.plain:9.1f} {cost.tls:9.1f} {cost.unit:5} {cost.ratio:.2f}"
            print(f"  {where:10} {cost.what:24} {figures}")


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
def _server(kind: str, core: int | None) -> Iterator[int]:
    """A gateway process of that kind; gives its port.  It lives as long as its stdin."""
    environment = {**os.environ, SECRET_VARIABLE: SECRET if kind == "tls" else ""}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tls", *([] if core is None else [str(core)])],
        cwd=Path(__file__).parent.parent,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            assert server.stdin is not None
            server.stdin.close()


def _serve_frames() -> Iterator[bytes]:
    frame = bytes(FRAME_BYTES)
    for _ in range(FRAMES):
        yield frame


def _serve() -> None:
    gateway = Gateway(0, host="127.0.0.1")
    gateway.add_subroutine("no_op", lambda **kwargs: None)
    gateway.add_subroutine("frames", _serve_frames)
    with gateway:
        print(gateway.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":  # a gateway process
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    _serve()
