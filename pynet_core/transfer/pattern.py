"""A regular expression from a peer, made safe: it can neither hang this process nor fill its memory.  Pure.

Only what Python's own `re` takes, so that a pattern means what its writer has
tried out; matched by the `regex` package, which can be stopped.
"""

from __future__ import annotations

import math
import re
import time
from typing import Final

import regex

from pynet_core.errors import PynetError

MAX_PATTERN_CHARS: Final = 1000
BUDGET_S: Final = 1.0  # of matching, for all names of one listing together
# `regex` unrolls what must repeat: 100,000 steps take 30 MB and 0.1 s; `((a{1000}){1000}){1000}` takes
# all the memory there is.
MAX_STEPS: Final = 100_000

_REPEAT: Final = re.compile(r"(\)?)\{(\d+)")


class BadPattern(PynetError):
    """It is not taken; says what is wrong with it."""


class Pattern:
    """Matches names, until it has used up its time."""

    def __init__(self, pattern: str, budget_s: float = BUDGET_S) -> None:
        """Raises:
        BadPattern: No regular expression, or one that costs too much.
        """
        self._left_s = budget_s
        self._budget_s = budget_s
        if len(pattern) > MAX_PATTERN_CHARS:
            raise BadPattern(f"regex of {len(pattern)} characters, limit {MAX_PATTERN_CHARS}")
        try:
            flags = re.compile(pattern).flags
            if flags & re.VERBOSE or "(?#" in pattern:  # they could hide a repeat from _steps
                raise BadPattern("a regex for files may not hold comments or be verbose")
            if (steps := _steps(pattern)) > MAX_STEPS:
                raise BadPattern(f"regex repeats things {steps} times, limit {MAX_STEPS}")
            self._compiled = regex.compile(pattern, regex.VERSION0)
        except (re.error, regex.error, RecursionError, OverflowError, ValueError, FutureWarning) as exc:
            raise BadPattern(f"not a regex: {exc}") from exc

    def matches(self, name: str) -> bool:
        """As `re.match`: from the beginning of the name, not necessarily to its end.

        Raises:
            BadPattern: It takes too long.
        """
        began = time.perf_counter()
        try:
            # concurrent: without it a slow match stops every other thread of this program.
            return bool(self._compiled.match(name, timeout=max(self._left_s, 1e-6), concurrent=True))
        except (TimeoutError, MemoryError) as exc:
            raise BadPattern(f"regex takes longer than {self._budget_s:g} s; make it simpler") from exc
        finally:
            self._left_s -= time.perf_counter() - began


def _steps(pattern: str) -> int:
    """At least as many as its parts and their repeats unroll to.

    A repeated group stands for all that is in it, so its number counts for the whole pattern.
    """
    groups, single = [], len(pattern)
    for match in _REPEAT.finditer(pattern):
        if match[1]:
            groups.append(max(1, int(match[2])))
        else:
            single += int(match[2])
    return single * math.prod(groups)
