"""What one types first on an empty machine works; `./run prove clean` runs all the quick tests there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.base_root import SUITES, CannotRun
from tests.system.clean_machine import LOGS, first_steps

# What needs the most from outside: cryptography, OpenCV, gpiozero, Qt.
SOME = (
    "tests/core/test_tls.py",
    "tests/car/test_world_camera.py",
    "tests/agent/test_simulated_pins.py",
    "tests/desktop/test_look_banner.py",
)
STEP_S = 600.0  # a quarter of it on a machine that has nothing else to do


@pytest.mark.system
@pytest.mark.shared
@pytest.mark.root
@pytest.mark.timeout(4 * STEP_S)
def test_both_debians_clone_test_and_drive_with_nothing_but_python_and_git() -> None:
    """Both at once: half of it is waiting for packages."""

    def begin(suite: str) -> dict[str, float]:
        return first_steps(suite, LOGS / f"clean-{suite}.log", *SOME, step_s=STEP_S)

    with ThreadPoolExecutor() as pool:
        begun = [pool.submit(begin, suite) for suite in SUITES]
    try:
        for each in begun:
            print(each.result())
    except CannotRun as exc:
        pytest.skip(str(exc))
