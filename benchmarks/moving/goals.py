"""What moving files has to show, and whether it did.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.moving.figures import BASE, Figure

HEAD: Final = ("", "against", "goal, times its speed", "measured", "fastest runs", "under TLS", "")


@dataclass(frozen=True, slots=True)
class Goal:
    """At least so many times the speed of somebody else in the same workload."""

    workload: str
    other: str
    least: float
    mover: str = "pynet"


RAW: Final = "raw sendfile, splice"
TLS: Final = "pynet TLS"  # between machines there is no other
GOALS: Final = (
    Goal("tiny", BASE, 1.5),
    Goal("tiny", "cp -r", 0.9),
    Goal("middle", BASE, 1.2),
    Goal("middle-up", BASE, 1.1),
    Goal("huge", BASE, 1.8),
    Goal("huge", RAW, 0.8),
    Goal("logs", BASE, 1.1),
    Goal("slow-few", RAW, 0.95, TLS),
    Goal("poor-one", BASE, 2.5, "pynet 5 pairs TLS"),
    Goal("slow-logs", "rsync daemon -z", 1.0, TLS),
)


def goals(wanted: Sequence[Goal], figures: Sequence[Figure]) -> Iterator[tuple[str, ...]]:
    """Cells, as HEAD names them: each goal, what was measured, and whether it is met."""
    known = {(one.workload, one.mover): one for one in figures if not one.problem}
    for goal in wanted:
        ours, theirs = known.get((goal.workload, goal.mover)), known.get((goal.workload, goal.other))
        least = f"{goal.least:g}"
        if ours is None or theirs is None:
            yield goal.workload, goal.other, least, "-", "-", "-", "not measured"
            continue
        sealed = known.get((goal.workload, TLS)) if goal.mover == "pynet" else ours
        value = _times(ours, theirs)
        yield (
            f"{ours.title}, {goal.mover.removeprefix('pynet ')}" if sealed is ours else ours.title,
            goal.other,
            least,
            f"{value:.2f}",
            f"{theirs.low_s / ours.low_s:.2f}",
            "as said" if sealed is ours else f"{_times(sealed, theirs):.2f}" if sealed else "-",
            "met" if round(value, 2) >= goal.least else "**missed**",
        )


def _times(ours: Figure, theirs: Figure) -> float:
    """Against the base the median of the rounds' own; else of the medians."""
    return ours.speed if theirs.mover == BASE else theirs.took_s / ours.took_s
