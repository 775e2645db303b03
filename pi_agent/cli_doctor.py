"""`pynet-agent doctor`: what is wrong on this machine, where, and what to type."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from pi_agent.doctor import hardware, system
from pi_agent.doctor.facts import Facts, run
from pi_agent.doctor.finding import Finding, Level
from pi_agent.doctor.gathering import gather
from pi_agent.doctor.mending import mend_wifi
from pi_agent.places import found_config, found_runtime_dir, found_state_dir
from pynet_core.cli_frame import json_option

_WIDTH = 100


@click.command(short_help="What is wrong on this machine, and what to type.")
@json_option("for programs: a list of {level, check, what, where, fix}")
@click.option(
    "--fix", type=click.Choice(["wifi"]), help="switch off Wi-Fi power save, now and for good; as root"
)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="in place of the service's own"
)
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False))
@click.option("--runtime-dir", type=click.Path(path_type=Path, file_okay=False))
def doctor(
    as_json: bool, fix: str | None, config: Path | None, state_dir: Path | None, runtime_dir: Path | None
) -> None:
    """Look at board, pins, camera, network and service; exit code 1 when something must be mended.

    Needs no root and changes nothing, but for --fix.
    """
    if fix is not None:
        for sentence in mend_wifi(Path("/"), run):
            click.echo(sentence)
        return
    facts = gather(
        config or found_config(), runtime_dir or found_runtime_dir(), state_dir or found_state_dir()
    )
    found = findings(facts)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        click.echo("\n".join(render(found)))
    if any(finding.level is Level.PROBLEM for finding in found):
        raise SystemExit(1)


def findings(facts: Facts) -> list[Finding]:
    """All there is to say; board first."""
    return [finding for check in (*hardware.CHECKS, *system.CHECKS) for finding in check(facts)]


def render(found: Sequence[Finding]) -> Iterator[str]:
    """The findings for a person, line by line."""
    for finding in found:
        is_ok = finding.level is Level.OK
        head = f"{finding.level if is_ok else finding.level.upper():<8} {finding.check:<12}"
        yield from textwrap.wrap(finding.what, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
        if not is_ok:
            if finding.where:
                yield f"{'':<21}seen in:  {finding.where}"
            yield f"{'':<21}to mend:  {finding.fix}"
    counts = Counter(finding.level for finding in found)
    yield ""
    yield (
        f"{_many(counts[Level.PROBLEM], 'problem')}, {_many(counts[Level.WARNING], 'warning')}, "
        f"{counts[Level.OK]} well"
    )


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
