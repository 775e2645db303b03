"""benchmarks.tls: it measures what it says, over connections that are what it says."""

from __future__ import annotations

import pytest

from benchmarks.tls import measure

pytestmark = [pytest.mark.system, pytest.mark.shared]


def test_every_cost_of_tls_is_measured() -> None:
    costs = {cost.what: cost for cost in measure(1, same_core=True)}
    assert len(costs) == 4
    for cost in costs.values():
        assert cost.plain > 0
        assert cost.tls > 0
        assert cost.ratio > 0
