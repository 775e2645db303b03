"""The floor: one stream of bytes by sendfile and splice, all into one file.  No names, no check.

`python -m ... serve HOST PORT SOURCE` serves one connection; `... fetch HOST PORT TARGET`.  Linux only.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import Final

PIPE_BYTES: Final = 1024 * 1024
NAME: Final = "stream"
_F_SETPIPE_SZ: Final = 1031


def serve(host: str, port: str, source: str) -> None:
    with socket.create_server((host, int(port))) as listener:
        sock, _ = listener.accept()
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for path in sorted(path for path in Path(source).rglob("*") if path.is_file()):
            with path.open("rb") as file:
                sock.sendfile(file)


def fetch(host: str, port: str, target: str) -> None:
    inlet, outlet = os.pipe()
    fcntl.fcntl(outlet, _F_SETPIPE_SZ, PIPE_BYTES)
    with socket.create_connection((host, int(port))) as sock, Path(target, NAME).open("wb") as file:
        while come := os.splice(sock.fileno(), outlet, PIPE_BYTES):
            while come:
                come -= os.splice(inlet, file.fileno(), come)


if __name__ == "__main__":
    {"serve": serve, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
