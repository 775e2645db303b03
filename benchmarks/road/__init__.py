"""What `./run bench links` is made of: a link between two namespaces, and what travels over it.

The files `*_end.py` are contestants: `python -m benchmarks.road.NAME_end show SECONDS`
prints `port N` and shows PICTURE_BYTES 30 times a second to whoever looks; `... look HOST PORT SECONDS`
prints the age of each picture that came, in ms.  Each imports its own library and nothing of pynet,
so that it runs in an environment that has only that.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

FPS: Final = 30
PICTURE_BYTES: Final = 31_667  # 7.6 Mbit/s: 640x480 at quality 75
_STAMP: Final = struct.Struct("<q")


def pictures(seconds: float) -> Iterator[bytes]:
    """As a camera gives them: on its own clock, and nobody may hold it up for long."""
    start_s = time.monotonic()
    for number in range(round(seconds * FPS)):
        time.sleep(max(0.0, start_s + number / FPS - time.monotonic()))
        yield _STAMP.pack(time.monotonic_ns()).ljust(PICTURE_BYTES, b"\x55")


def age_ms(picture: bytes) -> float:
    """Both ends are on one machine, so they have one clock."""
    assert len(picture) == PICTURE_BYTES
    stamp_ns: int = _STAMP.unpack_from(picture)[0]
    return (time.monotonic_ns() - stamp_ns) / 1e6


def play(show: Callable[[float], None], look: Callable[[str, int, float], list[float]]) -> None:
    """What a contestant's file does when it is run."""
    if sys.argv[1] == "show":
        show(float(sys.argv[2]))
        return
    _, _, host, port, seconds = sys.argv
    print("ages", json.dumps(look(host, int(port), float(seconds))), flush=True)
