"""./run sets up once, says what is missing, and never takes half a set-up for a whole one.

A copy of the script runs in an empty folder with programs of our own on PATH: a `python3` that writes down
what it is asked to do.  What pip and apt really do is seen on empty Debian machines, not here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOGETHER = f"-m pytest -n {2 * (os.cpu_count() or 1)} --dist loadscope --max-worker-restart 0 -m"

QUICK = "not system and not root and not slow"

RUN = Path(__file__).parent.parent / "run"

# Stands for every Python here: makes a venv of itself, notes pip calls and programs, fails where told to.
FAKE_PYTHON = """#!/usr/bin/env bash
case "$*" in
*"import ensurepip"*) [ ! -e no-ensurepip ] ;;
*%d.%d*) echo python3.11-venv ;;
*version_info*) [ ! -e too-old ] ;;
--version) echo Python 3.11.2 ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python; echo venv >>calls ;;
-) [ ! -e no-libraries ] ;;
"-m pip "*) echo "pip ${!#}" >>calls; [ ! -e offline ] || { echo "ERROR: no route" >&2; exit 1; } ;;
*--collect-only*) ;;  # beside the others, at any moment
*"-v --maxfail"*) echo "$*" >>calls; [ ! -e fail-again ] ;;
*)
    echo "$*" >>calls
    [ -e "fail-$2" ] || exit 0
    mkdir -p .pytest_cache/v/cache
    cp failed .pytest_cache/v/cache/lastfailed
    exit "$(cat "fail-$2")"
    ;;
