"""Ports that may be closed and opened again: nobody else gets them meanwhile."""

from __future__ import annotations

import socket
import sys
from typing import Final

_held: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port of this machine on which nothing listens, and will not unless it is asked for by its number.

    It stays bound until this process ends, so the system gives it to no other
    connection or listener; with SO_REUSEADDR, which every listener of ours
    sets, Linux lets one listen there all the same.
    """
    claim = socket.socket()
    claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    claim.bind(("", 0))
    port: int = claim.getsockname()[1]
    if sys.platform == "linux":
        _held.append(claim)
    else:
        claim.close()
    return port
