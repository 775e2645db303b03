"""The window from outside: how soon a picture is painted, a key reaches the motor, and what it all costs.

A real X server (Xvfb), the real window in a process of its own.  Pictures:
720p at 30 a second with four rangers, an encoder and all charts, from a robot
that is another process.  Keys: the simulated car, a key injected into the X
server until the duty on the board changes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynet_car.world.board import Board
from pynet_car.world.launch import SimulatedCar, cpu_s
from tests.desktop.window_rig import Window
from tests.desktop.xserver import X, missing, x_server
from tests.system.observer import BACKWARD_PIN, FORWARD_PIN

WIDTH_PX: Final = 1280  # of the pictures that `paced_robot` sends
HEIGHT_PX: Final = 720
FIELDS: Final = 16  # bits of a picture's number that it draws in the middle
FIELD_PX: Final = 32
WARM_UP_S: Final = 10.0
KEYS_WITHIN_S: Final = 2.0
FOLDER: Final = Path("out/bench-window")
GOALS: Final = {
    "paint_p50_ms": 10.0,
    "paint_p99_ms": 33.0,
    "key_p50_ms": 20.0,
    "key_p99_ms": 40.0,
    "loop_gap_p99_ms": 50.0,
    "memory_growth_percent": 5.0,
    "cpu_percent": 60.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFigures:
    """What `seconds` of pictures and `keys` key events showed."""

    seconds: float
    pictures: int
    fps: float
    paint_p50_ms: float
    paint_p99_ms: float
    loop_gap_p50_ms: float
    loop_gap_p99_ms: float
    loop_gap_max_ms: float
    cpu_percent: float  # of one core
    memory_mb: float  # after the warm-up
    memory_growth_percent: float
    screenshots: int
    screen_behind_most: int  # pictures that the screen was behind what was painted when the shot was taken
    screen_ahead_most: int  # pictures that came between the report and the shot
    keys: int
    key_p50_ms: float
    key_p99_ms: float


def measure(seconds: float, keys: int) -> WindowFigures:
    """Both parts, one after the other."""
    with x_server() as x:
        pictures = _pictures(x, seconds)
        return WindowFigures(**pictures, **_keys(x, keys))


def main(argv: Sequence[str]) -> None:
    """The command line: a table, or with --json one WindowFigures."""
    parser = argparse.ArgumentParser(prog="window", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of pictures; 600 shows whether memory is flat"
    )
    parser.add_argument("--keys", type=int, default=100, help="key events")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if missing():
        parser.error(missing())
    found = measure(args.seconds, args.keys)
    if args.json:
        print(json.dumps(dataclasses.asdict(found)))
        return
    print(f"the window, {found.seconds:.0f} s of 720p at {found.fps:.1f} pictures a second, all charts")
    for name, value in dataclasses.asdict(found).items():
        goal = GOALS.get(name)
        verdict = "" if goal is None else f"   goal {goal:g}  {'ok' if value <= goal else 'OVER'}"
        print(f"  {name:24} {value:10.2f}{verdict}")


# Pictures.


def _pictures(x: X, seconds: float) -> dict[str, Any]:
    latencies_ms: list[float] = []
    gaps_ms: list[float] = []
    behind: list[int] = []
    memory_mb: list[float] = []
    with _robot() as port, _subject(x, port) as (subject, where):
        begun_s = used_s = 0.0
        for line in _lines_for(subject, WARM_UP_S + seconds):
            if time.monotonic() - line.begun_s < WARM_UP_S:
                begun_s, used_s = time.monotonic(), cpu_s(subject.pid)
                continue
            latencies_ms += line.figures["latencies_ms"]
            gaps_ms += line.figures["gaps_ms"]
            memory_mb.append(line.figures["rss_mb"])
            shown = _number_on_screen(x, where)
            if shown is not None:
                half = 1 << (FIELDS - 1)
                behind.append((line.figures["painted"] - shown + half) % (2 * half) - half)
        elapsed_s = time.monotonic() - begun_s
        cpu = cpu_s(subject.pid) - used_s
    early = memory_mb[: max(1, len(memory_mb) // 10)]
    late = memory_mb[-len(early) :]
    before, after = sum(early) / len(early), sum(late) / len(late)
    return {
        "seconds": elapsed_s,
        "pictures": len(latencies_ms),
        "fps": len(latencies_ms) / elapsed_s,
        "paint_p50_ms": _at(latencies_ms, 0.5),
        "paint_p99_ms": _at(latencies_ms, 0.99),
        "loop_gap_p50_ms": _at(gaps_ms, 0.5),
        "loop_gap_p99_ms": _at(gaps_ms, 0.99),
        "loop_gap_max_ms": max(gaps_ms),
        "cpu_percent": 100 * cpu / elapsed_s,
        "memory_mb": before,
        "memory_growth_percent": 100 * (after / before - 1),
        "screenshots": len(behind),
        "screen_behind_most": max(behind),
        "screen_ahead_most": -min(behind),
    }


@contextlib.contextmanager
def _robot() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.paced_robot"], stdout=subprocess.PIPE, text=True
    ) as robot:
        try:
            assert robot.stdout is not None
            yield int(robot.stdout.readline())
        finally:
            robot.kill()


@contextlib.contextmanager
def _subject(x: X, port: int) -> Iterator[tuple[subprocess.Popen[str], tuple[int, ...]]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.window_subject", str(port), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"DISPLAY": x.display, "QT_QPA_PLATFORM": "xcb"},
        ) as subject,
    ):
        try:
            assert subject.stdout is not None
            window, *where = (int(word) for word in subject.stdout.readline().split()[1:])
            x.focus(window)
            yield subject, tuple(where)
        finally:
            subject.kill()


@dataclass(frozen=True, slots=True)
class _Line:
    begun_s: float
    figures: dict[str, Any]


def _lines_for(subject: subprocess.Popen[str], seconds: float) -> Iterator[_Line]:
    assert subject.stdout is not None
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < seconds:
        line = subject.stdout.readline()
        if not line:
            raise RuntimeError("the window has ended")
        yield _Line(begun_s, json.loads(line))


def _number_on_screen(x: X, where: tuple[int, ...]) -> int | None:
    """The number in the middle of the picture, as the screen shows it; None when its fields are not clear."""
    left, top, width, height = where
    scale = min(width / WIDTH_PX, height / HEIGHT_PX)
    middle_x, middle_y = left + width / 2, top + height / 2
    first_x = middle_x - FIELDS * FIELD_PX * scale / 2
    row = x.pixels(int(first_x), int(middle_y), int(FIELDS * FIELD_PX * scale) + 1, 1)
    number = 0
    for bit in range(FIELDS):
        at = int((bit + 0.5) * FIELD_PX * scale)
        green = row[4 * at + 1]
        if 64 < green < 192:
            return None
        number |= (green >= 192) << bit
    return number


# Keys.


def _keys(x: X, count: int) -> dict[str, Any]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    dice = random.Random(5)
    took_ms: list[float] = []
    with (
        (FOLDER / "log.txt").open("wb") as log,
        SimulatedCar(log=log) as car,
        Board.open(car.board_path) as board,
    ):
        window = Window(x, car.port, FOLDER, log.fileno())
        try:
            window.wait_for("ready")
            x.focus(window.id)
            time.sleep(1.0)
            x.tap("Return")
            window.wait_for("state ARMED")
            time.sleep(0.5)
            for _ in range(count // 4):
                for key in ("Up", "Down"):  # to and fro: the car stays where it is
                    took_ms.append(_until_changed(board, x.press(key), is_driving=True))
                    time.sleep(0.1 + 0.1 * dice.random())
                    took_ms.append(_until_changed(board, x.release(key), is_driving=False))
                    time.sleep(0.3 + 0.1 * dice.random())
        finally:
            window.end()
    return {"keys": len(took_ms), "key_p50_ms": _at(took_ms, 0.5), "key_p99_ms": _at(took_ms, 0.99)}


def _until_changed(board: Board, since_ns: int, *, is_driving: bool) -> float:
    """From the key to a duty on either motor pin, or to the first step toward none."""
    before = _duty(board)
    while True:
        now_ns = time.monotonic_ns()
        duty = _duty(board)
        if (duty != 0.0) if is_driving else (abs(duty) < abs(before) or before == 0.0):
            return (now_ns - since_ns) / 1e6
        if now_ns - since_ns > KEYS_WITHIN_S * 1e9:
            raise TimeoutError(f"the duty stays at {duty} for {KEYS_WITHIN_S:g} s after the key")
        time.sleep(0.0003)


def _duty(board: Board) -> float:
    return board.output(FORWARD_PIN)[0] - board.output(BACKWARD_PIN)[0]


def _at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
