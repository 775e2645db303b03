"""`pynet sync`: make one folder like another on a second machine; what is too many goes only when told to."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

import click

from pynet_core.cli_files import carry_out, here, list_dry, local, missing, there
from pynet_core.cli_frame import EXIT_SOME_FAILED, printable, tell
from pynet_core.cli_gateway import Remote, asks_gateway
from pynet_core.cli_wish import Wish, moves_files
from pynet_core.controller import Controller
from pynet_core.errors import FilesError
from pynet_core.transfer.jail import PART_SUFFIX
from pynet_core.transfer.options import Found
from pynet_core.transfer.removing import remove_here

MAX_SHOWN: Final = 20  # of what would be deleted, on a terminal; --dry-run lists all


@click.command(short_help="Make a folder here like one there, or that one like ours.")
@asks_gateway(has_timeout=False)
@click.argument("source")
@click.argument("into")
@click.option("--up", is_flag=True, help="SOURCE is here, INTO in the download folder there")
@click.option("--delete", "deletes", is_flag=True, help="delete what only INTO has, after showing it")
@click.option("--yes", "-y", is_flag=True, help="with --delete: do not ask")
@moves_files
def sync(remote: Remote, source: str, into: str, up: bool, deletes: bool, yes: bool, wish: Wish) -> None:
    """Make folder INTO here like folder SOURCE on the machine HOST.

    What is the same is not sent again.  With --delete, files in INTO that
    SOURCE has not are shown first, and deleted when all has arrived and SOURCE
    still has not got them; what --exclude or another choice leaves out is never
    deleted.  Exit code 3 when some did not arrive.
    """
    if deletes and wish.options.delete_source:
        raise click.UsageError("--move empties SOURCE, and --delete would then delete all in INTO; give one")
    if not source or not (into or up):
        raise click.UsageError("a folder without a name: . is the one you are in")
    controller, options = remote.controller(), wish.options
    source = f"{source.rstrip('/')}/"
    doomed = _too_many(controller, source, into, wish, up=up) if deletes else []
    if wish.dry_run:
        if up:
            found = missing(local((source,), options), there(controller, (source,), into), options)
        else:
            found = missing(controller.list_files(source, options=options), here(into), options)
        code = list_dry(found, wish)
        for one in doomed:
            tell({"delete": one.path}) if wish.as_json else click.echo(f"delete {printable(one.path)}")
        raise SystemExit(code)
    if doomed and not yes:
        _ask(doomed, into)

    code = carry_out(
        lambda on_progress, cancel: (controller.put_files if up else controller.get_files)(
            source, into, pairs=wish.pairs, options=options, on_progress=on_progress, cancel=cancel
        ),
        wish,
    )
    if doomed and code:
        click.echo("pynet: nothing was deleted, for not all has arrived", err=True)
    elif doomed:  # meanwhile some may have come to SOURCE, and from there
        now = {one.path for one in _too_many(controller, source, into, wish, up=up)}
        doomed = [one for one in doomed if one.path in now]
        code = _delete(controller, doomed, into, wish, up=up)
    raise SystemExit(code)


def _too_many(controller: Controller, source: str, into: str, wish: Wish, *, up: bool) -> list[Found]:
    """What INTO has and SOURCE has not.

    Raises:
        FilesError: As `extraneous`.
    """
    # Of any age, and links too: what SOURCE has is not too many, though it does not move.
    options = dataclasses.replace(wish.options, select=wish.named, symlinks="keep")
    wanted = local((source,), options) if up else controller.list_files(source, options=options)
    return extraneous(_there(controller, into, wish, up=up), wanted)


def extraneous(there: Iterable[Found], wanted: Iterable[Found]) -> list[Found]:
    """What is there and not wanted, what is in a folder before the folder.

    Raises:
        FilesError: Not all that is wanted could be seen, so nobody knows what is too many.
    """
    kinds = {one.path: one.kind for one in wanted}
    links = {path for path, kind in kinds.items() if kind == "link"}  # what they lead to may be in a folder
    found = [
        one
        for one in there
        if one.path not in kinds
        and PART_SUFFIX not in one.path
        and not (links and links.intersection(map(str, PurePosixPath(one.path).parents)))
    ]
    return found[::-1]  # a list has folders before what is in them


def _there(controller: Controller, into: str, wish: Wish, *, up: bool) -> Iterator[Found]:
    """What is in INTO.  What cannot be seen there, or is not there yet, is not deleted."""
    folder = f"{into.rstrip('/')}/"
    with contextlib.suppress(FilesError):
        if up:
            yield from controller.list_files(folder, options=wish.options, landed=True)
        else:
            yield from local((folder,), wish.options)


def _ask(doomed: list[Found], into: str) -> None:
    """Show what would be deleted, and go on only if somebody says yes.

    Raises:
        click.ClickException: Nobody is there to say so.
        SystemExit: Somebody said no.
    """
    for one in doomed[:MAX_SHOWN]:
        click.echo(f"delete {printable(one.path)}", err=True)
    if len(doomed) > MAX_SHOWN:
        click.echo(f"and {len(doomed) - MAX_SHOWN:,} more; --dry-run lists them all", err=True)
    if not sys.stdin.isatty():
        raise click.ClickException(f"{len(doomed):,} would be deleted in {into!r}: --yes says that they may")
    if not click.confirm(f"Delete these {len(doomed):,} in {into!r}, when all has arrived?", err=True):
        raise SystemExit(1)


def _delete(controller: Controller, doomed: list[Found], into: str, wish: Wish, *, up: bool) -> int:
    paths = [one.path for one in doomed]
    try:
        gone = controller.remove_files(paths, into) if up else remove_here(paths, into)
    except FilesError as exc:
        for path, reason in exc.failed.items():
            click.echo(f"pynet: {printable(path)}: {printable(reason)}", err=True)
        return EXIT_SOME_FAILED
    if wish.as_json:
        tell({"deleted": gone})
    elif not wish.quiet:
        click.echo(f"{gone:,} deleted")
    return 0
