"""One trial of every fault; `./run prove faults` does many."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Final

import pytest

from tests.system.faults import (
    AT_REST_WITHIN_S,
    FAULTS,
    NEEDS_OWN_NETWORK,
    enter_own_network,
    run,
)
from tests.system.stops import DRIVING_MPS, Trial

pytestmark = [pytest.mark.system, pytest.mark.promise]


def _in_own_network(name: str, answer: Connection) -> None:
    no_network = enter_own_network()
    answer.send(no_network or run(FAULTS[name]))


def _run_elsewhere(name: str) -> Trial:
    """In a process and a network of its own: the cut must not reach the other tests."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_in_own_network, args=(name, theirs))
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    finally:
        process.join()
    if isinstance(answer, str):
        pytest.skip(answer)
    assert isinstance(answer, Trial)
    return answer


# Where the root tier must run, test_service_faults makes the others under a real systemd.
NAMES: Final = NEEDS_OWN_NETWORK if os.environ.get("PYNET_REQUIRE_ROOT_TIER") == "1" else FAULTS


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.root if name in NEEDS_OWN_NETWORK else ()) for name in NAMES],
)
def test_outputs_are_neutral_within_the_budget_and_the_car_at_rest_within_3_s(name: str) -> None:
    trial = _run_elsewhere(name) if name in NEEDS_OWN_NETWORK else run(FAULTS[name])
    assert trial.speed_mps > DRIVING_MPS
    assert trial.looks_hz > 1000, "the observer was too slow to prove anything"
    assert trial.neutral_ms <= FAULTS[name].budget_ms, trial
    assert trial.rest_s <= AT_REST_WITHIN_S, trial
