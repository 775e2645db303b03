"""`pynet call` and `pynet send`: run a function on a gateway."""

from __future__ import annotations

from typing import BinaryIO

import click

from pynet_core.cli_frame import json_option, tell
from pynet_core.cli_gateway import Remote, asks_gateway, complete_function
from pynet_core.cli_values import TAKES_KEYWORDS, readable, typed_arguments, write_result


@click.command(context_settings=TAKES_KEYWORDS, short_help="Call a function of a gateway.")
@asks_gateway()
@click.argument("name", shell_complete=complete_function)
@click.argument("words", nargs=-1, metavar="[ARGUMENT]... [--KEY=VALUE]...")
@click.option("--output", type=click.File("wb", lazy=True, atomic=True), help="a file for the result")
@json_option("for programs: one object")
def call(remote: Remote, name: str, words: tuple[str, ...], output: BinaryIO | None, as_json: bool) -> None:
    """Call the function NAME of the gateway on HOST, and write what it returns.

    An ARGUMENT that is JSON (3, true, '[1, 2]', '"3"') arrives as that, any
    other as text.  What it returns goes to stdout as it is; a terminal shows
    what can be read of it.  Put -- before a keyword that is also an option here.
    """
    arguments, keywords = typed_arguments(words)
    with remote.client() as client:
        result = client.get_subroutine_batch(name, arguments, **keywords)
    if output is not None:
        output.write(result)
    if as_json:
        said = {"bytes": len(result)} if output is not None else readable(result)
        tell({"name": name, "ident": result.ident, **said})
    elif output is None:
        write_result(result)


@click.command(context_settings=TAKES_KEYWORDS, short_help="Send bytes to a function of a gateway.")
@asks_gateway()
@click.argument("name", shell_complete=complete_function)
@click.argument("file", type=click.File("rb"), default="-")
@click.argument("words", nargs=-1, metavar="[ARGUMENT]... [--KEY=VALUE]...")
@json_option("for programs: one object")
def send(remote: Remote, name: str, file: BinaryIO, words: tuple[str, ...], as_json: bool) -> None:
    """Send the bytes of FILE, or of stdin, to the function NAME of the gateway on HOST.

    It finds them in its keyword `buffer`; the whole number that it returns is
    written.  Arguments and keywords are typed as with `pynet call`.
    """
    arguments, keywords = typed_arguments(words)
    buffer = file.read()
    with remote.client() as client:
        result = client.send_subroutine_batch(name, buffer, arguments, **keywords)
    if as_json:
        tell({"name": name, "result": result, "bytes": len(buffer)})
    else:
        click.echo(result)
