"""benchmarks.messages: every contestant does every test, and one that cannot is left out and named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import messages
from benchmarks.messages import TESTS, Contestant, Figure, contestants_with, main, measure

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "TURN_S", 0.01)


def test_each_test_has_a_figure_of_each_contestant_and_raw_leads_by_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--rounds", "1", "--json"])
    figures = [Figure(**found) for found in json.loads(capsys.readouterr().out)]
    assert [(each.test, each.contestant) for each in figures] == [
        (test.name, name) for test in TESTS for name in ("raw", "pynet", "pynet TLS")
    ]
    for each in figures:
        assert each.value > 0
        assert each.lead > 0
        assert each.contestant != "raw" or each.lead == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the CPU of another process is read from /proc")
def test_a_rush_of_small_items_takes_less_cpu_than_raw_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard: a fifth of it when this was written, and twice of it before items were gathered."""
    monkeypatch.setattr(messages, "TURN_S", 0.2)
    with contestants_with(False) as (raw, pynet, _):
        figures = measure([raw, pynet], 3, [test for test in TESTS if test.name == "64 B items"])
    cpu_us = {each.contestant: each.cpu_us for each in figures}
    assert 0 < cpu_us["pynet"] < cpu_us["raw"]


def test_one_that_fails_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = Contestant("nobody", Path(sys.executable), {}, str(tmp_path))
    with contestants_with(False) as (raw, *_), nobody:
        figures = measure([raw, nobody], 2, TESTS[:1])
    assert [each.contestant for each in figures] == ["raw"]
    assert "nobody failed at 64 B round trip, same core: " in capsys.readouterr().err


def test_a_lead_is_how_many_times_better() -> None:
    round_trip, _, stream, *_ = TESTS
    assert round_trip.lead(10.0, 20.0) == 2
    assert stream.lead(10.0, 20.0) == 0.5
