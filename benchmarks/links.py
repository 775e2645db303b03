"""Links that are thin, far or poor: how old pictures and commands are when they have come over one.

Two namespaces and a relay between them, so root; both ends are on this machine
and have one clock.  Contestants take turns in every scene, round by round.
With `--peers` pyzmq too, fetched into an environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.marks import placed
from benchmarks.peers import peers_python
from benchmarks.road.driving import Driven, car_on, drive
from benchmarks.road.figures import TRIPS, Figure, medians, of_times, tables
from benchmarks.road.goals import Goal, Seen, goals
from benchmarks.road.link import Road, road
from benchmarks.road.looking import WARM_UP, Failed, look
from benchmarks.road.urgency import urgent
from benchmarks.road.ways import ASKED, ONE_PAIR, TWO_PAIRS
from tests.system.relay import Way
from tests.system.two_machines import NoNamespaces

PAGE: Final = Path(__file__).parent.parent / "docs/benchmarks/links.md"
THIN: Final = Way(delay_s=0.005, rate_bps=5e6)
BUSY: Final = Way(delay_s=0.01, rate_bps=10e6)
LOSSES: Final = (0.02, 0.05)

PICTURES: Final = "Age of pictures: 5 Mbit/s, of which 7.6 Mbit/s are offered; 5 ms each way"
UPLOAD: Final = "Age of commands at the guardian beside an upload: 10 Mbit/s, 10 ms each way"
POOR: Final = "Commands at {} % loss: 10 ms and 3 ms of jitter each way, {:g} s"
BEGIN: Final = "<!-- written by ./run bench links --page from here on -->"
OURS: Final = "pynet, newest only"
LOOKERS: Final = {OURS: "pynet", "raw sockets, first in, first out": "fifo", "pyzmq, CONFLATE": "pyzmq"}
YIELDS: Final = "an upload by pynet"
UPLOADS: Final = {"no upload": None, YIELDS: False, "one that does not yield": True}
WAYS: Final = (TWO_PAIRS, ONE_PAIR, ASKED)
START_S: Final = 3.0  # processes, pairs and leases, of each turn


def watch_pictures(where: Road, peers: Path | None, seconds: float) -> Iterator[Figure]:
    """One turn of each."""
    for contestant, name in LOOKERS.items():
        python = peers if name == "pyzmq" else Path(sys.executable)
        if python is None:
            continue
        try:
            ages_ms = look(name, python, where, seconds)
        except Failed as exc:
            print(f"{contestant} failed: {exc}", file=sys.stderr)
            continue
        rate = len(ages_ms) / (seconds * (1 - WARM_UP))
        yield Figure(PICTURES, contestant, {**of_times(ages_ms), "pictures/s": rate})


def drive_beside_uploads(car: Driven, seconds: float) -> Iterator[Figure]:
    """One turn of each."""
    for contestant, greedy in UPLOADS.items():
        beside = contextlib.nullcontext() if greedy is None else car.uploading(greedy=greedy)
        with car.operator(TWO_PAIRS) as operator, beside:
            seen = drive(operator, seconds)
        yield Figure(UPLOAD, contestant, {**of_times(seen.ages_ms), TRIPS: seen.trips})


def drive_over_loss(where: Road, car: Driven, loss: float, seconds: float) -> Iterator[Figure]:
    """One turn of each way to send commands; the link is poor once the driver is armed."""
    for way in WAYS:
        with car.operator(way) as operator:
            where.link.shape(Way(delay_s=0.01, jitter_s=0.003, loss=loss))
            seen = drive(operator, seconds)
            where.link.shape(BUSY)
        yield Figure(_poor(loss, seconds), way, {**of_times(seen.ages_ms), TRIPS: seen.trips})


def _poor(loss: float, seconds: float) -> str:
    return POOR.format(round(loss * 100), seconds)


def measure(
    peers: Path | None,
    *,
    rounds: int,
    seconds: float,
    loss_seconds: float,
    tell: Callable[[Figure], object] = lambda figure: None,
) -> list[Figure]:
    """Every turn of every scene.

    Raises:
        NoNamespaces: Not here, says why.
    """
    figures: list[Figure] = []

    def take(turns: Iterator[Figure]) -> None:
        for figure in turns:
            figures.append(figure)
            tell(figure)

    with road(THIN) as where:
        for _ in range(rounds):
            take(watch_pictures(where, peers, seconds))
    with road(BUSY) as where, car_on(where) as car:
        for _ in range(rounds):
            take(drive_beside_uploads(car, seconds))
            for loss in LOSSES if loss_seconds else ():
                take(drive_over_loss(where, car, loss, loss_seconds))
    return figures


def estimate_s(*, rounds: int, seconds: float, loss_seconds: float, peers: bool) -> float:
    """How long all of it takes."""
    looks = len(LOOKERS) - (not peers)
    turns_s = (looks + len(UPLOADS)) * (seconds + START_S)
    if loss_seconds:
        turns_s += len(LOSSES) * len(WAYS) * (loss_seconds + START_S)
    return rounds * turns_s


def goals_of(loss_seconds: float) -> list[Goal]:
    """What is promised for these scenes."""
    way_ms = 2e3 * BUSY.delay_s
    wanted = [
        Goal("age of pictures, p99, ms", 120, lambda seen: seen(PICTURES, OURS, "p99 ms")),
        Goal(
            "age of commands beside an upload, p99, ms above the way there and back",
            60,
            lambda seen: seen(UPLOAD, YIELDS, "p99 ms") - way_ms,
        ),
    ]
    for loss, most in zip(LOSSES, (1, 5), strict=True):

        def trips(seen: Seen, scene: str = _poor(loss, loss_seconds)) -> float:
            return seen(scene, TWO_PAIRS, TRIPS) * 60 / loss_seconds

        wanted.append(Goal(f"failsafe trips at {loss:.0%} loss in 60 s", most, trips))
    return wanted


def section(figures: Sequence[Figure], wanted: Sequence[Goal], command: str, rounds: int) -> str:
    """What is between the marks of docs/benchmarks/links.md, from the medians."""
    return f"""\
