"""Messages against raw Python sockets and other libraries: two processes each, loopback, turn by turn.

A lead is over raw sockets in the same round: above 1 is better than they are.
With `--peers` other libraries are fetched into an environment of their own,
`.venv-peers`; pynetwork 2.4 is the ancestor.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from benchmarks import messages_page
from benchmarks.messages_figures import Figure
from benchmarks.messages_pictures import strip
from benchmarks.peers import peers_python, peers_versions

ROOT: Final = Path(__file__).parent.parent
TURN_S: Final = 0.4  # of each contestant in each test and round
LIMIT_S: Final = 15.0  # for one turn
TRIES: Final = 3  # of one
HOG_TRIPS_HZ: Final = 250.0
REGULAR: Final = ("pyzmq", "pynetwork", "zenoh", "grpc")
ALL: Final = (*REGULAR, "rpyc", "pyro5", "pynng", "websockets")
_CORES: Final = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@dataclass(frozen=True, slots=True)
class Test:
    name: str
    kind: str  # see contestants/__init__.py
    size: int  # bytes
    unit: str
    same_core: bool = False
    gap_us: int = 0
    burst: int = 1

    def figure(self, result: float) -> float:
        """In the unit."""
        return result * self.size / 1e6 if self.unit == "MB/s" else result

    def lead(self, one: float, other: float) -> float:
        """How many times better `one` is."""
        return one / other if self.kind == "stream" else other / one


TESTS: Final = (
    Test("64 B round trip, same core", "round_trip", 64, "us", same_core=True),
    Test("64 B round trip, any core", "round_trip", 64, "us"),
    Test("64 B round trip, busy", "busy", 64, "us"),
    Test("p99 of them beside a hog", "hog", 64, "us"),
    Test("64 B items", "stream", 64, "/s"),
    Test("40 KB items", "stream", 40_000, "/s"),
    Test("1 MB items", "stream", 1_000_000, "MB/s"),
    Test("age of 64 B, 1 kHz", "paced", 64, "us", gap_us=1_000),
    Test("age of 40 KB, 30 Hz", "paced", 40_000, "us", gap_us=33_333),
    Test("age p99, 50 x 64 B, 100 Hz", "burst", 64, "us", gap_us=10_000, burst=50),
)


class Turn(NamedTuple):
    """What a contestant did once."""

    result: float  # items a second, or us
    cpu_us: float  # of both ends together, for each message; 0 where it is not known
    p50_us: float = 0.0  # where it is one of times
    p99_us: float = 0.0
    counts: Sequence[int] = ()  # by contestants.bin_of


class Failed(Exception):
    """A contestant did not do it; its last words."""


class Contestant:
    """Its two processes, from the first use to `close`."""

    def __init__(self, name: str, python: Path, environment: dict[str, str], folder: str) -> None:
        self.name = name
        module = name.removesuffix(" TLS")
        self._command = [str(python), "-m", f"benchmarks.contestants.{module}"]
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self._counts: dict[Test, int] = {}

    def run(self, test: Test) -> Turn:
        """One turn.

        Raises:
            Failed: It did not come to an end.
        """
        if not self._processes:
            (port,) = self._say(self._start("serve"), "port")
            self._start("call", str(int(port)))
        for process in self._processes:
            _pin(process.pid, {max(_CORES)} if test.same_core and _CORES else _CORES)
        count = self._counts[test] = self._counts.get(test) or self._count_for(test)
        before = self._cpu_s()
        result, *times = self._ask(test, count)
        cpu_us = (self._cpu_s() - before) / count * 1e6
        if not times:
            return Turn(result, cpu_us)
        p50_us, p99_us, *counts = times
        return Turn(result, cpu_us, p50_us, p99_us, [int(number) for number in counts])

    def _count_for(self, test: Test) -> int:
        """How many make a turn: tried with more and more, for few are no measure of many."""
        if test.gap_us:
            return max(20, int(TURN_S * 1e6 / test.gap_us)) * test.burst
        if test.kind == "hog":  # a p99 does not say how many make a turn
            return max(20, int(TURN_S * HOG_TRIPS_HZ))
        count = 20
        while True:
            # The better of two: something else that runs here must not make it few for all rounds.
            results = [self._ask(test, count)[0] for _ in range(2)]
            per_s = max(results) if test.kind == "stream" else 1e6 / min(results)
            if count >= per_s * TURN_S / 4:
                break
            count *= 8
        return max(20, int(per_s * TURN_S))

    def close(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.kill()
            process.communicate()
        self._processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self._command, *words],
            cwd=self._folder,  # the ancestor makes folders
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def _ask(self, test: Test, count: int) -> list[float]:
        caller = self._processes[1]
        assert caller.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            caller.stdin.write(f"{test.kind} {test.size} {count} {test.gap_us} {test.burst}\n")
            caller.stdin.flush()
        return self._say(caller, "result")

    def _say(self, process: subprocess.Popen[str], word: str) -> list[float]:
        """The numbers after that word, whatever else the library prints."""
        assert process.stdout is not None
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            for line in process.stdout:
                if line.startswith(f"{word} "):
                    return [float(number) for number in line.split()[1:]]
        finally:
            limit.cancel()
        _, said = process.communicate()
        self.close()
        raise Failed(said.strip().rpartition("\n")[2] or f"no word, or none within {LIMIT_S:g} s")

    def _cpu_s(self) -> float:
        if sys.platform != "linux":
            return 0.0
        # What clock_getcpuclockid(3) makes of a pid, threads that have ended included.
        return sum(time.clock_gettime((~process.pid << 3) | 2) for process in self._processes)


def measure(contestants: Sequence[Contestant], rounds: int, tests: Sequence[Test] = TESTS) -> list[Figure]:
    """Every test in every round, the contestants turn by turn; all are held against the first.

    Who fails three times on end is left out of that test, and told on stderr.
    """
    figures = []
    for test in tests:
        seen: dict[str, list[Turn]] = {}
        for _ in range(rounds):
            for contestant in contestants:
                if seen.get(contestant.name) == []:
                    continue
                try:
                    seen.setdefault(contestant.name, []).append(_turn(contestant, test))
                except Failed as exc:
                    seen[contestant.name] = []
                    print(f"{contestant.name} failed at {test.name}: {exc}", file=sys.stderr)
        base = seen[contestants[0].name]
        figures += [_figure(test, name, turns, base) for name, turns in seen.items() if turns]
    return figures


def _turn(contestant: Contestant, test: Test) -> Turn:
    """One turn, with new processes if need be: one that fails once need not fail again."""
    for _ in range(TRIES - 1):
        try:
            return contestant.run(test)
        except Failed as exc:
            print(f"{contestant.name} failed at {test.name}, once more: {exc}", file=sys.stderr)
    return contestant.run(test)


def _figure(test: Test, name: str, turns: Sequence[Turn], base: Sequence[Turn]) -> Figure:
    leads = [test.lead(turn.result, raw.result) for turn, raw in zip(turns, base, strict=True)]
    return Figure(
        test.name,
        name,
        test.unit,
        test.figure(statistics.median(turn.result for turn in turns)),
        statistics.median(turn.cpu_us for turn in turns),
        statistics.median(turn.p50_us for turn in turns),
        statistics.median(turn.p99_us for turn in turns),
        statistics.median(leads),
        rounds=[test.figure(turn.result) for turn in turns],
        counts=[sum(column) for column in zip(*(turn.counts for turn in turns), strict=True)],
    )


@contextlib.contextmanager
def contestants_with(peers: Sequence[str] = ()) -> Iterator[list[Contestant]]:
    """Raw sockets first; without the peers that cannot be had here."""
    here = Path(sys.executable)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = [
            Contestant("raw", here, {}, folder),
            Contestant("pynet", here, {}, folder),
            Contestant("pynet TLS", here, {"CONTESTANT_TLS": "1"}, folder),
        ]
        pythons = {name: peers_python(name) for name in peers}
        found += [Contestant(name, python, {}, folder) for name, python in pythons.items() if python]
        yield [stack.enter_context(contestant) for contestant in found]


def peers_named(words: str) -> tuple[str, ...]:
    """What comes after --peers.

    Raises:
        argparse.ArgumentTypeError: One of them is nobody's name.
    """
    if words in ("regular", "all"):
        return REGULAR if words == "regular" else ALL
    names = tuple(dict.fromkeys(words.split(",")))
    if unknown := [name for name in names if name not in ALL]:
        raise argparse.ArgumentTypeError(f"no peer is called {unknown[0]!r}; there are: {', '.join(ALL)}")
    return names


def main(argv: Sequence[str]) -> None:
    """The command line: a table, or with --json a list of Figures."""
    parser = argparse.ArgumentParser(prog="messages", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers",
        nargs="?",
        const="regular",
        default=(),
        type=peers_named,
        metavar="WHICH",
        help=f"others too, fetched once: {', '.join(REGULAR)}; WHICH: all, or names of {', '.join(ALL)}",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--page", "--write", action="store_true", help="and docs/benchmarks/messages.md with its picture"
    )
    arguments = parser.parse_args(argv)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    with contestants_with(arguments.peers) as contestants:
        figures = measure(contestants, arguments.rounds)
        peers = [each.name for each in contestants if each.name in ALL]
    if arguments.page:
        command = f"./run bench messages {' '.join(argv)}"
        versions = peers_versions(peers) if peers else {}
        messages_page.write(figures, messages_page.conditions(command, arguments.rounds, load, versions))
    if arguments.json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures]))
        return
    print(f"messages, medians of {arguments.rounds} rounds; lead: times better than raw sockets")
    print(f"{'':28}{'':12}{'':>11}         CPU us   lead")
    for figure in figures:
        value = f"{figure.value:11.1f}" if figure.value < 1000 else f"{figure.value:11.0f}"
        ends = f"{figure.cpu_us:9.2f} {figure.lead:6.2f}"
        print(f"{figure.test:28}{figure.contestant:12}{value} {figure.unit:5}{ends}")
    print(f"\n{'how many took how long':28}{'':12} 1us       10us      100us     1ms       10ms      100ms")
    for figure in figures:
        if figure.counts:
            print(f"{figure.test:28}{figure.contestant:12}|{strip(figure.counts)}|")


def _pin(pid: int, cores: set[int]) -> None:
    """All threads of a process; those to come are as the one that makes them."""
    if cores:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # ended meanwhile
                os.sched_setaffinity(int(task.name), cores)
