"""A skip of the root tier is a failure where PYNET_REQUIRE_ROOT_TIER=1, and only there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

@pytest.mark.root
def test_in_the_body(): pytest.skip("no namespaces here")

@pytest.mark.root
@pytest.mark.skipif(True, reason="not root")
def test_by_a_mark(): pass

@pytest.mark.root
def test_known_to_fail(): pytest.xfail("not here yet")

def test_of_another_tier(): pytest.skip("no window here")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("required", "summary"),
    [("1", "1 failed, 1 skipped, 1 xfailed, 1 error"), ("", "3 skipped, 1 xfailed")],
)
def test_skips_of_the_root_tier(required: str, summary: str, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = root\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        env=os.environ | {"PYNET_REQUIRE_ROOT_TIER": required},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert summary in run.stdout
    assert ("no namespaces here" in run.stdout) == bool(required)  # the reason is still told
