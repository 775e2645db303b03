"""Which files of a tree a person means: patterns in gitignore's syntax, and ages.  Pure.

Patterns are only ever the caller's own, matched at the caller: one from a peer
could hang whoever matches it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import pathspec

from pynet_core.transfer.options import Found, Select

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class Choice:
    """Says yes to a file of that age that some `include` matches, or there is none, and no `exclude`.

    `newer_ns`, `older_ns`: ns since 1970; a file has to be strictly newer, or
    older.  A folder is gone into unless it is excluded: what is meant may be in it.
    """

    def __init__(
        self,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        *,
        newer_ns: int | None = None,
        older_ns: int | None = None,
    ) -> None:
        """Raises ValueError when a pattern is none, TypeError for one without its list; it says which."""
        for patterns in (include, exclude):
            if isinstance(patterns, str):  # each letter would be a pattern, and * is all
                raise TypeError(f"patterns are a list, got {patterns!r}: write [...] around it")
        include = list(include)
        self._include = _compiled(include) if include else None
        self._exclude = _compiled(exclude)
        self._newer_ns = newer_ns
        self._older_ns = older_ns

    def __call__(self, found: Found, /) -> bool:
        if found.kind == "folder":
            return not self._exclude.match_file(f"{found.path}/")
        if self._exclude.match_file(found.path):
            return False
        if self._include is not None and not self._include.match_file(found.path):
            return False
        if self._newer_ns is not None and found.mtime_ns <= self._newer_ns:
            return False
        return self._older_ns is None or found.mtime_ns < self._older_ns


def choice(
    include: Iterable[str], exclude: Iterable[str], newer_ns: int | None, older_ns: int | None
) -> Select | None:
    """None when everything is meant."""
    include, exclude = list(include), list(exclude)
    if not include and not exclude and newer_ns is None and older_ns is None:
        return None
    return Choice(include, exclude, newer_ns=newer_ns, older_ns=older_ns)


def _compiled(patterns: Iterable[str]) -> pathspec.GitIgnoreSpec:
    patterns = list(patterns)
    for pattern in patterns:  # one by one, to say which
        try:
            pathspec.GitIgnoreSpec.from_lines([pattern])
        except (ValueError, re.error) as exc:
            raise ValueError(f"{pattern!r} is no pattern of gitignore's: {exc}") from exc
    return pathspec.GitIgnoreSpec.from_lines(patterns)


def instant_ns(text: str, now_ns: int) -> int:
    """When "90s", "15m", "12h", "3d" or "2w" ago was, or "2026-01-31T12:00": a time of ours without a zone.

    Raises:
        ValueError: Neither.
    """
    try:
        if match := _AGE.fullmatch(text.strip()):
            return now_ns - round(float(match[1]) * _UNITS_S[match[2]] * 1e9)
        return round(datetime.fromisoformat(text.strip()).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is neither an age like 90s, 12h, 3d or 2w nor a date like 2026-01-31"
        ) from None
