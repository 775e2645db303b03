"""What the robot has, and whether it speaks: outputs, camera, sensors, encoders.  Pure, but for `outputs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pi_agent.doctor.finding import Finding, bad, ok, warn
from pi_agent.report import Report, StreamReport
from pi_agent.selftest.outputs import load_writes, readers
from pynet_car.messages import ABSENT, State

ENOUGH: Final = 0.7  # of the items that a stream promises
OLD_PERIODS: Final = 5.0
OLD_S: Final = 0.5
_STATUS: Final = "pynet-agent status"


def check_outputs(report: Report, runtime_dir: Path) -> Iterator[Finding]:
    """Whether everything that can turn a motor is neutral now, read back past the agent."""
    status = report.status
    if status is None or status.state is State.ARMED:
        state = "unknown" if status is None else status.state
        yield warn("outputs", f"not looked at: the robot is {state}", _STATUS, "disarm it and try again")
        return
    outputs, unreadable = readers(load_writes(runtime_dir))
    where = f"{runtime_dir}/neutral.json"
    if any(is_moving() for is_moving in outputs):
        fix = "cut the motors' supply; then:  sudo systemctl restart pynet-agent"
        yield bad("outputs", f"a motor output is not neutral, and the robot is {status.state}", where, fix)
    elif outputs:
        yield ok("outputs", f"{len(outputs)} read back: neutral", where)
    for why in unreadable:
        yield warn("outputs", f"not read back: {why}", where, "look at the wheels: they must stand")


def check_stream(stream: StreamReport) -> Finding:
    """Whether one stream comes, as often as it should."""
    due_hz = 1 / stream.period_s if stream.period_s else 0.0
    fix = "wires and [section] in agent.toml, then:  sudo pynet-agent doctor"
    if stream.state.startswith(ABSENT):
        return ok(stream.name, f"none: {stream.state.removeprefix(ABSENT)}")
    if stream.state != "ok":
        return bad(stream.name, stream.state, _STATUS, fix)
    if stream.age_s is None:
        return bad(stream.name, "nothing has come yet", _STATUS, fix)
    if stream.age_s > max(OLD_S, OLD_PERIODS * stream.period_s):
        return bad(stream.name, f"silent for {stream.age_s:.1f} s", _STATUS, fix)
    if stream.per_s < ENOUGH * due_hz:
        what = f"{stream.per_s:.1f} a second, {due_hz:.1f} expected"
        return warn(stream.name, what, _STATUS, "less to do for the Pi: a smaller picture, fewer windows")
    return ok(stream.name, f"{stream.per_s:.1f} a second", _STATUS)


def check_streams(report: Report) -> Iterator[Finding]:
    for stream in report.streams:
        # Each head of a sensor is pinged in turn, so that it sends more often than a head's period says.
        yield check_stream(stream)
    if not any(stream.name == "camera" for stream in report.streams):
        yield warn("camera", "there is none", _STATUS, "pynet-agent doctor")


def check_ticks(left: int, right: int) -> Iterator[Finding]:
    """What the encoders counted while the motor turned forward."""
    for side, ticks in (("left", left), ("right", right)):
        where = f"[encoder] {side}_pins"
        if ticks > 0:
            yield ok("encoders", f"{side}: {ticks} ticks")
        elif ticks < 0:
            yield bad(
                "encoders", f"{side} counts backward: {ticks} ticks", where, f"swap the two {side}_pins"
            )
        else:
            fix = "its wires, its supply (3.3 V), and that its wheel turns"
            yield bad("encoders", f"{side} does not count", where, fix)
