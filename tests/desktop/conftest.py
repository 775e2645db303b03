"""Cycles are freed as in the program: by the GUI thread, and not in the middle of a paint."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Final

import pytest

MANY: Final = 20_000  # objects since the last collection


@pytest.fixture(autouse=True)
def no_garbage_is_freed_in_a_paint() -> Iterator[None]:
    gc.disable()
    yield
    if gc.get_count()[0] > MANY:
        gc.collect()
    gc.enable()
