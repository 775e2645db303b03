"""A few kills in the middle of a download; `python -m tests.system.file_kills` does many."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.system.file_kills import trial


@pytest.mark.system
@pytest.mark.parametrize("seed", range(2))
def test_a_download_killed_three_times_at_any_byte_arrives_in_the_end(seed: int, tmp_path: Path) -> None:
    assert trial(random.Random(seed), tmp_path) > 0
