"""A few kills in the middle of a transfer; `./run prove files` does many."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.system.file_kills import trial

KILLS: Final = 40


@pytest.mark.system
@pytest.mark.shared
def test_trees_survive_kills_of_either_end_both_ways() -> None:
    """In a process without threads, for it forks."""
    command = [sys.executable, "-m", "tests.system.tree_kills", "--kills", str(KILLS), "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all as sent" in done.stdout


@pytest.mark.system
@pytest.mark.shared
@pytest.mark.parametrize("seed", range(2))
def test_a_download_killed_three_times_at_any_byte_arrives_in_the_end(seed: int, tmp_path: Path) -> None:
    assert trial(random.Random(seed), tmp_path) > 0
