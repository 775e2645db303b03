"""examples/key_stream: what is typed in one terminal is printed by another process."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.core.loopback import eventually

EXAMPLE: Final = Path(__file__).parents[2] / "examples/key_stream"
START_S: Final = 20.0  # a Python on a busy machine
pytestmark = [pytest.mark.system, pytest.mark.shared]


class Typed:
    """The gateway in a terminal of its own, and a controller whose output is read."""

    def __init__(self, port: int) -> None:
        self.keyboard, self.terminal = pty.openpty()
        self.mode = termios.tcgetattr(self.terminal)
        self.said = b""
        self.printed: list[str] = []
        self._port = port
        self._threads: list[threading.Thread] = []
        self.gateway = self._start("gateway.py", self.terminal)
        self._read(self._read_screen)
        assert eventually(lambda: b"Ctrl-D" in self.said, START_S), self.said
        self.controller = self._start("controller.py", subprocess.DEVNULL)
        self._read(self._read_controller)
        assert eventually(lambda: "waiting for keys" in self.printed, START_S), self.printed
        self.printed.clear()

    def type(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def type_until_heard(self) -> None:
        """A stream begins a moment after its controller has said it waits: press until it has."""
        while not self.printed:
            self.type(b"?")
            eventually(lambda: self.printed, 0.2)

    def heard(self) -> list[str]:
        """Those printed, without the first ones."""
        return [key for line in self.printed if (key := line.partition(" ")[2]) != "?"]

    def mode_is_restored(self) -> bool:
        return termios.tcgetattr(self.terminal) == self.mode

    def close(self) -> None:
        for process in (self.gateway, self.controller):
            process.kill()
            process.wait()
        os.close(self.terminal)
        for thread in self._threads:
            thread.join()
        os.close(self.keyboard)
        assert self.controller.stdout is not None
        self.controller.stdout.close()

    def _start(self, script: str, stdin: int) -> subprocess.Popen[bytes]:
        output = self.terminal if script == "gateway.py" else subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, EXAMPLE / script, "--port", str(self._port)],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def _read(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target))
        self._threads[-1].start()

    def _read_screen(self) -> None:
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while data := os.read(self.keyboard, 1024):
                self.said += data

    def _read_controller(self) -> None:
        assert self.controller.stdout is not None
        for line in self.controller.stdout:
            self.printed.append(line.decode().rstrip("\n"))


@pytest.fixture
def typed(free_port: int) -> Iterator[Typed]:
    typed = Typed(free_port)
    try:
        yield typed
    finally:
        typed.close()


def test_each_key_comes_once_and_in_order_special_ones_by_name(typed: Typed) -> None:
    typed.type_until_heard()
    typed.type("aé\x1b[A\x1b\n\x01z".encode())
    assert eventually(lambda: "z" in typed.heard())
    assert typed.heard() == ["a", "é", "Up", "Esc", "Enter", r"'\x01'", "z"]
    assert b"az" not in typed.said  # and it is not echoed where it is typed


def test_half_a_character_waits_for_its_other_half(typed: Typed) -> None:
    typed.type_until_heard()
    typed.type(b"a" + "é".encode()[:1])
    assert eventually(lambda: "a" in typed.heard())
    typed.type("é".encode()[1:] + b"z")
    assert eventually(lambda: "z" in typed.heard())
    assert typed.heard() == ["a", "é", "z"]


@pytest.mark.parametrize("end", [b"\x04", signal.SIGINT, signal.SIGTERM], ids=str)
def test_the_terminal_is_as_before_when_it_has_ended(typed: Typed, end: bytes | signal.Signals) -> None:
    typed.type_until_heard()
    assert not typed.mode_is_restored()
    if isinstance(end, bytes):
        typed.type(end)
    else:
        typed.gateway.send_signal(end)
    assert typed.gateway.wait(10) == 0
    assert typed.mode_is_restored()
    assert typed.controller.wait(10) in (0, 1)  # the end of the stream, or of the pair, whichever came first
    assert "Traceback" not in "\n".join(typed.printed)
    assert b"Traceback" not in typed.said


def test_without_a_terminal_it_says_so(free_port: int) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE / "gateway.py", "--port", str(free_port)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "stdin is no terminal: start it in a window where you can type\n"
