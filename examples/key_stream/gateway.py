"""Streams the keys pressed in the terminal it runs in, to everybody who asks for them.

    python gateway.py [--port 1857]

Ctrl-D or Ctrl-C ends it.  The terminal is as it was before when it has ended.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Iterator

import pynet

END = "\x04"  # Ctrl-D
KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)  # arrows and the like are sequences


@contextlib.contextmanager
def key_by_key(terminal: int) -> Iterator[None]:
    """The terminal hands over each key at once and shows none; Ctrl-C still interrupts."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSADRAIN)  # what has been typed already is kept
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal itself may be gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def keys(terminal: int) -> Iterator[str]:
    """Each key pressed: a character or an escape sequence; until Ctrl-D, or the terminal is gone."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may come in two reads
    while True:
        try:
            typed = os.read(terminal, 1024)
        except OSError:  # EIO: the window was closed
            return
        for key in KEY.findall(decoder.decode(typed)):
            if key == END:
                return
            yield key
        if not typed:
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=1857)
    options = parser.parse_args()
    terminal = sys.stdin.fileno()
    if not os.isatty(terminal):
        sys.exit("stdin is no terminal: start it in a window where you can type")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the terminal is restored then, too
    feed = pynet.Feed()
    gateway = pynet.Gateway(options.port)
    gateway.add_subroutine("keys", feed)
    with contextlib.suppress(KeyboardInterrupt), key_by_key(terminal), gateway:
        print(f"streams what you type here on port {options.port}; Ctrl-D ends it", flush=True)
        for key in keys(terminal):
            feed.put(key.encode())


if __name__ == "__main__":
    main()