esac
"""


class Checkout:
    """An empty checkout with the script in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(RUN, folder / "run")
        (folder / "pyproject.toml").write_text("one")
        tools = folder / "tools"
        tools.mkdir()
        for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
            (tools / name).write_text(FAKE_PYTHON)
            (tools / name).chmod(0o755)
        (tools / "id").write_text("#!/bin/sh\necho 1000\n")  # nobody's apt-get is ever called
        (tools / "id").chmod(0o755)

    def run(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'tools'}:{os.environ['PATH']}"
        return subprocess.run(
            [self.folder / "run", *args],
            env={"PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def touch(self, name: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).touch()

    def fail(self, tool: str, *tests: str, code: int = 1) -> None:
        """Let it end with this code from now on, with these as the tests that failed."""
        (self.folder / f"fail-{tool}").write_text(str(code))
        (self.folder / "failed").write_text(
            json.dumps(dict.fromkeys(tests, True), ensure_ascii=False, indent=2)
        )

    def calls(self) -> list[str]:
        """What was asked of Python since the last look."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


DEMO = "-m pynet_car.world.demo --headless"


def test_the_first_run_sets_up_and_the_second_does_not(checkout: Checkout) -> None:
    assert checkout.run("demo", "--headless").returncode == 0
    assert checkout.calls() == ["venv", "pip .[agent,world]", DEMO]
    assert checkout.run("demo", "--headless", "--seconds", "5").returncode == 0
    assert checkout.calls() == [f"{DEMO} --seconds 5"]


def test_only_what_another_verb_lacks_is_installed(checkout: Checkout) -> None:
    checkout.run("demo", "--headless")
    checkout.calls()
    checkout.run("lint")
    assert checkout.calls()[0] == "pip .[desktop,dev]"


def test_a_changed_pyproject_is_installed_again(checkout: Checkout) -> None:
    checkout.run("demo", "--headless")
    checkout.calls()
    (checkout.folder / "pyproject.toml").write_text("two")
    checkout.run("demo", "--headless")
    assert checkout.calls() == ["pip .[agent,world]", DEMO]


def test_a_checkout_that_moved_is_installed_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("demo", "--headless")
    checkout.calls()
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("run", "pyproject.toml", ".venv", "tools"):
        (tmp_path / name).rename(moved / name)
    checkout.folder = moved
    checkout.run("demo", "--headless")
    assert checkout.calls() == ["pip .[agent,world]", DEMO]


def test_a_venv_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.run("demo", "--headless")
    checkout.calls()
    (checkout.folder / ".venv/bin/python").unlink()
    checkout.run("demo", "--headless")
    assert checkout.calls() == ["venv", "pip .[agent,world]", DEMO]


def test_offline_is_said_and_never_counts_as_done(checkout: Checkout) -> None:
    checkout.touch("offline")
    result = checkout.run("demo", "--headless")
    assert result.returncode == 1
    assert "no route" in result.stderr
    assert "online" in result.stderr
    assert checkout.calls() == ["venv", "pip .[agent,world]"]
    (checkout.folder / "offline").unlink()
    checkout.run("demo", "--headless")
    assert checkout.calls() == ["pip .[agent,world]", DEMO]


def test_without_ensurepip_a_user_gets_the_line_to_type(checkout: Checkout) -> None:
    checkout.touch("no-ensurepip")
    result = checkout.run("demo", "--headless")
    assert result.returncode == 1
    assert result.stderr.endswith("Type:  sudo apt-get install -y python3.11-venv\n")
    assert checkout.calls() == []


def test_without_qts_libraries_a_user_gets_the_line_to_type(checkout: Checkout) -> None:
    checkout.touch("no-libraries")
    result = checkout.run("lint")
    assert result.returncode == 1
    assert "Type:  sudo apt-get install -y libglib2.0-0 libgl1 " in result.stderr
    assert checkout.calls() == []


def test_all_that_is_missing_is_one_line_to_type(checkout: Checkout) -> None:
    checkout.touch("no-libraries")
    checkout.touch("no-ensurepip")
    assert "Type:  sudo apt-get install -y python3.11-venv libglib2.0-0 " in checkout.run("lint").stderr


def test_an_old_python_is_named_and_refused(checkout: Checkout) -> None:
    checkout.touch("too-old")
    result = checkout.run("demo", "--headless")
    assert result.returncode == 1
    assert "needs Python 3.11 or newer, found Python 3.11.2" in result.stderr


def test_without_a_display_the_demo_says_so_and_drives_headless(checkout: Checkout) -> None:
    result = checkout.run("demo", "--seconds", "5")
    assert "no display here: driving headless" in result.stderr
    assert checkout.calls()[-1] == f"{DEMO} --seconds 5"


def test_with_a_display_the_demo_opens_the_window_and_installs_qt(checkout: Checkout) -> None:
    checkout.run("demo", DISPLAY=":1")
    assert checkout.calls()[-2:] == ["pip .[agent,world,desktop]", "-m desktop_app --demo"]


def test_every_check_runs_and_arguments_reach_pytest(checkout: Checkout) -> None:
    result = checkout.run("test", "--quick", "-k", "wire")
    assert result.returncode == 0
    assert result.stdout.endswith("\nPASS\n")
    assert checkout.calls()[2:] == [
        "-m ruff check",
        "-m ruff format --check",
        "-m mypy",
        "-m pytest -m not system and not root and not slow -k wire",
    ]


def test_without_arguments_only_the_tests_that_measure_run_alone(
    checkout: Checkout,
) -> None:
    assert checkout.run("test").returncode == 0
    empty_machines, processes = "tests/system/test_clean_machine.py", "not (not system and not root)"
    window = "tests/desktop/test_window_x11.py"
    calls = checkout.calls()[-5:]
    calls.remove(f"-m pytest -p no:cacheprovider {empty_machines}")  # beside the first two
    assert calls == [
        f"{TOGETHER} not system and not root",
        f"{TOGETHER.removesuffix(' -m')} --ignore={empty_machines} -m {processes} and shared",
        f"-m pytest -n 2 --dist load --max-worker-restart 0 {window}",
        f"-m pytest --ignore={window} -m {processes} and not shared",
    ]


def test_a_quick_run_leaves_out_what_takes_seconds(checkout: Checkout) -> None:
    assert checkout.run("test", "--quick").returncode == 0
    assert checkout.calls()[-2:] == [
        "-m mypy",
        f"{TOGETHER} {QUICK}",
    ]


@pytest.mark.parametrize(("tool", "name"), [("mypy", "mypy"), ("pytest", "pytest: quick")])
def test_one_failed_check_fails_the_run_and_is_named_last(checkout: Checkout, tool: str, name: str) -> None:
    checkout.fail(tool, "tests/test_it.py::test_that")
    checkout.touch("fail-again")
    result = checkout.run("test", "--quick")
    assert result.returncode == 1
    assert result.stdout.endswith(f"\nFAIL: {name}\n")
    assert "Passed only" not in result.stdout
    assert checkout.calls()[-1].startswith("-m pytest")


def test_what_failed_is_tried_once_more_alone_and_named(checkout: Checkout) -> None:
    checkout.fail("pytest", "tests/test_it.py::test_that")
    result = checkout.run("test", "--quick")
    assert result.returncode == 0
    assert checkout.calls()[-1] == "-m pytest -v --maxfail 1 tests/test_it.py::test_that"
    assert result.stdout.endswith(
        "\nPassed only when tried once more, look into them:\ntests/test_it.py::test_that\n\n\nPASS\n"
    )


def test_of_a_class_all_is_tried_once_more_for_its_tests_go_on_from_each_other(checkout: Checkout) -> None:
    one = r'tests/test_it.py::test_one["::1"-\n[a\]'
    checkout.fail("pytest", one, "t.py::TestLife::test_born", "t.py::TestLife::test_gone[::2]")
    assert checkout.run("test", "--quick").returncode == 0
    assert checkout.calls()[-1] == f"-m pytest -v --maxfail 1 t.py::TestLife {one}"


def test_a_run_that_was_cut_short_is_not_tried_once_more(checkout: Checkout) -> None:
    checkout.fail("pytest", "tests/test_it.py::test_that", code=2)
    assert checkout.run("test", "--quick").returncode == 1
    assert "--maxfail" not in checkout.calls()[-1]


def test_an_unknown_verb_shows_the_verbs(checkout: Checkout) -> None:
    result = checkout.run("fly")
    assert result.returncode == 2
    assert "./run demo" in result.stderr
    assert checkout.run().stdout == checkout.run("help").stdout
