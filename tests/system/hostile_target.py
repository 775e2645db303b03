"""A gateway with one of everything, in a process of its own: what tests.system.frames attacks.

`python -m tests.system.hostile_target FOLDER`: gives away FOLDER/root, takes
uploads into FOLDER/up, says its port, and ends when its stdin does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pynet_core.gateway import Gateway

LARGE: Final = bytes(range(250)) * 160  # 40 KB


def count(number: int) -> Iterator[tuple[int, bytes]]:
    for each in range(number):
        yield each, b"%d" % each


def tick() -> Iterator[tuple[int, bytes]]:
    number = 0
    while True:
        yield number, b"%d" % number
        number += 1
        time.sleep(0.001)


def take(*_: Any, **__: Any) -> int:
    return 0


def main() -> None:
    folder = Path(sys.argv[1])
    gateway = Gateway(0, 1000, str(folder / "up"), host="127.0.0.1", roots=[folder / "root"])
    gateway.add_subroutine("count", count)
    gateway.add_subroutine("large", lambda: LARGE)
    gateway.add_subroutine("take", take)
    gateway.add_subroutine("own", tick)
    gateway.add_subroutine("newest", tick, keep="latest")
    gateway.add_subroutine("shared", tick, shared=True)
    gateway.add_subroutine("camera", tick, shared=True, keep="latest")
    with gateway:
        print(gateway.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