`{command}`, {time.strftime("%Y-%m-%d")}, medians of {rounds} rounds; load {os.getloadavg()[2]:.0f} on
{os.cpu_count()} cores, this benchmark included; {platform.system()} {platform.release().partition("-")[0]}.

{chr(10).join(goals(wanted, figures))}

{tables(figures)}"""


def main(argv: Sequence[str]) -> None:
    """The command line: tables, or with --json a list of Figures."""
    parser = argparse.ArgumentParser(prog="links", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of one turn")
    parser.add_argument("--loss-seconds", type=float, default=60.0, help="of one turn at 2 %% and 5 %% loss")
    parser.add_argument("--peers", action="store_true", help="pyzmq too, fetched once")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", "--write", action="store_true", help=f"and {PAGE.name} in docs/benchmarks")
    arguments = parser.parse_args(argv)
    peers = peers_python("pyzmq") if arguments.peers else None
    lasts = {name: getattr(arguments, name) for name in ("rounds", "seconds", "loss_seconds")}
    minutes = estimate_s(**lasts, peers=peers is not None) / 60
    print(f"links: this takes about {minutes:.0f} minutes", file=sys.stderr)
    try:
        with urgent():
            figures = measure(peers, **lasts, tell=lambda figure: print(figure, file=sys.stderr, flush=True))
    except NoNamespaces as exc:
        raise SystemExit(f"links: {exc}") from exc
    figures = medians(figures)
    wanted = goals_of(arguments.loss_seconds)
    if arguments.page:
        command = f"./run bench links {' '.join(argv)}".strip()
        written = section(figures, wanted, command, arguments.rounds)
        PAGE.write_text(placed(PAGE.read_text(), written, BEGIN))
    if arguments.json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures]))
        return
    print(tables(figures))
    print("\n".join(goals(wanted, figures)))
