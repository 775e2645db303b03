"""What all verbs that move files share: their options, what they say in the end, and Ctrl-C."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from pynet_core.cli_frame import EXIT_INTERRUPTED, EXIT_SOME_FAILED, json_option, printable, tell
from pynet_core.cli_progress import no_progress, shown_progress
from pynet_core.errors import FilesCancelled, FilesError
from pynet_core.transfer.choosing import choice, instant_ns
from pynet_core.transfer.jail import Roots
from pynet_core.transfer.messages import Missed, Tree
from pynet_core.transfer.options import MAX_PAIRS, Found, Moved, OnTreeProgress, Options, Select
from pynet_core.transfer.plan import as_text
from pynet_core.transfer.walk import Walk, shown

GO_ON: Final = "the same command goes on from here"
MAX_SAID: Final = 100  # failures on a terminal; --json has all that are known
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)([kmgKMG]?)")
_SCALE: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}

Transfer = Callable[[OnTreeProgress | None, threading.Event], Moved]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a transfer."""

    options: Options
    named: Select | None  # as `options.select`, but of any age
    pairs: int | None
    dry_run: bool
    quiet: bool
    as_json: bool


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
        fsync: Any,
        limit: int | None,
        compress: Any,
        move: bool,
        pairs: int | None,
        dry_run: bool,
        quiet: bool,
        as_json: bool,
        **others: Any,
    ) -> Any:
        exclude = (*exclude, *(line for path in exclude_from for line in path.read_text().splitlines()))
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

    for parameter in (
        json_option("for programs: an object for each file that failed, and one at the end"),
        click.option("--quiet", "-q", is_flag=True, help="no progress and no last line"),
        click.option("--dry-run", "-n", is_flag=True, help="say what would move, and move nothing"),
        click.option(
            "--pairs", type=click.IntRange(1, MAX_PAIRS), help="connections  [default: what is fastest]"
        ),
        click.option(
            "--move", is_flag=True, help="remove files at the source when they have arrived, verified"
        ),
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
            type=click.Choice(["none", "end", "each"]),
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
    ):
        asking = parameter(asking)
    return asking


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
    rate = int(float(match[1]) * _SCALE[match[2].lower()]) if match else 0
    if rate < 1:
        raise click.BadParameter(f"{typed!r} is no number of bytes a second, like 500k or 2M")
    return rate


def carry_out(transfer: Transfer, wish: Wish) -> int:
    """Move, showing how far it is; say what has come of it.  Returns the exit code."""
    progress = no_progress() if wish.quiet or wish.as_json else shown_progress()
    try:
        with progress as on_progress, _until_ctrl_c() as cancel:
            moved = transfer(on_progress, cancel)
    except FilesError as exc:
        # A Moved in which something has failed is false.
        _say(Moved() if exc.moved is None else exc.moved, exc.failed, wish)
        if isinstance(exc, FilesCancelled):
            click.echo(f"stopped; {GO_ON}", err=True)
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED
    _say(moved, moved.failed, wish)
    return EXIT_SOME_FAILED if moved.failed else 0


@contextlib.contextmanager
def _until_ctrl_c() -> Iterator[threading.Event]:
    """The first Ctrl-C sets it; the second ends the program as ever."""
    cancel = threading.Event()

    def stop(number: int, frame: object) -> None:
        cancel.set()
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():  # only there can signals be heard
        yield cancel
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def _say(moved: Moved, failed: dict[str, str], wish: Wish) -> None:
    _say_failed(failed, wish)
    if wish.as_json:
        tell(
            {
                "files": moved.files,
                "bytes": moved.bytes,
                "same": moved.same,
                "folders": moved.folders,
                "links": moved.links,
                "failed": max(moved.failed_count, len(failed)),
                "skipped": len(moved.skipped),
                "seconds": round(moved.seconds, 3),
                "pairs": len(moved.pair_bytes),
            }
        )
    elif not wish.quiet:
        click.echo(summary(moved, max(moved.failed_count, len(failed))))


def _say_failed(failed: dict[str, str], wish: Wish) -> None:
    if wish.as_json:
        for path, reason in failed.items():
            tell({"path": path, "reason": reason})
        return
    for path, reason in list(failed.items())[:MAX_SAID]:
        click.echo(f"pynet: {printable(path)}: {printable(reason)}", err=True)
    if len(failed) > MAX_SAID:
        click.echo(f"pynet: and {len(failed) - MAX_SAID} more; --json names them", err=True)


def summary(moved: Moved, failed: int) -> str:
    """One line for people."""
    rate = moved.bytes / moved.seconds if moved.seconds else 0.0
    parts = [f"{moved.files:,} files, {size(moved.bytes)} in {moved.seconds:.2f} s ({size(rate)}/s)"]
    if moved.same:
        parts.append(f"{moved.same:,} were there already")
    if moved.skipped:
        parts.append(f"{len(moved.skipped):,} skipped, which are no files")
    if failed:
        parts.append(f"{failed:,} failed")
    return "; ".join(parts)


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            break
        count, unit = count / 1000, "TB"
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def list_dry(found: Iterable[Found], wish: Wish) -> int:
    """Say what would move; returns the exit code."""
    files = total = 0
    try:
        for one in found:
            if one.kind == "file":
                files += 1
                total += one.size
            if wish.as_json:
                tell({"path": one.path, "kind": one.kind, "bytes": one.size})
            elif one.kind != "folder":
                click.echo(printable(one.path))
    except FilesError as exc:
        _say_failed(exc.failed, wish)
        return EXIT_SOME_FAILED
    if not wish.as_json and not wish.quiet:
        click.echo(f"would move {files:,} files, {size(total)}", err=True)
    return 0


def missing(found: Iterable[Found], into: Path, checksum: bool) -> Iterator[Found]:
    """Of these, what is not in the folder yet; with `checksum` files of the same size and time too."""
    for one in found:
        try:
            there = (into / one.path).lstat()
        except OSError:
            yield one
            continue
        if one.kind == "file" and (
            checksum or (there.st_size, there.st_mtime_ns) != (one.size, one.mtime_ns)
        ):
            yield one


def local(sources: Sequence[str], options: Options) -> Iterator[Found]:
    """What is meant of these folders and files here.

    Raises:
        FilesError: At the end: some could not be looked at.
    """
    tree = Tree(
        sources=[os.fsencode(source) for source in sources],
        recursive=options.recursive,
        links=options.symlinks == "keep",
    )
    failed: dict[str, str] = {}
    for _, one in Walk(tree, Roots(None), options.select).run():
        if not isinstance(one, Missed):
            yield shown(one)
        elif one.wanted:
            failed[as_text(one.path)] = one.reason
    if failed:
        raise FilesError(failed, what=f"{len(failed)} could not be looked at")
