"""Make every fault happen to the installed service, again and again, and write down how soon the car stopped.

`./run prove service` tries each fault once; `--hours` goes on that long, and a
later run of the same code goes on where this one was ended.  The figures go to
docs/reference/stop-table.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.system.base_root import SUITES, CannotRun
from tests.system.service_faults.fault import Fault
from tests.system.service_faults.installed import installed
from tests.system.service_faults.mutations import show_red
from tests.system.service_faults.rig import Rig, rig_in
from tests.system.service_faults.rows import FAULTS, IN_TURN
from tests.system.service_faults.table import HEADER, PAGE, line, rows, write_page
from tests.system.service_faults.trials import Ledger, say, trial

OUT: Final = Path("out/service-faults")
SUITE_S: Final = 1200  # then the other one has its turn


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove service", description=__doc__)
    every = "; ".join(FAULTS).replace("%", "%%")  # argparse's own sign
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of: {every}; all by default")
    parser.add_argument("--hours", type=float, help="how long; without it, each fault once")
    parser.add_argument("--suite", choices=SUITES, action="append", help="both by default; once, bookworm")
    parser.add_argument("--show-red", action="store_true", help="break the service, and see each check fail")
    options = parser.parse_args()
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        parser.error(f"no fault called {', '.join(map(repr, unknown))}; there are: {'; '.join(FAULTS)}")
    suites = options.suite or (SUITES if options.hours else SUITES[:1])
    try:
        if options.show_red:
            return _show_red(suites[0])
        return _prove(options.faults, suites, options.hours)
    except CannotRun as exc:
        print(f"service: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ended; what was measured is kept", file=sys.stderr)
        return 1


def _prove(names: list[str], suites: Sequence[str], hours: float | None) -> int:
    ledger = Ledger(OUT)
    if ledger.records:
        print(f"going on after {len(ledger.records)} trials of this code")
    chosen = [fault for fault in IN_TURN if not names or fault.name in names]
    end_s = time.monotonic() + (hours or 0.0) * 3600
    while True:
        for number, suite in enumerate(suites):
            now_s = time.monotonic()
            suite_s = min(SUITE_S, (end_s - now_s) / (len(suites) - number))
            with (
                installed(suite) as box,
                tempfile.TemporaryDirectory() as folder,
                rig_in(box, Path(folder)) as rig,
            ):
                _rounds(rig, chosen, suite, ledger, now_s + suite_s)
        if time.monotonic() >= end_s:
            break
    found = rows(ledger.records)
    print(HEADER, *map(line, found), f"{len(ledger.records)} trials of this code", sep="\n")
    if len(found) == len(FAULTS):
        write_page(ledger.records)
        print(f"written: {PAGE}")
    else:
        print("not every fault was tried: the page is left as it is")
    return 0 if all(row.holds for row in found) else 1


def _rounds(rig: Rig, chosen: list[Fault], suite: str, ledger: Ledger, end_s: float) -> None:
    """One round at least."""
    while True:
        for fault in chosen:
            record = trial(rig, fault, suite)
            ledger.add(record)
            print(f"{suite} {say(record, fault)}", flush=True)
        if time.monotonic() >= end_s:
            return


def _show_red(suite: str) -> int:
    with installed(suite) as box, tempfile.TemporaryDirectory() as folder, rig_in(box, Path(folder)) as rig:
        return 0 if show_red(rig, suite) else 1


if __name__ == "__main__":
    sys.exit(main())
