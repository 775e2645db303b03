"""`pynet-agent VERB`: what a person asks of a robot, beside the daemon itself (`pynet-agent run`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import click

from pi_agent.cli_doctor import doctor
from pi_agent.cli_selftest import selftest
from pi_agent.cli_status import status
from pi_agent.config import check_config
from pi_agent.places import found_config, found_state_dir
from pi_agent.procs import EXIT_CONFIG
from pi_agent.sensors.loading import GROUP
from pynet_core.cli_frame import EXIT_FAILED, PORT, json_option, run
from pynet_core.errors import ConfigError
from pynet_core.trust import CALLER_ROLES

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(
    epilog="`pynet-agent run` is the daemon, which `systemctl start pynet-agent` starts: see its --help."
)
@click.version_option(package_name="pynet-swarm")
def agent() -> None:
    """The robot daemon, and what to ask of it."""


agent.add_command(doctor)
agent.add_command(selftest)
agent.add_command(status)


@agent.command()
@click.option("--state-dir", type=_FOLDER, help="where the robot's identity and list of devices are kept")
@click.option("--role", type=click.Choice(CALLER_ROLES), default="driver", show_default=True)
@click.option("--port", type=PORT, help="to pair on")
@json_option()
def pair(state_dir: Path | None, role: str, port: int | None, as_json: bool) -> None:
    """Let another device in by a code, while the agent runs or not."""
    # Here: cryptography takes longer to import than all the rest, and only this verb needs it.
    from pynet_core.cli_pair import serve_pairing

    serve_pairing(state_dir or found_state_dir(), role, port, as_json=as_json)


@agent.group("config")
def config_() -> None:
    """The settings."""


@config_.command()
@click.argument("file", type=_FILE, required=False)
@json_option("for programs: a list of {file, line, key, text}")
def check(file: Path | None, as_json: bool) -> None:
    """Name everything that is wrong in FILE, by default the service's own; exit code 1 if anything is."""
    file = file or found_config()
    if file is None:
        click.echo("[]" if as_json else "there is no settings file, so the defaults hold")
        return
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{file}: cannot be read: {exc}") from exc
    plugins = [point.name for point in metadata.entry_points(group=GROUP)]
    _, problems = check_config(text, str(file), plugins=plugins)
    if as_json:
        click.echo(json.dumps([asdict(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{file}: {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}", err=True)
    if problems:
        raise SystemExit(1)


def main(arguments: Sequence[str]) -> int:
    """Run one verb; returns its exit code: as `pynet`'s, and 78 for wrong settings."""
    return run(
        agent,
        arguments,
        "pynet-agent",
        speaker="agent",
        code_of=lambda exc: EXIT_CONFIG if isinstance(exc, ConfigError) else EXIT_FAILED,
    )
