"""Many pairs at one gateway, in short: `./run prove scale` is the long form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.road.figures import Figure
from tests.system.scale import (
    STREAM,
    Failed,
    Held,
    Served,
    come_and_go,
    many_pairs,
    many_subscribers,
    page,
    served,
)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Served]:
    with served() as gateway:
        yield gateway


@pytest.mark.system
@pytest.mark.shared
def test_50_pairs_are_served_at_once_and_nothing_is_left_of_them(gateway: Served) -> None:
    assert many_pairs(gateway, 50).figures["calls/s"] > 0


@pytest.mark.system
def test_10_subscribers_get_one_stream_at_its_rate(gateway: Served) -> None:
    assert many_subscribers(gateway, 10, 1.0).figures["slowest items/s"] > 15


@pytest.mark.system
@pytest.mark.shared
def test_nothing_is_left_of_500_pairs_that_came_and_went(gateway: Served) -> None:
    figures = come_and_go(gateway, 500).figures
    assert (figures["threads left"], figures["files left"]) == (0, 0)


@pytest.mark.system
@pytest.mark.shared
def test_a_thread_or_a_file_more_than_before_is_told(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.system.scale.eventually", lambda claim: claim())
    fewer = Held(threads=0, files=0, memory_bytes=0)
    with pytest.raises(Failed, match="left behind"):
        gateway.settles_at(fewer)


def test_the_page_names_its_command() -> None:
    text = page([Figure(STREAM, "50", {"slowest items/s": 30.0})], "./run prove scale --write")
    assert "\n    ./run prove scale --write\n" in text
    assert "| 50 |" in text
