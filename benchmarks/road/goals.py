"""What links have to show, and whether they did.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.road.figures import Figure

Seen = Callable[[str, str, str], float]  # scene, contestant, column; KeyError when it was not there


@dataclass(frozen=True, slots=True)
class Goal:
    """At most so much, of a figure that may come of several."""

    said: str
    limit: float
    measured: Callable[[Seen], float]


def goals(wanted: Sequence[Goal], figures: Sequence[Figure]) -> Iterator[str]:
    """Markdown: each goal, what was measured, and whether it is met."""
    columns = {(one.scene, one.contestant): one.figures for one in figures}
    yield "| | goal | measured | |"
    yield "|---|--:|--:|---|"
    for goal in wanted:
        try:
            value = goal.measured(lambda scene, contestant, column: columns[scene, contestant][column])
        except KeyError:
            yield f"| {goal.said} | <= {goal.limit:g} | - | not measured |"
        else:
            verdict = "met" if round(value, 1) <= goal.limit else "**missed**"
            yield f"| {goal.said} | <= {goal.limit:g} | {round(value, 1):g} | {verdict} |"
