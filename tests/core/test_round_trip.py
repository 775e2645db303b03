"""benchmarks: what the demo reads from the round trip."""

from __future__ import annotations

import json
import math
import os

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.round_trip import RoundTrip, measure


@pytest.mark.system
@pytest.mark.shared
def test_the_json_is_round_trips_same_core_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmarks.main(["round_trip", "--json", "--rounds", "2", "--calls", "20"]) == 0
    results = [RoundTrip(**found) for found in json.loads(capsys.readouterr().out)]
    assert [result.same_core for result in results] == [hasattr(os, "sched_setaffinity"), False]
    for result in results:
        assert (result.rounds, result.calls) == (2, 20)
        assert 0 < result.raw_p50_us <= result.raw_p99_us
        assert 0 < result.pynet_p50_us <= result.pynet_p99_us
        assert result.ratio > 0
        assert math.isfinite(result.ratio)


@pytest.mark.system
@pytest.mark.shared
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin to a core")
def test_the_caller_may_use_the_same_cores_afterwards() -> None:
    before = os.sched_getaffinity(0)
    measure(rounds=1, calls=2, same_core=True)
    assert os.sched_getaffinity(0) == before


def test_an_unknown_benchmark_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmarks.main(["speed"]) == 2
    assert "round_trip" in capsys.readouterr().out
