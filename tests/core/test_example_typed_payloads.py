"""examples/typed_payloads: objects from one process to another and back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

EXAMPLE: Final = Path(__file__).parents[2] / "examples/typed_payloads"
pytestmark = [pytest.mark.system, pytest.mark.shared]


@pytest.fixture
def port() -> Iterator[int]:
    """Of the example's gateway, which looks 100 times a second."""
    command = [sys.executable, str(EXAMPLE / "gateway.py"), "--port", "0", "--period", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rpartition(" ")[2])
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            finally:
                process.kill()


def control(port: int, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE / "controller.py", "--port", str(port), "--target", target],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_greenhouse_gets_to_where_it_is_told_and_is_seen_getting_there(port: int) -> None:
    done = control(port, "24")
    assert (done.returncode, done.stderr) == (0, "")
    air_c = [float(line.split()[2].rstrip(",")) for line in done.stdout.splitlines()]
    assert air_c == sorted(air_c)
    assert air_c[0] < 23 <= air_c[-1] < 24
    assert done.stdout.splitlines()[-1].endswith(f"soil {air_c[-1] - 1:.1f} {air_c[-1] - 2.5:.1f}")


def test_what_the_subroutine_refuses_is_told_in_its_words(port: int) -> None:
    done = control(port, "50")
    assert (done.returncode, done.stderr) == (1, "plants want 5 to 35 degrees, not 50\n")
