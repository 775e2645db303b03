"""The real window in a real X server, driving the simulated car, watched by an observer of the board."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.world.board import Board
from pynet_car.world.launch import SimulatedCar
from tests.desktop.xserver import X
from tests.system.observer import Log

SOON_S: Final = 20.0
DRIVING_MPS: Final = 0.5


class Window:
    """The launcher's process: what it says, in order, and what it is told."""

    def __init__(self, x: X, port: int, folder: Path, log: int = subprocess.DEVNULL) -> None:
        self._said: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.desktop.launcher", str(port), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"DISPLAY": x.display, "QT_QPA_PLATFORM": "xcb"},
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.id = int(self.wait_for("window"))

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait_for(self, start: str, timeout_s: float = SOON_S) -> str:
        """The rest of the next line that starts so; lines before it are forgotten."""
        with self._changed:

            def found() -> int | None:
                return next((i for i, line in enumerate(self._said) if line.startswith(start)), None)

            if not self._changed.wait_for(lambda: found() is not None, timeout_s):
                raise TimeoutError(f"the window does not say {start!r}; it said {self._said}")
            at = found()
            assert at is not None
            line = self._said[at]
            del self._said[: at + 1]
        return line.removeprefix(start).strip()

    def said(self) -> list[str]:
        """What it said since the last `wait_for`."""
        with self._changed:
            return list(self._said)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._said.append(line.strip())
                self._changed.notify_all()


class Rig:
    """One car, one window with the focus, one observer."""

    def __init__(self, x: X, car: SimulatedCar, window: Window, observer: subprocess.Popen[bytes]) -> None:
        self.x = x
        self.car = car
        self.window = window
        self.board = Board.open(car.board_path)
        self._observer = observer

    def arm(self) -> None:
        for patience_s in (SOON_S / 4, SOON_S / 4, SOON_S):
            self.x.tap("Return")
            with contextlib.suppress(TimeoutError):  # a window that was stuck just now does not do it
                self.window.wait_for("state ARMED", patience_s)
                break
        self.await_hands()

    def await_hands(self) -> None:
        """Until what is held next will drive: neutral was seen while armed."""
        self.window.tell("hands")
        self.window.wait_for("hands")

    def await_speed(self, patience_s: float = SOON_S) -> float:
        """Wait until it drives faster than DRIVING_MPS; returns how fast."""
        end_s = time.monotonic() + patience_s
        while (speed_mps := self.board.read_pose().velocity_mps) < DRIVING_MPS + 0.1:
            if time.monotonic() > end_s:
                raise TimeoutError(f"the car does not reach {DRIVING_MPS} m/s, it goes {speed_mps:.2f}")
            time.sleep(0.005)
        return speed_mps

    @property
    def duty(self) -> float:
        return self.board.output(12)[0] - self.board.output(13)[0]

    def stop_watching(self) -> Log:
        """What the observer saw from the start until now."""
        self._observer.terminate()
        output, _ = self._observer.communicate(timeout=10)
        return msgspec.json.decode(output.partition(b"\n")[2], type=Log)


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """While it lasts no other process has one: nothing starts while something is measured."""
    with (Path(tempfile.gettempdir()) / f"pynet-window-turn-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def rig(x: X, folder: Path) -> Iterator[Rig]:
    """Everything running, connected and with the focus; nothing armed."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log.txt").open("ab"))
        car = stack.enter_context(SimulatedCar(log=log))
        observer = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.system.observer", str(car.board_path)], stdout=subprocess.PIPE
            )
        )
        stack.callback(observer.kill)
        assert observer.stdout is not None
        window = Window(x, car.port, folder, log.fileno())
        stack.callback(window.end)
        found = Rig(x, car, window, observer)
        stack.callback(found.board.close)
        window.wait_for("ready")
        x.focus(window.id)
        window.tell("front")
        window.wait_for("front")
        yield found
