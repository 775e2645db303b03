"""What a person asks of a transfer: the options of all verbs that move files, read into one Wish."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import click

from pynet_core.cli_frame import json_option
from pynet_core.transfer.choosing import choice, instant_ns
from pynet_core.transfer.options import MAX_PAIRS, Compress, Fsync, Options, Select

MAX_RATE: Final = 1e15  # bytes a second; beyond any link, and a float knows them to the byte
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)([kmgKMG]?)")
_SCALE: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a transfer."""

    options: Options
    named: Select | None  # as `options.select`, but of any age
    pairs: int | None
    dry_run: bool
    quiet: bool
    as_json: bool


def named(context: click.Context, argument: click.Parameter, typed: tuple[str, ...]) -> tuple[str, ...]:
    """Paths, each of which is one.

    Raises:
        click.BadParameter: One is empty: an unset variable must not mean all that is here.
    """
    if "" in typed:
        raise click.BadParameter("a path is empty; . is the folder itself")
    return typed


def _rate(context: click.Context, option: click.Parameter, typed: str | None) -> int | None:
    """Bytes a second.

    Raises:
        click.BadParameter: That is none.
    """
    if typed is None:
        return None
    match = _RATE.fullmatch(typed)
    rate = float(match[1]) * _SCALE[match[2].lower()] if match else 0.0
    if not 1 <= rate <= MAX_RATE:
        raise click.BadParameter(f"{typed!r} is no number of bytes a second, like 500k or 2M")
    return int(rate)


def _lines(path: Path) -> list[str]:
    """Raises click.UsageError when it is no text."""
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as exc:
        raise click.UsageError(f"{path}: patterns are UTF-8 text: {exc}") from exc


# --help lists them from the last to the first.
_OPTIONS: Final = (
    json_option("for programs: an object for each file that failed, and one at the end"),
    click.option("--quiet", "-q", is_flag=True, help="no progress and no last line"),
    click.option("--dry-run", "-n", is_flag=True, help="say what would move, and move nothing"),
    click.option(
        "--pairs", type=click.IntRange(1, MAX_PAIRS), help="connections  [default: what is fastest]"
    ),
    click.option("--move", is_flag=True, help="remove files at the source when they have arrived, verified"),
    click.option(
        "--compress",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="auto: what shrinks, where the link is slow",
    ),
    click.option(
        "--limit", metavar="RATE", callback=_rate, help="bytes a second, all pairs together: 500k, 2M"
    ),
    click.option(
        "--fsync",
        type=click.Choice(get_args(Fsync)),
        default="none",
        show_default=True,
        help="outlast a power cut",
    ),
    click.option("--preserve/--no-preserve", default=True, help="permission bits  [default: preserve]"),
    click.option("--links", is_flag=True, help="symbolic links too, as links; else they are skipped"),
    click.option("--checksum", "-c", is_flag=True, help="compare contents, not sizes and times"),
    click.option("--older", metavar="WHEN", default="", help="only files older than this"),
    click.option(
        "--newer",
        metavar="WHEN",
        default="",
        help="only files newer than this: an age like 90s, 12h, 3d or 2w, or 2026-01-31T12:00",
    ),
    click.option(
        "--exclude-from",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        help="a file of patterns to leave out, as .gitignore",
    ),
    click.option("--exclude", metavar="PATTERN", multiple=True, help="leave these out, as in .gitignore"),
    click.option("--include", metavar="PATTERN", multiple=True, help="only these, as in .gitignore"),
)


def moves_files(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a verb that moves files, which it gets as one `wish`."""

    @functools.wraps(verb)
    def asking(
        *arguments: Any,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        exclude_from: tuple[Path, ...],
        newer: str,
        older: str,
        checksum: bool,
        links: bool,
        preserve: bool,
        fsync: Fsync,
        limit: int | None,
        compress: Compress,
        move: bool,
        pairs: int | None,
        dry_run: bool,
        quiet: bool,
        as_json: bool,
        **others: Any,
    ) -> Any:
        exclude = (*exclude, *(line for path in exclude_from for line in _lines(path)))
        now_ns = time.time_ns()
        try:
            select = choice(
                include,
                exclude,
                instant_ns(newer, now_ns) if newer else None,
                instant_ns(older, now_ns) if older else None,
            )
        except ValueError as exc:
            raise click.UsageError(str(exc)) from exc
        options = Options(
            select=select,
            symlinks="keep" if links else "skip",
            preserve=preserve,
            fsync=fsync,
            checksum=checksum,
            limit_bytes_per_s=limit,
            compress=compress,
            delete_source=move,
        )
        named = choice(include, exclude, None, None)
        return verb(*arguments, wish=Wish(options, named, pairs, dry_run, quiet, as_json), **others)

    for option in _OPTIONS:
        asking = option(asking)
    return asking
