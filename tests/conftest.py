"""What holds for every test: no display, no wall clock in Hypothesis, no silent skip of the root tier.

A test that needs root, or a tool only CI has, calls `pytest.skip` with the
reason (or uses `skipif`).  Where PYNET_REQUIRE_ROOT_TIER=1 is set (`.ci/run`
does as root), such a skip of a test marked `root` or `x11` is a failure: CI may not
turn green because the faults were never injected.  (Skip in the test or a
fixture: a skip of a whole module carries no marker and would pass unseen.)

`./run test` tries what failed once more, with PYNET_TRIED_AGAIN=1; a test
marked `promise` then fails without being run.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests import ports

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before anything imports Qt

# Two shared cores: how long an example takes says nothing about the code.
settings.register_profile("pynet", deadline=None)
settings.load_profile("pynet")

NO_SKIP = os.environ.get("PYNET_REQUIRE_ROOT_TIER") == "1"
TRIED_AGAIN = os.environ.get("PYNET_TRIED_AGAIN") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    is_skip = report.skipped and not hasattr(report, "wasxfail")
    if NO_SKIP and is_skip and any(item.get_closest_marker(tier) for tier in ("root", "x11")):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{why}\nPYNET_REQUIRE_ROOT_TIER=1: the root tier must run here, not be skipped"
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    if TRIED_AGAIN and item.get_closest_marker("promise"):
        pytest.fail("a promise of safety that was broken once is broken", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def no_identity(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests, and the processes they start, know nothing of who this machine is to others."""
    os.environ["PYNET_HOME"] = str(tmp_path_factory.mktemp("home") / "pynet")
    os.environ.pop("PYNET_KEY", None)


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nothing listens on, nor will unless this test does."""
    return ports.free_port()
