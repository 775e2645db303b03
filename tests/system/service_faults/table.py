"""What all trials came to, in words: for the terminal, and as docs/reference/stop-table.md."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.system.service_faults.rows import FAULTS
from tests.system.service_faults.trials import Record, Row, row

PAGE: Final = Path(__file__).resolve().parents[3] / "docs/reference/stop-table.md"
HEAD: Final = """\
# How soon the car stops

Written by `./run prove service`; do not edit.

The service is installed from its .deb under a real systemd, in a container; somebody drives the simulated
car from outside, over a link that can be cut, thinned and stalled.  A fault is made while the motor drives
the car at more than 0.5 m/s.  An observer process looks at the pins more than 1000 times a second; the time
runs from just before the fault to the moment from which the motor's pins stay at zero, as long as it is
watched: 0.6 s longer than promised.  After that the car must be drivable again, and what else was promised
must hold: the worker replaced, nothing left behind, the reason told.  Else the trial has failed.

"""
FOOT: Final = """
"e-stop" beside another fault: that fault must not stop the car, and an e-stop after it is as quick as ever.
"for good" means that nobody mends it but the service itself.
A worker that aborts has first written down where each of its threads is: it counts as one that hangs.
"""


def rows(records: Iterable[Record]) -> list[Row]:
    """In the order of the groups; those never tried are left out."""
    kept = list(records)
    return [found for fault in FAULTS.values() if (found := row(fault, kept)) is not None]


def line(found: Row) -> str:
    """For the terminal."""
    verdict = "ok" if found.holds else f"{found.failed} FAILED " + "; ".join(sorted(set(found.broken)))
    return (
        f"{found.fault:45} {found.trials:6} {found.p50_ms:8.1f} {found.p99_ms:8.1f} {found.max_ms:8.1f}"
        f" {found.promise_ms:8.0f} {found.rolled_m:8.2f} {found.slowest_look_hz:6.0f} Hz  {verdict}"
    )


HEADER: Final = f"{'fault':45} trials   p50 ms   p99 ms   max ms  promise rolled m  slowest look"


def write_page(records: Sequence[Record]) -> None:
    """Replace the page by what is known now."""
    text = HEAD
    suites = " and ".join(sorted({record.suite for record in records}))
    text += (
        f"{len(records)} trials up to {max(record.when for record in records)[:16]} UTC, on Debian {suites}; "
        f"Linux {platform.release().split('-')[0]}, {platform.machine()}, {os.cpu_count()} cores that other "
        "work shared.\n\n"
        "| fault | promised ms | trials | p50 ms | p99 ms | max ms | rolled at most m | failed |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    for found in rows(records):
        text += (
            f"| {found.fault} | {found.promise_ms:.0f} | {found.trials} | {_ms(found.p50_ms)} | "
            f"{_ms(found.p99_ms)} | {_ms(found.max_ms)} | {found.rolled_m:.2f} | {found.failed} |\n"
        )
    PAGE.write_text(text + FOOT)


def _ms(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"
