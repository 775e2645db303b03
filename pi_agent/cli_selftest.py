"""`pynet-agent selftest`: the robot tries what it has, and with the wheels up whether it stops."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from pi_agent.cli_doctor import render
from pi_agent.cli_status import report_for_a_person
from pi_agent.doctor.facts import run
from pi_agent.doctor.finding import Finding, Level
from pi_agent.places import SERVICE, found_runtime_dir, found_state_dir
from pi_agent.selftest.checks import check_outputs, check_streams, check_ticks
from pi_agent.selftest.entry import door_of
from pi_agent.selftest.observer import Observer
from pi_agent.selftest.outputs import load_writes, readers
from pi_agent.selftest.stops import STOPS, Examiner, Stop, Trial, free_robot, table, why_not
from pynet_core.cli_frame import Number, json_option
from pynet_core.errors import HardwareError

CONSENT: Final = "wheels up"
TURN_S: Final = 1.0
AWAKE_S: Final = 5.0
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="The robot tries what it has, and whether it stops.")
@click.option("--turn", is_flag=True, help="turn the wheels too: do the encoders count?")
@click.option("--stop", is_flag=True, help="make faults happen while they turn: how soon do they stop?")
@click.option("--wheels-up", is_flag=True, help="say beforehand that no wheel touches anything")
@click.option("--throttle", type=Number(0.02, 0.3, min_open=True), default=0.2, show_default=True)
@click.option("--trials", type=click.IntRange(1, 1000), default=3, show_default=True, help="of each fault")
@click.option(
    "--only", multiple=True, metavar="FAULT", help="faults with this in their name; may be repeated"
)
@click.option("--runtime-dir", type=_FOLDER, help="of the agent, if it is no service")
@click.option("--state-dir", type=_FOLDER)
@json_option("for programs")
def selftest(
    turn: bool,
    stop: bool,
    wheels_up: bool,
    throttle: float,
    trials: int,
    only: tuple[str, ...],
    runtime_dir: Path | None,
    state_dir: Path | None,
    as_json: bool,
) -> None:
    """Try the robot that runs here; exit code 1 when something is wrong.

    Alone it moves nothing: it reads outputs back and listens to camera and
    sensors.  With --turn and --stop the wheels turn: lift the car first.
    """
    runtime_dir = runtime_dir or found_runtime_dir()
    chosen = _chosen(only)
    report_for_a_person(runtime_dir, "selftest")
    report = free_robot(runtime_dir)
    found = [*check_outputs(report, runtime_dir), *check_streams(report)]
    done: list[Trial] = []
    left_out: dict[str, str] = {}
    notes: list[str] = []
    if turn or stop:
        _ask_consent(wheels_up, throttle)
        outputs, unread = readers(load_writes(runtime_dir))
        with contextlib.ExitStack() as ending:
            door = ending.enter_context(door_of(report, state_dir or found_state_dir()))
            observer = ending.enter_context(Observer(runtime_dir)) if outputs else None
            if observer is not None:
                _await_awake(observer)
            examiner = Examiner(door, runtime_dir, observer, throttle)
            ticks = examiner.turn(TURN_S)
            if any(stream.name == "encoder" and stream.state == "ok" for stream in report.streams):
                found += check_ticks(*ticks)
            if stop:
                left_out = _try_all(examiner, runtime_dir, chosen, trials, observer is not None, done)
            notes = [*_notes(observer), *(f"Not read back: {why}." for why in unread)]
    _show(found, done, left_out, notes, as_json)
    late = any(trial.neutral_ms > trial.promised_ms for trial in done)
    if late or any(finding.level is Level.PROBLEM for finding in found):
        raise SystemExit(1)


def _chosen(only: tuple[str, ...]) -> list[Stop]:
    chosen = [stop for stop in STOPS if not only or any(word in stop.name for word in only)]
    if not chosen:
        names = ", ".join(stop.name for stop in STOPS)
        raise click.BadParameter(f"no fault has that in its name; there are: {names}", param_hint="--only")
    return chosen


def _try_all(
    examiner: Examiner,
    runtime_dir: Path,
    chosen: list[Stop],
    trials: int,
    sees_outputs: bool,
    done: list[Trial],
) -> dict[str, str]:
    """Try every fault; those that cannot be, and why."""
    left_out = {}
    for stop in chosen:
        for number in range(trials):
            pid = run(["systemctl", "show", f"{SERVICE}.service", "--property=MainPID", "--value"])
            service_pid = int(pid) if pid and pid.strip().isdecimal() else None
            why = why_not(stop, free_robot(runtime_dir), sees_outputs=sees_outputs, service_pid=service_pid)
            if why:
                left_out[stop.name] = why
                break
            click.echo(f"{stop.name}: {number + 1} of {trials}", err=True)
            done.append(examiner.try_one(stop))
    return left_out


def _ask_consent(wheels_up: bool, throttle: float) -> None:
    """Go on only if a person has said so.

    Raises:
        click.UsageError: Nobody has.
    """
    if wheels_up:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            "the wheels would turn, and nobody is here to ask; say --wheels-up if they may"
        )
    click.echo(
        f"The wheels will turn, at throttle {throttle:g}, forward and backward.  Lift the car so that none\n"
        "of them touches anything; keep hands, hair and cables away, and a hand at the motors' switch.",
        err=True,
    )
    if click.prompt(f"Type  {CONSENT}  to go on", err=True).strip().lower() != CONSENT:
        raise click.UsageError("not done: nothing has moved")


def _await_awake(observer: Observer) -> None:
    deadline_s = time.monotonic() + AWAKE_S
    while not observer.is_awake:
        if time.monotonic() > deadline_s:
            raise HardwareError("who is to watch the outputs does not start; nothing was tried")
        time.sleep(0.05)


def _notes(observer: Observer | None) -> list[str]:
    if observer is None:
        return ["The outputs cannot be read back here: times are the agent's own word, in steps of 20 ms."]
    return [
        f"The outputs were read {observer.looks_hz:.0f} times a second, with a gap of "
        f"{observer.worst_gap_ms:.1f} ms at the longest; a time ends with the look that found them neutral."
    ]


def _show(
    found: list[Finding], done: list[Trial], left_out: dict[str, str], notes: list[str], as_json: bool
) -> None:
    if as_json:
        everything = {
            "findings": [asdict(finding) for finding in found],
            # JSON has no infinity: null is a robot that did not stop.
            "trials": [
                asdict(trial) | {"neutral_ms": trial.neutral_ms if math.isfinite(trial.neutral_ms) else None}
                for trial in done
            ],
            "not_tried": left_out,
            "notes": notes,
        }
        click.echo(json.dumps(everything, indent=2))
        return
    click.echo("\n".join(render(found)))
    if done or left_out:
        click.echo("\n" + "\n".join(table(done, left_out)))
    for note in notes:
        click.echo(note)
