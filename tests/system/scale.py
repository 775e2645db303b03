"""How many a gateway bears: pairs at once, subscribers of one stream, and pairs that come and go.

`./run prove scale [--pairs N] [--cycles N] [--seconds S] [--write]`.  The
gateway is a process of its own: what it holds is counted from outside, in
/proc.  Exits with 1 when anything is left, or a rate is not held.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from benchmarks.road.figures import Figure, of_times, percentile, tables
from benchmarks.road.urgency import urgent
from pynet_car.world.launch import cpu_s
from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.gateway import Gateway
from tests.core.loopback import eventually

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = ROOT / "docs/benchmarks/scale.md"
POOL: Final = 256
FPS: Final = 30
ITEM_BYTES: Final = 40_000
SUBSCRIBERS: Final = (1, 2, 5, 10, 20, 50)
CALLERS: Final = 4  # threads that connect and disconnect
WARM_UP: Final = 0.1  # of all cycles, before memory is looked at
RATE_HELD: Final = 0.95  # of the items that there were
GROWTH_BYTES: Final = 4 * 1024 * 1024  # more than the allocator's moods

PAIRS: Final = "Pairs at once: each is opened, called 10 times, and closed"
STREAM: Final = "Subscribers of one newest-only stream, 30 times 40 KB a second"
CYCLES: Final = "Pairs that come, call once and go"


class Failed(AssertionError):
    """What was not as promised."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process has, as the kernel counts it."""

    threads: int
    files: int
    memory_bytes: int

    @classmethod
    def by(cls, pid: int) -> Self:
        words = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        return cls(
            int(words["Threads"]),
            len(list(Path(f"/proc/{pid}/fd").iterdir())),
            int(words["VmRSS"].split()[0]) * 1024,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """The gateway's process."""

    port: int
    pid: int

    def client(self) -> Client:
        return Controller(port=self.port).get_client()

    def settles_at(self, before: Held) -> Held:
        """What it holds once threads and files are as before.

        Raises:
            Failed: They are not, within 5 s.
        """
        if not eventually(lambda: _fits(Held.by(self.pid), before)):
            raise Failed(f"left behind: {Held.by(self.pid)}, before {before}")
        return Held.by(self.pid)


def _fits(now: Held, before: Held) -> bool:
    return now.threads <= before.threads and now.files <= before.files


@contextlib.contextmanager
def served() -> Iterator[Served]:
    command = [sys.executable, "-m", "tests.system.scale", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            gateway = Served(int(process.stdout.readline()), process.pid)
            idle = Held.by(gateway.pid)
            with gateway.client() as client:  # what is made once is made
                client.get_subroutine_batch("echo")
            gateway.settles_at(idle)
            yield gateway
        finally:
            process.kill()


def serve() -> None:
    def camera() -> Iterator[bytes]:
        start_s = time.monotonic()
        frame = 0
        while True:
            frame += 1
            time.sleep(max(0.0, start_s + frame / FPS - time.monotonic()))
            yield time.monotonic_ns().to_bytes(8, "little").ljust(ITEM_BYTES, b"\x55")

    with Gateway(0, POOL, host="127.0.0.1") as gateway:
        gateway.add_subroutine("echo", lambda: b"")
        gateway.add_subroutine("camera", camera, shared=True, keep="latest")
        print(gateway.port, flush=True)
        sys.stdin.read()


def many_pairs(gateway: Served, count: int) -> Figure:
    """All open at the same time, each with a thread that calls."""
    before = Held.by(gateway.pid)
    opened_ms: list[float] = []
    called_ms: list[float] = []
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            began_s = time.monotonic()
            clients.append(stack.enter_context(gateway.client()))
            opened_ms.append((time.monotonic() - began_s) * 1000)

        def call(client: Client) -> None:
            for _ in range(10):
                began_s = time.monotonic()
                client.get_subroutine_batch("echo")
                called_ms.append((time.monotonic() - began_s) * 1000)

        began_s = time.monotonic()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(call, clients))
        calls_per_s = len(called_ms) / (time.monotonic() - began_s)
        open_at_once = Held.by(gateway.pid).threads - before.threads
    if open_at_once < count:
        raise Failed(f"{open_at_once} handlers for {count} pairs")
    gateway.settles_at(before)
    return Figure(
        PAIRS,
        f"{count} pairs",
        {
            "open p99 ms": percentile(opened_ms, 0.99),
            "call p99 ms": percentile(called_ms, 0.99),
            "calls/s": calls_per_s,
        },
    )


def many_subscribers(gateway: Served, count: int, seconds: float) -> Figure:
    """Each on a pair of its own, in threads of this process."""
    before = Held.by(gateway.pid)
    ages_ms: list[list[float]] = [[] for _ in range(count)]

    def hearing(ages: list[float]) -> Callable[[str, int, bytes], None]:
        def hear(name: str, ident: int, item: bytes) -> None:
            ages.append((time.monotonic_ns() - int.from_bytes(item[:8], "little")) / 1e6)

        return hear

    with contextlib.ExitStack() as stack:
        for ages in ages_ms:
            running = stack.enter_context(gateway.client()).subscribe("camera", hearing(ages))
            stack.callback(running.stop)
        time.sleep(0.5)
        for ages in ages_ms:
            ages.clear()
        used_s, ours_s, began_s = cpu_s(gateway.pid), time.process_time(), time.monotonic()
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        used_s, ours_s = cpu_s(gateway.pid) - used_s, time.process_time() - ours_s
        slowest = min(map(len, ages_ms)) / took_s
    gateway.settles_at(before)
    times = of_times([age for ages in ages_ms for age in ages])
    return Figure(
        STREAM,
        f"{count}",
        {
            "slowest items/s": slowest,
            "age p50 ms": times["p50 ms"],
            "age p99 ms": times["p99 ms"],
            "gateway % of a core": used_s / took_s * 100,
            "subscribers % of a core": ours_s / took_s * 100,
        },
    )


def come_and_go(gateway: Served, count: int) -> Figure:
    """From several threads at once.  Memory may not grow once all has been done before."""
    before = Held.by(gateway.pid)
    warm = max(CALLERS, int(count * WARM_UP))
    _cycle(gateway, warm)
    early = gateway.settles_at(before)
    began_s = time.monotonic()
    _cycle(gateway, count - warm)
    took_s = time.monotonic() - began_s
    late = gateway.settles_at(before)
    grown = late.memory_bytes - early.memory_bytes
    if grown > GROWTH_BYTES:
        raise Failed(f"memory grew by {grown} B in {count - warm} connections, from {early.memory_bytes} B")
    return Figure(
        CYCLES,
        f"{count} pairs",
        {
            "pairs/s": (count - warm) / took_s,
            "threads left": late.threads - before.threads,
            "files left": late.files - before.files,
            "memory MB before": early.memory_bytes / 1e6,
            "after": late.memory_bytes / 1e6,
        },
    )


def _cycle(gateway: Served, count: int) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        controller = Controller(port=gateway.port)
        try:
            for _ in range(count // CALLERS):
                with controller.get_client() as client:
                    client.get_subroutine_batch("echo")
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def page(figures: Sequence[Figure], command: str) -> str:
    """docs/benchmarks/scale.md"""
    return f"""# Scale

What one gateway bears, in a process of its own, its peers in another on the same two cores, in plain.
Written by

    {command}

Ages are from the generator to the callback.  Of pairs that come and go nothing is left: threads and open
files are as before, memory as after the first tenth.

{tables(figures)}"""


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["serve"]:
        serve()
        return 0
    parser = argparse.ArgumentParser(prog="./run prove scale", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each number of subscribers")
    parser.add_argument("--write", action="store_true", help=f"and {PAGE.name} in docs/benchmarks")
    options = parser.parse_args(argv)
    figures: list[Figure] = []
    problems: list[str] = []
    with urgent(), served() as gateway:
        runs: list[Callable[[], Figure]] = [
            partial(many_pairs, gateway, options.pairs),
            *(partial(many_subscribers, gateway, count, options.seconds) for count in SUBSCRIBERS),
            partial(come_and_go, gateway, options.cycles),
        ]
        for run in runs:
            try:
                figures.append(run())
                print(figures[-1], file=sys.stderr, flush=True)
            except Failed as exc:
                problems.append(str(exc))
    slow = [each for each in figures if each.figures.get("slowest items/s", FPS) < RATE_HELD * FPS]
    problems += [f"{each.contestant} subscribers: the rate is not held" for each in slow]
    print(tables(figures))
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(figures, f"./run prove scale {' '.join(argv)}".strip()))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
