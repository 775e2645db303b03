"""What `benchmarks.messages` has measured, how two figures compare, and what goals they have.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contestant did in one test: medians over the rounds."""

    test: str
    contestant: str
    unit: str
    value: float
    cpu_us: float  # of both ends together, for each message; 0 where it is not known
    p50_us: float  # 0 where it is a rate
    p99_us: float
    lead: float  # over raw sockets, each round's own
    rounds: Sequence[float] = ()  # the value of each, in their order
    counts: Sequence[int] = ()  # of all rounds' times, by `contestants.bin_of`; none where it is a rate

    @property
    def is_time(self) -> bool:
        """Less is better."""
        return self.unit == "us"


def lead(one: Figure, other: Figure) -> float:
    """How many times better one is than another in the same test: the median of each round's own."""
    pairs = list(zip(one.rounds, other.rounds, strict=True)) or [(one.value, other.value)]
    return statistics.median(theirs / ours if one.is_time else ours / theirs for ours, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise: a ratio to another contestant, or a figure by itself."""

    said: str
    test: str
    limit: float
    over: str = ""  # whom it is held against; '' nobody
    at_most: bool = False
    of: Callable[[Figure], float] = lambda figure: figure.value  # where it is held against nobody

    def measured(self, figures: Sequence[Figure], name: str) -> float | None:
        """Of the contestant of that name; None when it, or whom it is held against, was not there."""
        seen = {figure.contestant: figure for figure in figures if figure.test == self.test}
        if name not in seen or (self.over and self.over not in seen):
            return None
        if not self.over:
            return self.of(seen[name])
        times_better = seen[name].lead if self.over == "raw" else lead(seen[name], seen[self.over])
        return 1 / times_better if self.at_most else times_better

    def is_met(self, measured: float) -> bool:
        """As it is printed: what reads as the goal is the goal."""
        shown = float(number(measured).replace(",", ""))
        return shown <= self.limit if self.at_most else shown >= self.limit


ONE_CORE: Final = "64 B round trip, same core"
BUSY: Final = "64 B round trip, busy"
HOG: Final = "p99 of them beside a hog"
SMALL: Final = "64 B items"
FRAMES: Final = "40 KB items"
LARGE: Final = "1 MB items"
GOALS: Final = (
    Goal("round trip of 64 bytes, one core, times raw", ONE_CORE, 1.15, "raw", at_most=True),
    Goal("... times faster than pyzmq", ONE_CORE, 3, "pyzmq"),
    Goal("... than zenoh", ONE_CORE, 7, "zenoh"),
    Goal("... than gRPC", ONE_CORE, 12, "grpc"),
    Goal("the same beside a camera and three sensors, times raw", BUSY, 1.25, "raw", at_most=True),
    Goal("... times faster than pyzmq", BUSY, 3, "pyzmq"),
    Goal(
        "the same beside a thread that computes, p50, ms",
        HOG,
        1,
        at_most=True,
        of=lambda figure: figure.p50_us / 1000,
    ),
    Goal("items of 64 bytes, million a second", SMALL, 1.2, of=lambda figure: figure.value / 1e6),
    Goal("... times pyzmq", SMALL, 3, "pyzmq"),
    Goal("... times zenoh", SMALL, 5, "zenoh"),
    Goal("... times pynetwork 2.4", SMALL, 80, "pynetwork"),
    Goal("items of 40 KB, times raw", FRAMES, 1.0, "raw"),
    Goal("... times pyzmq", FRAMES, 2, "pyzmq"),
    Goal("... times zenoh", FRAMES, 0.9, "zenoh"),
    Goal("items of 1 MB, times raw", LARGE, 0.95, "raw"),
    Goal("... times pyzmq", LARGE, 1.8, "pyzmq"),
    Goal("... times zenoh", LARGE, 0.7, "zenoh"),
    Goal("age of 64 bytes, 1 kHz, p50, times raw", "age of 64 B, 1 kHz", 1.1, "raw", at_most=True),
    Goal("age of 40 KB, 30 Hz, p50, times raw", "age of 40 KB, 30 Hz", 1.1, "raw", at_most=True),
    Goal(
        "age of 50 that come together, p99, times raw",
        "age p99, 50 x 64 B, 100 Hz",
        1.2,
        "raw",
        at_most=True,
    ),
)


def goals(figures: Sequence[Figure]) -> Iterator[str]:
    """Markdown: each goal, what was measured, and what it is under TLS."""
    yield "| | goal | measured | | under TLS |"
    yield "|---|--:|--:|---|--:|"
    met = missed = 0
    for goal in GOALS:
        plain, tls = (goal.measured(figures, name) for name in ("pynet", "pynet TLS"))
        verdict = "not measured" if plain is None else "met" if goal.is_met(plain) else "**missed**"
        met, missed = met + (verdict == "met"), missed + (verdict == "**missed**")
        cells = ["-" if each is None else number(each) for each in (plain, tls)]
        sign = "<=" if goal.at_most else ">="
        yield f"| {goal.said} | {sign} {goal.limit:g} | {cells[0]} | {verdict} | {cells[1]} |"
    yield ""
    yield f"{met} met, {missed} missed, {len(GOALS) - met - missed} not measured."


def under_tls(figures: Sequence[Figure]) -> Iterator[str]:
    """Markdown: what TLS costs in each test, and how it stands against raw sockets, which have none."""
    yield "| | times better than raw | than pynet without TLS | CPU, times that of pynet without TLS |"
    yield "|---|--:|--:|--:|"
    for test in dict.fromkeys(figure.test for figure in figures):
        seen = {figure.contestant: figure for figure in figures if figure.test == test}
        if tls := seen.get("pynet TLS"):
            plain = seen.get("pynet")
            cpu = number(tls.cpu_us / plain.cpu_us) if plain and plain.cpu_us else "-"
            yield f"| {test} | {tls.lead:.2f} | {f'{lead(tls, plain):.2f}' if plain else '-'} | {cpu} |"


def number(value: float) -> str:
    """With three digits that count, or all of a large one."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
