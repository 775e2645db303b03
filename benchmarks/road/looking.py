"""How old a picture is when it has come over a link that is too thin for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final

from benchmarks.road.link import Road

ROOT: Final = Path(__file__).parent.parent.parent
SECRET: Final = "a secret of this benchmark's"
WARM_UP: Final = 0.2  # of the pictures, left out
LIMIT_S: Final = 20.0  # over the time it takes


class Failed(Exception):
    """A contestant did not do it; its last words."""


def look(name: str, python: Path, where: Road, seconds: float) -> list[float]:
    """Ages of the pictures in ms, without the first.

    Raises:
        Failed: Nothing came.
    """
    module = (str(python), "-m", f"benchmarks.road.{name}_end")
    with _start(where.at(where.robot), *module, "show", str(seconds + 2)) as showing:
        try:
            port = _word(showing, "port", LIMIT_S)
            viewer = (*module, "look", where.host, port, str(seconds))
            with _start(where.at(where.driver), *viewer) as looking:
                try:
                    ages: list[float] = json.loads(_word(looking, "ages", seconds + LIMIT_S))
                finally:
                    looking.kill()
        finally:
            showing.kill()
    if not ages:
        raise Failed("no picture came")
    return ages[int(len(ages) * WARM_UP) :]


def _start(inside: tuple[str, ...], *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*inside, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYNET_KEY": SECRET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _word(process: subprocess.Popen[str], word: str, limit_s: float) -> str:
    """What comes after that word."""
    limit = threading.Timer(limit_s, process.kill)
    limit.start()
    try:
        said: IO[str] = process.stdout or sys.stdin
        for line in said:
            if line.startswith(f"{word} "):
                return line.removeprefix(f"{word} ").strip()
    finally:
        limit.cancel()
    process.kill()
    words = process.communicate()[1].strip().rpartition("\n")[2]
    raise Failed(words or f"no word within {limit_s:g} s")
