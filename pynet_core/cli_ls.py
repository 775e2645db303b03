"""`pynet ls`: what a gateway offers."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from pynet_core.cli_frame import json_option, tell
from pynet_core.cli_gateway import PATIENCE_S, Remote, asks_gateway
from pynet_core.cli_listing import list_paths
from pynet_core.cli_table import show_table
from pynet_core.offering import Offering


@click.command("ls", short_help="List what a gateway offers, or the files there.")
@asks_gateway()
@click.argument("paths", nargs=-1)
@click.option("--long", "-l", is_flag=True, help="of PATHS: permissions, bytes and time too")
@click.option("--recursive", "-r", is_flag=True, help="of PATHS: what is in folders in them too")
@click.option("--landed", is_flag=True, help="PATHS are below the download folder there")
@json_option("for programs: one object for each")
def ls_(
    remote: Remote, paths: tuple[str, ...], long: bool, recursive: bool, landed: bool, as_json: bool
) -> None:
    """List the subroutines of the gateway on HOST, or the files and folders at PATHS there.

    A stream is for `pynet stream`, a function for `pynet call` and `pynet send`.
    """
    if not landed and "" in paths:
        raise click.UsageError("a path is empty; . is the folder itself")
    if paths:
        raise SystemExit(
            list_paths(remote, paths, long=long, recursive=recursive, landed=landed, as_json=as_json)
        )
    if long or recursive or landed:
        raise click.UsageError("--long, --recursive and --landed are of files: name a PATH")
    with remote.client(patience_s=PATIENCE_S) as client:
        offered = client.list_subroutines()
    if as_json:
        for each in offered:
            tell(msgspec.to_builtins(each))
    elif offered:
        show_table(("subroutine", "kind", "role", ""), [tuple(_cells(each)) for each in offered])
    else:
        click.echo(f"the gateway at {remote} offers nothing", err=True)


def _cells(offered: Offering) -> Iterator[str]:
    yield f"{offered.name}{offered.signature}"
    shared = ", shared" if offered.shared else ""
    newest = ", newest only" if offered.keep == "latest" else ""
    yield f"{offered.kind}{shared}{newest}"
    yield offered.role if offered.allowed else f"{offered.role} (not yours)"
    yield offered.doc
