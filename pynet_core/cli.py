"""The command `pynet VERB`: verbs are plugins of the entry-point group `pynet.commands`."""

from __future__ import annotations

import importlib.metadata
import statistics
import sys
import time
from typing import Final

import click

from pynet_core.controller import Controller
from pynet_core.errors import PynetError
from pynet_core.gateway import DEFAULT_PORT

VERBS: Final = "pynet.commands"
PING_PERIOD_S: Final = 0.1


class Verbs(click.Group):
    """Finds its commands among the installed packages; a broken one costs only itself."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(entry.name for entry in importlib.metadata.entry_points(group=VERBS))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        for entry in importlib.metadata.entry_points(group=VERBS, name=name):
            try:
                command = entry.load()
            except Exception as exc:  # somebody's plugin: say which, and go on without it
                raise click.ClickException(
                    f"the verb {name!r} of {entry.value} does not load: {exc}"
                ) from exc
            if isinstance(command, click.Command):
                return command
            raise click.ClickException(f"verb {name!r} of {entry.value} is no click command")
        return None


@click.group(cls=Verbs)
@click.version_option(package_name="pynet-swarm")
def pynet() -> None:
    """Socket swarms: ask gateways from the command line."""


@click.command()
@click.argument("host", default="")
@click.option("--port", default=DEFAULT_PORT, show_default=True)
@click.option("--count", default=10, show_default=True, type=click.IntRange(min=1))
def ping(host: str, port: int, count: int) -> None:
    """Measure the round trip to the gateway on HOST (this machine by default)."""
    times_ms = []
    with Controller(host, port).get_client() as client:
        for number in range(count):
            if number:
                time.sleep(PING_PERIOD_S)
            pong = client.ping()
            times_ms.append(pong.rtt_ns / 1e6)
    click.echo(
        f"{count} pings to {host or 'this machine'} port {port}: "
        f"min {min(times_ms):.3f} ms, median {statistics.median(times_ms):.3f} ms, max {max(times_ms):.3f} ms"
    )


def main() -> None:
    try:
        pynet()
    except PynetError as exc:
        print(f"pynet: {exc}", file=sys.stderr)
        sys.exit(1)
