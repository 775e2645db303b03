"""Reads a TOML document into dataclasses, and tells all that is wrong with it and on which line.

The annotations of the dataclasses are the rules (`config.AgentConfig` has
them); nothing here knows what a setting means.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

MAX_TABLES: Final = 16  # of one kind: more than a car has heads
SHOWN_CHARS: Final = 60  # of a wrong value

Settings = Mapping[str, object]  # one plugin's own section, as TOML has it: the plugin checks it
KeyPath = tuple[str | int, ...]  # ("proximity", "heads", 2, "echo_pin")
_T = TypeVar("_T")
_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*([\w\-"'. ]+?)\s*=""")
_AT_LINE: Final = re.compile(r"at line (\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a settings file, and where."""

    file: str
    line: int  # from 1; 0 where no line is to blame
    key: str  # dotted: "proximity.heads[1].echo_pin"; '' is the file as a whole
    text: str  # what was found and what is allowed

    def __str__(self) -> str:
        return ": ".join(
            filter(None, [f"{self.file}:{self.line}" if self.line else self.file, self.key, self.text])
        )


def parse_toml(text: str, file: str) -> tuple[dict[str, Any], Problem | None]:
    """The document; or why it is none."""
    try:
        return tomllib.loads(text), None
    except tomllib.TOMLDecodeError as exc:
        at = _AT_LINE.search(str(exc))  # else it says: at end of document
        return {}, Problem(file, int(at[1]) if at else text.count("\n") + 1, "", f"not TOML: {exc}")
    except ValueError as exc:  # a number of more than 4300 digits
        return {}, Problem(file, 0, "", f"not TOML: {exc}")
    except RecursionError:
        return {}, Problem(file, 0, "", "not TOML: nested too deeply")


class ConfigReader:
    """Walks a parsed document along the dataclasses and knows where each key was written.

    What is wrong is noted in `problems` and stands as None in what is built,
    so that the rest is looked at too; with a problem use none of it.
    """

    def __init__(self, text: str, file: str) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._file = file

    def build(self, kind: type[_T], table: object, path: KeyPath = ()) -> _T:
        if not isinstance(table, dict):
            self._wrong(path, table, "a table")
            table = {}
        hints = get_type_hints(kind, include_extras=True)
        self._check_keys(path, table, hints, "setting")
        values = {key: self._value(hints[key], table[key], (*path, key)) for key in hints if key in table}
        for entry in dataclasses.fields(kind):  # type: ignore[arg-type]  # _T is always one of our dataclasses
            required = entry.default is entry.default_factory is dataclasses.MISSING
            if required and entry.name not in values:
                self._note(path, f"{entry.name!r} is missing: {_allowed(hints[entry.name])}")
                values[entry.name] = None
        return kind(**values)

    def _value(self, hint: Any, value: object, path: KeyPath) -> object:
        if dataclasses.is_dataclass(hint):
            return self.build(hint, value, path)  # type: ignore[arg-type]
        if get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]):
            if not isinstance(value, list) or len(value) > MAX_TABLES:
                self._wrong(path, value, f"at most {MAX_TABLES} tables, each headed [[{_dotted(path)}]]")
                return ()
            return tuple(self.build(get_args(hint)[0], item, (*path, i)) for i, item in enumerate(value))
        if get_origin(hint) is Mapping:
            return self._sections(value, path)
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            self._wrong(path, value, _allowed(hint))
            return None

    def _sections(self, value: object, path: KeyPath) -> Mapping[str, Settings]:
        if not isinstance(value, dict):
            self._wrong(path, value, f"tables, each headed [{_dotted(path)}.NAME]")
            return {}
        for name, section in value.items():
            if not isinstance(section, dict):
                self._wrong((*path, name), section, f"a table headed [{_dotted(path)}.{name}]")
        return value

    def check_known(self, table: str, used: Iterable[str], known: Iterable[str], what: str) -> None:
        """Note each key of this top-level table that is not known."""
        self._check_keys((table,), used, known, what)

    def _check_keys(self, path: KeyPath, used: Iterable[str], known: Iterable[str], what: str) -> None:
        known = list(known)
        for key in used:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                self._note((*path, key), f"no such {what}; {hint}known here: {', '.join(known)}")

    def check(self, faults: Iterable[tuple[KeyPath, str]]) -> None:
        """Note each of these: (where, what is wrong)."""
        for path, text in faults:
            self._note(path, text)

    def check_unique(self, used: Iterator[tuple[KeyPath, str | int]]) -> None:
        """Note each value that an earlier setting has already."""
        seen: dict[str | int, KeyPath] = {}
        for path, value in used:
            if value in seen:
                here, other = path, seen[value]
                if self._find(here)[1] < len(here):  # a default: what the person wrote is the other one
                    here, other = other, here
                self._wrong(here, value, f"any that {_dotted(other)} does not use already")
            seen.setdefault(value, path)

    def _wrong(self, path: KeyPath, found: object, allowed: str) -> None:
        text = repr(found)
        text = text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
        self._note(path, f"found {text}, allowed is {allowed}")

    def _note(self, path: KeyPath, problem: str) -> None:
        self.problems.append(Problem(self._file, self._find(path)[0], _dotted(path), problem))

    def _find(self, path: KeyPath) -> tuple[int, int]:
        """The line that writes most of this path, and how much of it; tomllib does not tell."""
        best, best_length = 1, 0
        table: KeyPath = ()
        tables_named: Counter[str] = Counter()
        for number, line in enumerate(self._text.split("\n"), 1):
            if header := _HEADER.match(line):
                brackets, name = header.groups()
                table = written = _split(name)
                if brackets == "[[":
                    table = written = (*table, tables_named[name])
                    tables_named[name] += 1
            elif key := _KEY.match(line):
                written = (*table, *_split(key[1]))
            else:
                continue
            if len(written) > best_length and written == path[: len(written)]:
                best, best_length = number, len(written)
        return best, best_length


def _split(dotted: str) -> KeyPath:
    return tuple(part.strip(" \"'") for part in dotted.split("."))


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _allowed(hint: Any) -> str:
    """The annotation in words: "a whole number from 100 to 1000"."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return ", or ".join(_allowed(arg) for arg in get_args(hint) if arg is not types.NoneType)
    if hint is bool:
        return "true or false"
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} values in brackets, each {_allowed(get_args(hint)[0])}"
    kind, meta = get_args(hint)
    if kind is str and meta.extra:
        return str(meta.extra["unit"])
    if kind is str:
        return f"a text of {meta.min_length or 0} to {meta.max_length} characters in quotes"
    noun = (meta.extra or {}).get("unit", "a whole number" if kind is int else "a number")
    low = f"from {meta.ge}" if meta.gt is None else f"above {meta.gt}, up"
    return f"{noun} {low} to {meta.le}"
