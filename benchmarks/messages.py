"""Messages against raw Python sockets and other libraries: two processes each, loopback, turn by turn.

A lead is over raw sockets in the same round: above 1 is better than they are.
With `--peers` pyzmq and pynetwork 2.4, the ancestor, are fetched into an
environment of their own, `.venv-peers`.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.peers import peers_python

ROOT: Final = Path(__file__).parent.parent
TURN_S: Final = 0.4  # of each contestant in each test and round
LIMIT_S: Final = 15.0  # for one turn
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


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contestant did in one test: medians over the rounds."""

    test: str
    contestant: str
    unit: str
    value: float
    cpu_us: float  # of both ends together, for each message; 0 where it is not known
    lead: float  # over raw sockets, each round's own


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

    def run(self, test: Test) -> tuple[float, float]:
        """The result of one turn, and the CPU of each message.

        Raises:
            Failed: It did not come to an end.
        """
        if not self._processes:
            port = self._say(self._start("serve"), "port")
            self._start("call", str(int(port)))
        for process in self._processes:
            _pin(process.pid, {max(_CORES)} if test.same_core and _CORES else _CORES)
        count = self._counts[test] = self._counts.get(test) or self._count_for(test)
        before = self._cpu_s()
        result = self._ask(test, count)
        return result, (self._cpu_s() - before) / count * 1e6

    def _count_for(self, test: Test) -> int:
        """How many make a turn: tried with more and more, for few are no measure of many."""
        if test.gap_us:
            return max(20, int(TURN_S * 1e6 / test.gap_us)) * test.burst
        count = 20
        while True:
            result = self._ask(test, count)
            per_s = result if test.kind == "stream" else 1e6 / result
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

    def _ask(self, test: Test, count: int) -> float:
        caller = self._processes[1]
        assert caller.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            caller.stdin.write(f"{test.kind} {test.size} {count} {test.gap_us} {test.burst}\n")
            caller.stdin.flush()
        return self._say(caller, "result")

    def _say(self, process: subprocess.Popen[str], word: str) -> float:
        """The number after that word, whatever else the library prints."""
        assert process.stdout is not None
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            for line in process.stdout:
                if line.startswith(f"{word} "):
                    return float(line.split()[1])
        finally:
            limit.cancel()
        _, said = process.communicate()
        self.close()
        raise Failed(said.strip().rpartition("\n")[2] or f"no word, or none within {LIMIT_S:g} s")

    def _cpu_s(self) -> float:
        if sys.platform != "linux":
            return 0.0
        ticks = 0
        for process in self._processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def measure(contestants: Sequence[Contestant], rounds: int, tests: Sequence[Test] = TESTS) -> list[Figure]:
    """Every test in every round, the contestants turn by turn; all are held against the first.

    Who fails is left out of that test, and told on stderr.
    """
    figures = []
    for test in tests:
        seen: dict[str, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for contestant in contestants:
                if seen.get(contestant.name) == []:
                    continue
                try:
                    seen.setdefault(contestant.name, []).append(contestant.run(test))
                except Failed as exc:
                    seen[contestant.name] = []
                    print(f"{contestant.name} failed at {test.name}: {exc}", file=sys.stderr)
        base = [result for result, _ in seen[contestants[0].name]]
        for name, turns in seen.items():
            if turns:
                figures.append(
                    Figure(
                        test.name,
                        name,
                        test.unit,
                        test.figure(statistics.median(result for result, _ in turns)),
                        statistics.median(cpu_us for _, cpu_us in turns),
                        statistics.median(test.lead(a, b) for (a, _), b in zip(turns, base, strict=True)),
                    )
                )
    return figures


@contextlib.contextmanager
def contestants_with(peers: bool) -> Iterator[list[Contestant]]:
    """Raw sockets first."""
    here = Path(sys.executable)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = [
            Contestant("raw", here, {}, folder),
            Contestant("pynet", here, {}, folder),
            Contestant("pynet TLS", here, {"CONTESTANT_TLS": "1"}, folder),
        ]
        if peers and (python := peers_python()):
            found += [Contestant(name, python, {}, folder) for name in ("pyzmq", "pynetwork")]
        yield [stack.enter_context(contestant) for contestant in found]


def main(argv: Sequence[str]) -> None:
    """The command line: a table, or with --json a list of Figures."""
    parser = argparse.ArgumentParser(prog="messages", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="pyzmq and pynetwork 2.4 too, fetched once")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    with contestants_with(arguments.peers) as contestants:
        figures = measure(contestants, arguments.rounds)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures]))
        return
    print(f"messages, medians of {arguments.rounds} rounds; lead: times better than raw sockets")
    print(f"{'':28}{'':12}{'':>11}         CPU us   lead")
    for figure in figures:
        value = f"{figure.value:11.1f}" if figure.value < 1000 else f"{figure.value:11.0f}"
        ends = f"{figure.cpu_us:9.2f} {figure.lead:6.2f}"
        print(f"{figure.test:28}{figure.contestant:12}{value} {figure.unit:5}{ends}")


def _pin(pid: int, cores: set[int]) -> None:
    """All threads of a process; those to come are as the one that makes them."""
    if cores:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # ended meanwhile
                os.sched_setaffinity(int(task.name), cores)
