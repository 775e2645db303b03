"""The README's Python runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pynet_car.world.launch import SimulatedCar

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def run(snippet: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_two_snippets() -> None:
    assert len(SNIPPETS) == 2


@pytest.mark.slow
def test_the_sensor_snippet_prints_every_item(free_port: int) -> None:
    lines = run(SNIPPETS[0].replace("1857", str(free_port))).splitlines()
    assert lines == [f"{second} {20 + second / 10} °C" for second in range(5)]


@pytest.mark.system
@pytest.mark.shared
def test_the_car_snippet_drives_and_shows_the_ranges() -> None:
    with SimulatedCar() as car:
        shown = run(SNIPPETS[1].replace("Operator()", f"Operator(port={car.port})"))
    assert len(shown.splitlines()) > 20
