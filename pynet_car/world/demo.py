"""`./run demo --headless`: the simulated car drives itself round the track, and everything is measured.

The options and the table; `measuring` drives and measures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pynet_car.world import DEFAULT_SEED, OF_EXTRA
from pynet_car.world.launch import SimulatedCar, end_as_by_ctrl_c
from pynet_car.world.options import MAX_SEED, within
from pynet_core.errors import PynetError
from pynet_core.extras import missing

SHEET_PATH: Final = Path("out/demo-sheet.png")
LOG_PATH: Final = Path("out/demo.log")


def round_trip() -> dict[str, float]:
    """The no-op buffer call beside raw Python sockets; empty when it cannot be measured here."""
    command = [sys.executable, "-m", "benchmarks", "round_trip", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        print(f"round trip not measured: {run.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    same_core: dict[str, float] = json.loads(run.stdout)[0]
    return same_core


def report(found: dict[str, float], trip: dict[str, float]) -> None:
    """Print the figures as a table."""
    rows = [
        (
            "distance by encoder",
            "{distance_by_encoder_m:.2f} m, truth {distance_truth_m:.2f} m ({distance_error_percent:+.2f} %)",
        ),
        ("track", "{laps:.0f} laps, {off_track:.0f} times off it, {crashes:.0f} crashes"),
        ("camera", "{fps:.1f} fps, {frames:.0f} frames, {frames_distinct:.0f} distinct"),
        ("frame age", "p50 {frame_age_ms_p50:.1f} ms, p99 {frame_age_ms_p99:.1f} ms"),
        (
            "command age at the guardian",
            "p50 {command_age_ms_p50:.1f} ms, p99 {command_age_ms_p99:.1f} ms, "
            "{failsafe_trips:.0f} failsafe trips",
        ),
        ("proximity", "{scans_hz:.1f} scans a second"),
        (
            "processor, of one core",
            "guardian {cpu_guardian_percent:.1f} %, worker {cpu_worker_percent:.1f} %, "
            "world {cpu_world_percent:.1f} %",
        ),
    ]
    for name, text in rows:
        print(f"{name:28} {text.format(**found)}")
    if trip:
        print(
            f"{'no-op buffer, round trip':28} {trip['pynet_p50_us']:.1f} us, "
            f"raw Python sockets {trip['raw_p50_us']:.1f} us ({trip['ratio']:.2f} x), same core"
        )
    print(f"{'pictures; log':28} {SHEET_PATH}; {LOG_PATH}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run demo --headless", description="drive the simulated car")
    parser.add_argument("--headless", action="store_true", help="no window")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to drive")
    parser.add_argument("--seed", type=within(0, MAX_SEED), default=DEFAULT_SEED, help="of the track")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args(arguments)
    if not 0 < options.seconds < 86400:
        parser.error("--seconds must be more than 0 and less than 86400, a day")
    try:
        # Here: where it is not all installed a person is told what to type.
        from pynet_car.world.measuring import measure
    except ModuleNotFoundError as exc:
        print(f"demo: {missing(exc, 'world', OF_EXTRA)}", file=sys.stderr)
        return 1
    world = ("--seed", str(options.seed))
    end_as_by_ctrl_c()
    try:
        LOG_PATH.parent.mkdir(exist_ok=True)
        with LOG_PATH.open("wb") as log, SimulatedCar(tls=True, world_arguments=world, log=log) as simulated:
            print(f"Driving a SIMULATED car for {options.seconds:g} s ...", file=sys.stderr)
            found = measure(simulated, options.seed, options.seconds, SHEET_PATH)
    except (PynetError, OSError) as exc:
        print(f"demo: {exc}; see {LOG_PATH}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    trip = round_trip()
    if options.json:
        print(json.dumps({**found, **{f"round_trip_{name}": value for name, value in trip.items()}}))
    else:
        report(found, trip)
    return 0


if __name__ == "__main__":
    sys.exit(main())
