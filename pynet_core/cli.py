"""The command `pynet VERB`: verbs are plugins of the entry-point group `pynet.commands`."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Final

import click

from pynet_core.cli_frame import run

VERBS: Final = "pynet.commands"


class Verbs(click.Group):
    """Finds its commands among the installed packages; a broken one costs only itself."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({entry.name for entry in importlib.metadata.entry_points(group=VERBS)})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        for entry in importlib.metadata.entry_points(group=VERBS, name=name):
            try:
                command = entry.load()
            except Exception as exc:  # somebody's plugin: say which, and go on without it
                return _broken(name, f"the verb {name!r} of {entry.value} does not load: {exc}")
            if isinstance(command, click.Command):
                return command
            return _broken(name, f"the verb {name!r} of {entry.value} is no click command")
        return None


def _broken(name: str, why: str) -> click.Command:
    """Stands where a verb should: the list of verbs goes on, and using it says what is wrong."""

    def refuse() -> None:
        raise click.ClickException(why)

    takes_all = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(
        name,
        callback=refuse,
        short_help="(does not load)",
        add_help_option=False,
        context_settings=takes_all,
    )


@click.group(cls=Verbs)
@click.version_option(package_name="pynet-swarm")
def pynet() -> None:
    """Socket swarms: ask gateways from the command line."""


def main() -> None:
    """The program `pynet`."""
    sys.exit(run(pynet, sys.argv[1:], "pynet"))
