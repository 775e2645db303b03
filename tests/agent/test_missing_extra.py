"""pynet-agent where gpiozero is not installed: pip installs it with the extra `agent` only."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pi_agent.procs import EXIT_CONFIG

# As where there is none: nothing of the package is found.
WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nowhere())
from pi_agent.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def without(package: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, package, *words], capture_output=True, text=True)


@pytest.mark.slow
def test_a_daemon_without_gpiozero_says_in_one_line_what_to_type() -> None:
    done = without("gpiozero", "run")
    assert done.returncode == EXIT_CONFIG
    (line,) = done.stderr.splitlines()
    assert "gpiozero" in line and line.endswith("pip install 'gpiozero~=2.0.1'")


@pytest.mark.slow
def test_doctor_works_without_gpiozero_and_tells_of_it() -> None:
    done = without("gpiozero", "doctor")
    assert done.returncode == 1
    assert "gpiozero 2.0 is needed and is not installed" in done.stdout
    assert "Traceback" not in done.stderr
