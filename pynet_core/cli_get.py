"""`pynet get`, `pynet put`: files and whole folders, over many pairs."""

from __future__ import annotations

import click

from pynet_core.cli_files import carry_out, here, list_dry, local, missing, there
from pynet_core.cli_gateway import Remote, asks_gateway
from pynet_core.cli_wish import Wish, moves_files, named


@click.command(short_help="Copy files and folders of another machine to this one.")
@asks_gateway(has_timeout=False)
@click.argument("sources", nargs=-1, required=True, callback=named)
@click.option(
    "--into", default=".", metavar="FOLDER", help="a folder here, made if need be  [default: this one]"
)
@moves_files
def get(remote: Remote, sources: tuple[str, ...], into: str, wish: Wish) -> None:
    """Copy SOURCES, files and folders of the machine HOST, to this one.

    `logs` lands as a folder of that name, `logs/` as what is in it.  What is
    here already is not sent again.  Exit code 3 when some did not arrive.
    """
    controller, options = remote.controller(), wish.options
    if wish.dry_run:
        found = controller.list_files(sources, options=options)
        raise SystemExit(list_dry(missing(found, here(into), options), wish))
    raise SystemExit(
        carry_out(
            lambda on_progress, cancel: controller.get_files(
                sources, into, pairs=wish.pairs, options=options, on_progress=on_progress, cancel=cancel
            ),
            wish,
        )
    )


@click.command(short_help="Copy files and folders of this machine to another one.")
@asks_gateway(has_timeout=False)
@click.argument("sources", nargs=-1, required=True, type=click.Path(), callback=named)
@click.option("--into", default="", metavar="FOLDER", help="in the download folder there, made if need be")
@moves_files
def put(remote: Remote, sources: tuple[str, ...], into: str, wish: Wish) -> None:
    """Copy SOURCES, files and folders of this machine, to the download folder of the machine HOST.

    `logs` lands as a folder of that name, `logs/` as what is in it.  What is
    there already is not sent again.  Exit code 3 when some did not arrive.
    """
    controller = remote.controller()
    if wish.dry_run:
        found = missing(local(sources, wish.options), there(controller, sources, into), wish.options)
        raise SystemExit(list_dry(found, wish))
    raise SystemExit(
        carry_out(
            lambda on_progress, cancel: controller.put_files(
                sources,
                into,
                pairs=wish.pairs,
                options=wish.options,
                on_progress=on_progress,
                cancel=cancel,
            ),
            wish,
        )
    )
