"""pynet: a gateway, and a program that has started and moves a tree.

`python -m ... serve|get|put HOST PORT SOURCE TARGET`.  What it prints as `took` begins with the
first connection and leaves out Python's own start.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

from pynet_core.controller import Controller
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity

SECRET: Final = "a secret of this benchmark's"
PLACES: Final = 32
PAIRS: Final = int(os.environ.get("CONTESTANT_PAIRS", "0")) or None


def _identity() -> Identity | None:
    return Identity.from_secret(SECRET) if os.environ.get("CONTESTANT_TLS") else None


def serve(host: str, port: str, source: str, target: str) -> None:
    Gateway(
        int(port), PLACES, target, host=host, identity=_identity(), roots=[source], max_per_identity=PLACES
    ).start(blocking=True)


def get(host: str, port: str, source: str, target: str) -> None:
    controller = Controller(host, int(port), identity=_identity())
    began_s = time.perf_counter()
    controller.get_files(f"{source}/", target, pairs=PAIRS)
    print("took", time.perf_counter() - began_s)


def put(host: str, port: str, source: str, target: str) -> None:
    controller = Controller(host, int(port), identity=_identity())
    began_s = time.perf_counter()
    controller.put_files(f"{source}/", pairs=PAIRS)
    print("took", time.perf_counter() - began_s)


if __name__ == "__main__":
    {"serve": serve, "get": get, "put": put}[sys.argv[1]](*sys.argv[2:])
