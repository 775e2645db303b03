"""What all verbs that move files do: move until Ctrl-C, and say what has come of it, or what would move."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from pynet_core.cli_frame import EXIT_INTERRUPTED, EXIT_SOME_FAILED, printable, tell
from pynet_core.cli_progress import no_progress, shown_progress
from pynet_core.cli_wish import Wish
from pynet_core.controller import Controller
from pynet_core.errors import FilesCancelled, FilesError, FilesInterrupted
from pynet_core.transfer.jail import Roots, without_dots
from pynet_core.transfer.messages import Missed, Tree
from pynet_core.transfer.options import Found, Moved, OnTreeProgress, Options
from pynet_core.transfer.plan import as_text
from pynet_core.transfer.walk import Walk, shown

GO_ON: Final = "the same command goes on from here"
MAX_SAID: Final = 100  # failures on a terminal; --json has all that are known

StateOf = Callable[[str], tuple[int, int] | None]  # bytes and ns since 1970 of a path as it lands
Transfer = Callable[[OnTreeProgress | None, threading.Event], Moved]


def carry_out(transfer: Transfer, wish: Wish) -> int:
    """Move, showing how far it is; say what has come of it.  Returns the exit code."""
    progress = no_progress() if wish.quiet or wish.as_json else shown_progress()
    try:
        with progress as on_progress, _until_ctrl_c() as cancel:
            moved = transfer(on_progress, cancel)
    except FilesError as exc:
        # A Moved in which something has failed is false.
        lost = isinstance(exc, FilesInterrupted)
        _say(Moved() if exc.moved is None else exc.moved, exc.failed, wish, lost=lost)
        if isinstance(exc, FilesCancelled):
            click.echo(f"stopped; {GO_ON}", err=True)
            return EXIT_INTERRUPTED
        if lost:
            why = printable(str(exc.__cause__ or exc))
            click.echo(f"pynet: not all has arrived, the pair was lost: {why}; {GO_ON}", err=True)
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


def _say(moved: Moved, failed: dict[str, str], wish: Wish, *, lost: bool = False) -> None:
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
                "lost": lost,
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


def missing(found: Iterable[Found], state_of: StateOf, options: Options) -> Iterator[Found]:
    """Of these, what has not arrived yet; with `checksum` files of the same size and time too."""
    for one in found:
        state = state_of(one.path)
        if state is None or (one.kind == "file" and (options.checksum or state != (one.size, one.mtime_ns))):
            yield one


def _lands_as(path: str) -> str:
    return Path(os.fsdecode(without_dots(os.fsencode(path)))).absolute().name


def here(into: str) -> StateOf:
    """What is in that folder of this machine."""

    def state_of(path: str) -> tuple[int, int] | None:
        try:
            found = Path(into, path).lstat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    return state_of


def there(controller: Controller, sources: Sequence[str], into: str) -> StateOf:
    """What is in that folder below the gateway's download folder, of what these sources would land as."""
    folder = f"{into.rstrip('/')}/"
    names = {"" if path.endswith("/") else _lands_as(path) for path in sources}
    states: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(FilesError):  # what is not there, or cannot be seen, is missing
        for one in controller.list_files(
            [folder + name for name in names], options=Options(symlinks="keep"), landed=True
        ):
            states[one.path] = one.size, one.mtime_ns
    return states.get


def local(sources: Sequence[str], options: Options) -> Iterator[Found]:
    """What is meant of these folders and files here.

    Raises:
        FilesError: At the end: some could not be looked at.
    """
    tree = Tree(
        sources=[without_dots(os.fsencode(source)) for source in sources],
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
