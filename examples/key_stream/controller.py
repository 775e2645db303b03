"""Prints the keys pressed at a gateway as they come.

python controller.py [--gateway ADDRESS] [--port 1857]
"""

from __future__ import annotations

import argparse
import contextlib
import sys

import pynet

NAMES = {
    "\x1b[A": "Up",
    "\x1b[B": "Down",
    "\x1b[C": "Right",
    "\x1b[D": "Left",
    "\x1b": "Esc",
    "\n": "Enter",
    "\t": "Tab",
    "\x7f": "Backspace",
    " ": "Space",
}


def show(name: str, ident: int, buffer: bytes) -> None:
    """Print one key; never as it is, for it may hold what would command this terminal."""
    key = buffer.decode(errors="replace")
    print(ident, NAMES.get(key) or (key if key.isprintable() else repr(key)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="", help="without it: this machine")
    parser.add_argument("--port", type=int, default=1857)
    options = parser.parse_args()
    controller = pynet.Controller(options.gateway, options.port)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            with controller.get_client() as client:
                print("waiting for keys", flush=True)
                client.get_subroutine_stream("keys", show)
        except pynet.LinkError as exc:
            sys.exit(f"the gateway has gone: {exc}")


if __name__ == "__main__":
    main()
