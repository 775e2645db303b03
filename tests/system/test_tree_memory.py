"""Ten thousand files and a sparse one of 4 GB in little memory; `./run prove trees` takes a million."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.system
@pytest.mark.shared
def test_many_files_and_a_large_sparse_one_fit_in_100_mb_at_either_end() -> None:
    """In a process without threads, for it forks."""
    command = [sys.executable, "-m", "tests.system.tree_memory", "--files", "10000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "limit 100" in done.stdout
