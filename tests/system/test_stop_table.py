"""What trials come to: a trial that failed may not pass for one that did not, nor vanish."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.service_faults.rows import FAULTS, IN_TURN
from tests.system.service_faults.table import line
from tests.system.service_faults.trials import Ledger, Record, is_red, row

FAULT = FAULTS["link dead"]


def record(neutral_ms: float | None = 170.0, *, looks_hz: float = 2000.0, broken: str = "") -> Record:
    return Record(
        fault=FAULT.name,
        suite="bookworm",
        when="",
        neutral_ms=neutral_ms,
        looks_hz=looks_hz,
        broken=broken,
    )


def test_every_fault_is_tried_once_a_round_and_has_a_name_of_its_own() -> None:
    assert len(IN_TURN) == len(FAULTS) == len({fault.name for fault in IN_TURN})


def test_in_time_and_whole_is_no_failure() -> None:
    found = row(FAULT, [record(150.0), record(190.0), record(170.0)])
    assert found is not None
    assert (found.p50_ms, found.p99_ms, found.max_ms) == (170.0, 190.0, 190.0)
    assert (found.trials, found.failed) == (3, 0)


@pytest.mark.parametrize(
    "bad", [record(251.0), record(None), record(broken="the old worker lives on"), record(looks_hz=999.0)]
)
def test_one_that_is_late_or_broken_or_was_not_seen_well_fails_its_row(bad: Record) -> None:
    found = row(FAULT, [record(), bad])
    assert is_red(bad, FAULT)
    assert found is not None and found.failed == 1
    assert "1 FAILED" in line(found)


def test_never_is_the_longest_of_all_times() -> None:
    found = row(FAULT, [record(None), record(1.0)])
    assert found is not None and found.max_ms == float("inf")


def test_a_fault_that_was_never_made_has_no_row() -> None:
    assert row(FAULTS["e-stop"], [record()]) is None


def test_what_was_kept_is_there_again_and_half_a_line_costs_only_itself(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(record(None))
    ledger.add(record(broken="so it was"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'{"fault": "link de')
    assert Ledger(tmp_path).records == ledger.records
