"""Moving trees of files, against rsync and what else people use: two processes each, turn by turn.

Speeds are times rsync's daemon in the same round.  Every tree that has arrived is
compared with its source, outside the clock.  Linux only; what is not installed is
left out and told, with what to type.  Links between machines need root.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.moving.figures import Figure, table
from benchmarks.moving.mover import Mover
from benchmarks.moving.page import PAGE, draw, load, save
from benchmarks.moving.places import loopback, over
from benchmarks.moving.running import Failed, Place, Run, run
from benchmarks.moving.trees import Found, look
from benchmarks.moving.workloads import Workload, workloads
from tests.system.two_machines import NoNamespaces

TMPFS: Final = Path("/dev/shm")
LIMIT_S: Final = 30.0  # for one run: who needs longer is left out of that workload


def measure(workload: Workload, rounds: int, folder: Path) -> list[Figure]:
    """Every contestant in every round, each round beginning with another one; all are held against the first.

    Raises:
        NoNamespaces: The link cannot be made here.
    """
    source, work = folder / "source", folder / "work"
    work.mkdir(exist_ok=True)
    workload.tree.make(source)
    found = look(source)
    seen: dict[str, list[Run]] = {}
    problems: dict[str, str] = {}
    with over(workload.wire) if workload.wire else loopback() as place:
        for number in range(rounds):
            first = number % len(workload.movers)
            for mover in (*workload.movers[first:], *workload.movers[:first]):
                if mover.name not in problems:
                    _turn(mover, workload, source, found, work, place, seen, problems)
    base = seen.get(workload.movers[0].name, [])
    return [
        _figure(workload, mover, seen.get(mover.name, []), base, problems.get(mover.name, ""))
        for mover in workload.movers
    ]


def _turn(
    mover: Mover,
    workload: Workload,
    source: Path,
    found: Found,
    work: Path,
    place: Place,
    seen: dict[str, list[Run]],
    problems: dict[str, str],
) -> None:
    if lacks := mover.lacks():
        problems[mover.name] = f"not here: {lacks}"
    else:
        try:
            done = run(mover, source, found, work, place, up=workload.up, limit_s=LIMIT_S)
            seen.setdefault(mover.name, []).append(done)
            return
        except Failed as exc:
            problems[mover.name] = str(exc)
            seen.pop(mover.name, None)
    print(f"{workload.key}: {mover.name} is left out: {problems[mover.name]}", file=sys.stderr)


def _figure(workload: Workload, mover: Mover, runs: list[Run], base: list[Run], problem: str) -> Figure:
    took_s = [one.took_s for one in runs]
    speeds = [b.took_s / a.took_s for a, b in zip(runs, base, strict=False)]
    return Figure(
        workload=workload.key,
        title=workload.title,
        mover=mover.name,
        took_s=statistics.median(took_s) if runs else 0.0,
        low_s=min(took_s, default=0.0),
        high_s=max(took_s, default=0.0),
        speed=statistics.median(speeds) if speeds else 0.0,
        cpu_move_s=statistics.median(one.cpu_move_s for one in runs) if runs else 0.0,
        cpu_serve_s=statistics.median(one.cpu_serve_s for one in runs) if runs else 0.0,
        rounds=len(runs),
        files=workload.tree.files,
        total_bytes=workload.tree.total_bytes,
        mtime=mover.mtime,
        problem=problem,
    )


def main(argv: Sequence[str]) -> None:
    """The command line: a table, or with --json a list of Figures."""
    parser = argparse.ArgumentParser(prog="files", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of each tree")
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", help="some of the workloads")
    parser.add_argument(
        "--movers", nargs="+", metavar="NAME", help="some of the contestants, and rsync's daemon"
    )
    parser.add_argument("--list", action="store_true", help="name workloads and contestants")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", action="store_true", help=f"write the figures, table and picture of {PAGE}")
    arguments = parser.parse_args(argv)
    chosen = [one for one in workloads(arguments.quick) if not arguments.only or one.key in arguments.only]
    if arguments.movers:
        chosen = [_with_movers(one, arguments.movers) for one in chosen]
    if not chosen:
        parser.error(f"no such workload; there are {', '.join(one.key for one in workloads(False))}")
    if arguments.list:
        for one in chosen:
            print(f"{one.key:11} {one.title}: {', '.join(mover.name for mover in one.movers)}")
        return
    if sys.platform != "linux":
        parser.error("needs Linux: it reads /proc")
    figures: list[Figure] = []
    for workload in chosen:
        with tempfile.TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None) as folder:
            try:
                new = measure(workload, arguments.rounds, Path(folder))
            except NoNamespaces as exc:
                print(f"{workload.key} is left out: {exc}", file=sys.stderr)
                continue
        figures += new
        if arguments.page:  # after each: a run that is broken off keeps what it has measured
            save([*(one for one in _old() if one.workload != workload.key), *new])
            draw()
        if not arguments.json:
            print(table(new), flush=True)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures]))


def _old() -> list[Figure]:
    with contextlib.suppress(FileNotFoundError):
        return load()
    return []


def _with_movers(workload: Workload, names: Sequence[str]) -> Workload:
    base, *others = workload.movers
    return dataclasses.replace(workload, movers=(base, *(one for one in others if one.name in names)))
