"""`pynet-agent status`: what the agent that runs here says of itself, now."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from pi_agent.places import LOCK_FILE, SERVICE, found_runtime_dir
from pi_agent.report import Report, StreamReport, ask_report, lock_holder
from pynet_car.messages import PATH_LIFESPAN_NS, Status
from pynet_core.cli_frame import json_option
from pynet_core.errors import LinkError, PynetError

WATCH_S: Final = 1.0
OLD_S: Final = 1.0  # a Status this old, of 50 a second, says that the guardian hangs
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_CLEAR: Final = "\033[H\033[J"


@click.command(short_help="How the agent that runs here is, now.")
@click.option(
    "--runtime-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="of the agent, if it is no service",
)
@json_option("for programs: the whole report, one line")
@click.option("--watch", is_flag=True, help="again each second, until Ctrl-C")
def status(runtime_dir: Path | None, as_json: bool, watch: bool) -> None:
    """Say how the agent on this machine is; exit code 1 when none answers."""
    runtime_dir = runtime_dir or found_runtime_dir()
    while True:
        try:
            shown = _shown(report_for_a_person(runtime_dir, "status"), as_json)
        except LinkError as exc:
            if not watch:
                raise
            shown = str(exc)
        click.echo(f"{_CLEAR}{shown}" if watch and sys.stdout.isatty() else shown)
        if not watch:
            return
        time.sleep(WATCH_S)


def _shown(report: Report, as_json: bool) -> str:
    return msgspec.json.encode(report).decode() if as_json else "\n".join(render(report))


def report_for_a_person(runtime_dir: Path, verb: str) -> Report:
    """What the agent says.

    Raises:
        LinkError: Nothing; the text says to a person who has typed this verb what to type.
    """
    try:
        return ask_report(runtime_dir)
    except (PynetError, PermissionError) as exc:
        raise LinkError(why_silent(runtime_dir, exc, verb)) from exc


def why_silent(runtime_dir: Path, exc: Exception, verb: str = "status") -> str:
    """Why there is no report, and what to type."""
    if isinstance(exc, PermissionError):
        return f"{exc.filename or runtime_dir}: this user may not ask; try:  sudo pynet-agent {verb}"
    try:
        locks = Path("/proc/locks").read_text()
    except OSError:
        locks = ""
    guardian = lock_holder(runtime_dir / LOCK_FILE, locks)
    if guardian is None:
        return f"no agent runs in {runtime_dir}; start it:  sudo systemctl start {SERVICE}"
    return (
        f"an agent runs in {runtime_dir} (guardian {guardian}), but its worker does not answer ({exc}): "
        f"it starts, or hangs; see:  systemctl status {SERVICE}"
    )


def render(report: Report) -> Iterator[str]:
    """The report for a person, line by line."""
    simulated = "SIMULATED CAR, " if report.simulated else ""
    yield f"{report.name}: {simulated}{report.board}, pynet {report.version}, up {duration(report.uptime_s)}"
    yield from _status_rows(report)
    for stream in report.streams:
        yield _row(stream.name, _of_stream(stream))
    peers = ", ".join(f"{name} x{pairs}" for name, pairs in sorted(report.peers.items()))
    where = f"port {report.port} on {report.host or 'all interfaces'}"
    yield _row("gateway", f"{where}; {peers or 'nobody connected'}")
    yield _row("processes", f"guardian {report.guardian_pid}, worker {report.worker_pid}")


def _row(title: str, text: str) -> str:
    return f"{title:<11} {text}"


def _status_rows(report: Report) -> Iterator[str]:
    status = report.status
    if status is None or report.status_age_s is None:
        yield _row("state", "the guardian has said nothing yet")
        return
    is_old = report.status_age_s > OLD_S
    old = f"  ({report.status_age_s:.1f} s OLD: the guardian is silent)" if is_old else ""
    yield _row("state", f"{status.state}: {status.reason}{old}")
    yield _row("driver", _driver(status))
    ways = (("ahead", status.blocked_forward), ("behind", status.blocked_backward))
    blocked = " and ".join(way for way, is_blocked in ways if is_blocked)
    outputs = f"duty {status.duty:+.2f}, steering {status.steering:+.2f}"
    yield _row("outputs", f"{outputs}; blocked {blocked or 'nowhere'}")
    counts = status.counters
    counted = (
        f"{counts.ticks} ticks ({counts.late_ticks} late)",
        f"{counts.commands} commands ({counts.refused} refused)",
        f"failsafe {counts.failsafe_trips} x",
        f"e-stop {counts.e_stops} x",
        f"worker started {counts.worker_starts} x",
    )
    yield _row("since start", ", ".join(counted))


def _driver(status: Status) -> str:
    if not status.holder:
        return "nobody has the lease"
    what, limit_ms = "command", status.lifespan_ms
    if status.path_left_m >= 0.0:
        what, limit_ms = "path", PATH_LIFESPAN_NS // 1_000_000
    age = (
        "no command yet"
        if status.command_age_ns < 0
        else f"newest {what} {status.command_age_ns / 1e6:.0f} ms old, of {limit_ms} at most"
    )
    return (
        f"{status.holder_name or status.holder[:8]}; {age}; {status.verdict.name.lower().replace('_', ' ')}"
    )


def _of_stream(stream: StreamReport) -> str:
    if stream.age_s is None:
        return f"nothing yet ({stream.state})" if stream.state != "ok" else "nothing yet"
    state = "" if stream.state == "ok" else f"; {stream.state}"
    return f"{stream.per_s:.1f}/s, newest {stream.age_s * 1000:.0f} ms old{state}"


def duration(seconds: float) -> str:
    """ "3 h 12 min", for people."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole} s" if minutes else f"{whole} s"
