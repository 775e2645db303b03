"""What every verb shares: how a result is told, how a mistake is, and the exit codes.

A result is lines for people, or with `--json` one object a line, for programs.
Needs click alone: who draws tables imports `cli_table` too, who calls a gateway `cli_gateway`.
"""

from __future__ import annotations

import base64
import datetime
import io
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pynet_core.errors import PynetError

# What each means to a caller is in docs/reference/command-line.md; 2, wrong use, is click's own.
EXIT_FAILED: Final = 1
EXIT_SOME_FAILED: Final = 3  # of verbs that move files
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell has it
PORT: Final = click.IntRange(1, 65535)  # to call
HIDDEN: Final = "�"  # in place of what would move the cursor, ring, or change colours

_F = TypeVar("_F", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A number in a range; click takes a NaN for one, which compares with no limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


def json_option(what: str = "for programs: one object a line") -> Callable[[_F], _F]:
    """The option --json, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def tell(record: object) -> None:
    """Write one result for programs, now: a line of JSON.

    Bytes are in base64, dates as in ISO 8601; null stands for a number that is none.
    """
    click.echo(json.dumps(_plain(record), allow_nan=False))


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return None
        case None | str() | int() | float():
            return value
        case datetime.date() | datetime.time():
            return value.isoformat()
    return str(value)


def printable(text: str) -> str:
    """What others have sent, fit for a terminal: one line that changes no colour and moves no cursor."""
    return "".join(char if char.isprintable() else " " if char.isspace() else HIDDEN for char in text)


def run(
    command: click.Command,
    words: Sequence[str],
    program: str,
    *,
    speaker: str = "",
    code_of: Callable[[PynetError], int] = lambda exc: EXIT_FAILED,
) -> int:
    """Do what a command line says; returns the exit code.

    What went wrong is one sentence on stderr, after `speaker` (the program
    when empty); `code_of` says what exit code an error of ours is.
    """
    speaker = speaker or program
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A terminal of few letters gets \xb5 in place of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command.main(list(words), prog_name=program, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            return _fail(speaker, "nobody is here to ask: the input has ended", EXIT_FAILED)
        return EXIT_INTERRUPTED
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else EXIT_FAILED
    except PynetError as exc:
        return _fail(speaker, str(exc), code_of(exc))
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        return _fail(speaker, f"{where}{exc.strerror or exc}", EXIT_FAILED)
    return code if isinstance(code, int) else 0


def _open_what_is_closed() -> None:
    """A program started with `>&-` has no stdout: one then that refuses all that is written to it.

    Else a socket could get its number, and what looks at `sys.stdout` would fail.
    """
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115  as long as we live
    if sys.stdout is None:
        refusing = io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")
        sys.stdout = io.TextIOWrapper(refusing, write_through=True)  # as python -u
    if sys.stderr is None:  # print would write to stdout
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  as long as we live


def _fail(speaker: str, sentence: str, code: int) -> int:
    print(f"{speaker}: {printable(sentence)}", file=sys.stderr, flush=True)
    return code
