"""`pynet ls`: what a gateway offers."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from pynet_core.cli_frame import json_option, tell
from pynet_core.cli_gateway import PATIENCE_S, Remote, asks_gateway
from pynet_core.cli_table import show_table
from pynet_core.offering import Offering


@click.command("ls")
@asks_gateway()
@json_option("for programs: one object for each")
def ls_(remote: Remote, as_json: bool) -> None:
    """List the subroutines of the gateway on HOST.

    A stream is for `pynet stream`, a function for `pynet call` and `pynet send`.
    """
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
