"""A few cuts and kills under a swarm at work; `./run prove swarm` does many."""

from __future__ import annotations

import pytest

from tests.system.swarm_kills import prove


@pytest.mark.system
@pytest.mark.shared
def test_every_result_comes_once_though_pairs_are_cut_and_a_gateway_is_killed() -> None:
    tally = prove(cuts=40, seed=7)
    assert tally.given_back > 0
    assert tally.kills > 0
