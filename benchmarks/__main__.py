"""`python -m benchmarks NAME [--json] ...`: run one benchmark; without a name, list them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import files, links, messages, round_trip, tls, window

# name: (what it measures, its main(argv))
BENCHMARKS: Final[dict[str, tuple[str, Callable[[Sequence[str]], None]]]] = {
    "files": ("trees of files against rsync's daemon, tar, scp, rclone and others; links", files.main),
    "links": ("pictures and commands over thin, busy and poor links; as root, --peers: pyzmq", links.main),
    "messages": ("calls and streams against raw sockets, --peers [all]: other libraries", messages.main),
    "round_trip": ("a no-op buffer call against raw Python sockets", round_trip.main),
    "tls": ("what TLS costs: round trip, 40 KB items, files, opening a pair", tls.main),
    "window": ("the desktop window: frame to paint, key to motor, memory, CPU", window.main),
}


def main(argv: Sequence[str]) -> int:
    """Run what the first argument names; 2 when there is no such benchmark."""
    if argv and argv[0] in BENCHMARKS:
        BENCHMARKS[argv[0]][1](argv[1:])
        return 0
    for name, (summary, _) in BENCHMARKS.items():
        print(f"{name:12} {summary}")
    return 2 if argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
