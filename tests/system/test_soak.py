"""The soak's judgement can fail; `./run prove soak` makes it of the real service."""

from __future__ import annotations

import pytest

from tests.system.service_faults.soak import Sample, judge

SECONDS = 300


def samples(*, cpu: float = 0.2, growth: float = 0.0, fps: float = 30.0) -> list[Sample]:
    """A sample a second; `growth` is the worker's, over the whole time."""
    return [
        Sample(float(s), cpu * s, 20_000, round(50_000 * (1 + growth * s / SECONDS)), round(fps * s))
        for s in range(SECONDS)
    ]


def test_a_service_that_stays_as_it_is_holds() -> None:
    assert judge(samples()) == []


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"cpu": 0.36}, "36 % of a core"),
        ({"growth": 0.2}, "the worker's memory is not flat"),
        ({"growth": -0.2}, "the worker's memory is not flat"),
        ({"fps": 20.0}, "did not have its full work"),
    ],
)
def test_what_is_not_so_is_told(what: dict[str, float], says: str) -> None:
    (wrong,) = judge(samples(**what))
    assert says in wrong


def test_too_short_a_time_proves_nothing() -> None:
    (wrong,) = judge(samples()[:80])
    assert "let it run longer" in wrong
