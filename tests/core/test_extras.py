"""Programs where an extra of theirs is not installed: a line that says what to type."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from pi_agent.procs import EXIT_CONFIG
from pynet_core.extras import missing

# As where there is none: nothing of the package is found.
WITHOUT = """
import importlib, sys
class Nowhere:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nowhere())
sys.exit(importlib.import_module(sys.argv[2]).main(sys.argv[3:]))
"""


def without(package: str, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, package, program, *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_a_daemon_without_gpiozero_says_in_one_line_what_to_type() -> None:
    done = without("gpiozero", "pi_agent.__main__", "run")
    assert done.returncode == EXIT_CONFIG
    (line,) = done.stderr.splitlines()
    assert line.startswith("agent: gpiozero is not installed, and this needs it; type:  pip install ")


@pytest.mark.slow
def test_a_window_without_qt_says_in_one_line_what_to_type() -> None:
    done = without("PyQt5", "desktop_app.__main__")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("pynet-desktop: PyQt5 is not installed, and this needs it; type:  pip install ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "words", "package"),
    [("world", ["--runtime-dir", "/nowhere"], package) for package in ("cv2", "numpy", "simplejpeg")]
    + [("demo", ["--headless"], package) for package in ("cv2", "numpy")],
)
def test_a_simulated_world_without_its_libraries_says_in_one_line_what_to_type(
    program: str, words: list[str], package: str
) -> None:
    module = "pynet_car.world.__main__" if program == "world" else "pynet_car.world.demo"
    done = without(package, module, *words)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{program}: {package} is not installed, and this needs it; type:  pip install ")


@pytest.mark.slow
def test_doctor_works_without_gpiozero_and_tells_of_it() -> None:
    done = without("gpiozero", "pi_agent.__main__", "doctor")
    assert done.returncode == 1
    assert "gpiozero 2.0 is needed and is not installed" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_packages_are_those_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    required = [
        "click>=8",
        "PyQt5>=5.15 ; extra == 'desktop'",
        'numpy ; extra == "desktop"',
        "x; extra == 'dev'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: required)
    said = missing(ModuleNotFoundError(name="PyQt5.QtCore"), "desktop", frozenset({"PyQt5"}))
    assert said == "PyQt5 is not installed, and this needs it; type:  pip install 'PyQt5>=5.15' numpy"


def test_from_its_source_the_extra_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", none)
    said = missing(ModuleNotFoundError(name="PyQt5"), "desktop", frozenset({"PyQt5"}))
    assert said.endswith("pip install '.[desktop]'")


def test_a_module_of_our_own_that_is_missing_is_a_bug_and_stays_one() -> None:
    with pytest.raises(ModuleNotFoundError):
        missing(ModuleNotFoundError(name="pynet_car.messages"), "agent", frozenset({"gpiozero"}))
