"""A skip of the root tier is a failure where CI says so, and a promise of safety is not tried once more."""

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
    said = run_suite(tmp_path, SUITE, PYNET_REQUIRE_ROOT_TIER=required)
    assert summary in said
    assert ("no namespaces here" in said) == bool(required)  # the reason is still told


PROMISES = """
import pytest

@pytest.mark.promise
def test_the_motor_stops(): pass

def test_the_picture_is_pretty(): pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(("again", "summary"), [("1", "1 passed, 1 error"), ("", "2 passed")])
def test_a_broken_promise_is_not_tried_once_more(again: str, summary: str, tmp_path: Path) -> None:
    assert summary in run_suite(tmp_path, PROMISES, PYNET_TRIED_AGAIN=again)


def run_suite(folder: Path, suite: str, **environment: str) -> str:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = root\n promise\n")
    (folder / "test_suite.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, **environment}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return run.stdout + run.stderr + f"ended with {run.returncode}"
