"""One finding: ok, a warning or a problem, and what to type."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pi_agent.doctor.facts import Facts


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out."""

    level: Level
    check: str  # "wifi"
    what: str
    where: str = ""  # the file, device or command it was seen in
    fix: str = ""  # to type; '' when nothing is to be done


Check = Callable[[Facts], Iterator[Finding]]


def ok(check: str, what: str, where: str = "") -> Finding:
    return Finding(Level.OK, check, what, where)


def warn(check: str, what: str, where: str, fix: str) -> Finding:
    return Finding(Level.WARNING, check, what, where, fix)


def bad(check: str, what: str, where: str, fix: str) -> Finding:
    return Finding(Level.PROBLEM, check, what, where, fix)
