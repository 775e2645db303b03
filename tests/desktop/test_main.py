"""The program from its command line, without a screen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop_app.program import close_at_signals
from pynet_car.world import BOARD_FILE


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    places = {"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_RUNTIME_DIR": "run"}
    for name in places.values():
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    env = os.environ | {key: str(folder / name) for key, name in places.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "desktop_app", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env | {"QT_QPA_PLATFORM": "offscreen", "TMPDIR": str(folder)},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["http://rover"], "is no address"),
        (["--demo", "rover"], "brings its own car"),
        (["--theme", "pink"], "pink"),
    ],
)
def test_what_makes_no_sense_is_said_on_the_command_line(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    program = start(tmp_path, *arguments)
    output, _ = program.communicate(timeout=20)
    assert program.returncode == 2
    assert says in output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is one")
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ({}, "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        ({"DISPLAY": ":4711"}, "DISPLAY=:4711: could not connect to display :4711"),
        ({"QT_QPA_PLATFORM": "none"}, 'QT_QPA_PLATFORM=none: Could not find the Qt platform plugin "none"'),
    ],
)
def test_without_a_display_it_says_so_in_one_line(place: dict[str, str], says: str) -> None:
    bare = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "HOME") if key in os.environ}
    command = [sys.executable, "-m", "desktop_app"]
    done = subprocess.run(command, env=bare | place, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pynet-desktop: there is no display here, {says}")


def folders_of(pid: int) -> set[Path]:
    """Where the cars are that this process has started; other tests have theirs beside them."""
    pids = [
        number for path in Path(f"/proc/{pid}/task").glob("*/children") for number in path.read_text().split()
    ]
    commands = [Path(f"/proc/{number}/cmdline").read_text().split("\0") for number in pids]
    return {Path(words[words.index("--runtime-dir") + 1]) for words in commands if "--runtime-dir" in words}


def test_a_signal_closes_behind_the_tick_that_it_came_in(qtbot: QtBot) -> None:
    """In the middle of one it asked for a lock that the same thread held, and the window hung for ever."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    closed: list[bool] = []
    try:
        close_at_signals(lambda: closed.append(True))
        signal.raise_signal(signal.SIGTERM)
        assert not closed
        qtbot.waitUntil(lambda: closed == [True])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.system
@pytest.mark.shared
def test_the_demo_starts_a_car_and_ends_it_with_the_window_or_its_terminal(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program = start(tmp_path, "--demo", "--theme", "light")
    request.addfinalizer(program.terminate)  # its car would drive on
    end_s = time.monotonic() + 30
    while not (folders := [folder for folder in folders_of(program.pid) if (folder / BOARD_FILE).exists()]):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    time.sleep(3.0)
    assert program.poll() is None
    program.send_signal(signal.SIGHUP)
    output, _ = program.communicate(timeout=20)
    assert program.returncode == 0, output
    assert not any(folder.exists() for folder in folders), "the car's folder goes with its processes"
    assert "Traceback" not in output
    assert not list((tmp_path / "data").rglob("crash-*"))
