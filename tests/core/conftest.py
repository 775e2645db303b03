"""Every test of the core ends with the threads it began with: a leak fails the test that leaked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.loopback import eventually, our_threads


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    yield
    assert eventually(lambda: not our_threads()), f"still running: {our_threads()}"
