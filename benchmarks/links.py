"""Links that are thin, far or poor: how old pictures and commands are when they have come over one.

Two namespaces and a relay between them, so root; both ends are on this machine
and have one clock.  Contestants take turns.  With `--peers` pyzmq too, fetched
into an environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers import peers_python
from benchmarks.road.driving import Driven, car_on, drive
from benchmarks.road.figures import URGENT_NICE, Figure, medians, of_times, tables
from benchmarks.road.link import Road, road
from benchmarks.road.looking import WARM_UP, Failed, look
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
OURS: Final = "pynet, newest only"
LOOKERS: Final = {OURS: "pynet", "raw sockets, first in, first out": "fifo", "pyzmq, CONFLATE": "pyzmq"}
UPLOADS: Final = {"no upload": None, "an upload by pynet": False, "one that does not yield": True}


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
        yield Figure(UPLOAD, contestant, {**of_times(seen.ages_ms), "failsafe trips": seen.trips})


def drive_over_loss(where: Road, car: Driven, loss: float, seconds: float) -> Iterator[Figure]:
    """One turn of each way to send commands; the link is poor once the driver is armed."""
    for way in (TWO_PAIRS, ONE_PAIR, ASKED):
        with car.operator(way) as operator:
            where.link.shape(Way(delay_s=0.01, jitter_s=0.003, loss=loss))
            seen = drive(operator, seconds)
            where.link.shape(BUSY)
        scene = POOR.format(round(loss * 100), seconds)
        yield Figure(scene, way, {**of_times(seen.ages_ms), "failsafe trips": seen.trips})


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


def page(figures: Sequence[Figure], command: str) -> str:
    """docs/benchmarks/links.md"""
    return f"""# Links

How old pictures and commands are when they have come over a link that is thin, busy or poor.
Written by

    {command}

Both ends are processes on one machine, in namespaces of their own, with a relay between them that delays,
loses and thins what passes, and keeps half a second of it in a queue as access points do.
Contestants take turns; figures are medians of all turns.  The load of the machine was
{os.getloadavg()[2]:.0f} on {os.cpu_count()} cores, this benchmark included, which goes before the rest.
TCP's congestion control is reno for all, which fills queues as cubic does.
Commands are driven through the whole daemon: their age is the guardian's, from the status that they answer to
the tick that looks at them, so both ways count.  All of pynet is under TLS.

{tables(figures)}"""


def main(argv: Sequence[str]) -> None:
    """The command line: tables, or with --json a list of Figures."""
    parser = argparse.ArgumentParser(prog="links", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of one turn")
    parser.add_argument("--loss-seconds", type=float, default=60.0, help="of one turn at 2 %% and 5 %% loss")
    parser.add_argument("--peers", action="store_true", help="pyzmq too, fetched once")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"and {PAGE.name} in docs/benchmarks")
    arguments = parser.parse_args(argv)
    with contextlib.suppress(PermissionError):
        os.nice(URGENT_NICE)  # whatever else this machine does is not to be measured
    try:
        figures = measure(
            peers_python("pyzmq") if arguments.peers else None,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            loss_seconds=arguments.loss_seconds,
            tell=lambda figure: print(figure, file=sys.stderr),
        )
    except NoNamespaces as exc:
        raise SystemExit(f"links: {exc}") from exc
    figures = medians(figures)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures]))
    else:
        print(tables(figures))
    if arguments.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(figures, f"./run bench links {' '.join(argv)}".strip()))
