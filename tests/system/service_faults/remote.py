"""Somebody at the far end of the link, told what to do line by line:

    python -m tests.system.service_faults.remote HOST PORT BOARD IDENTITY_DIR PRIORITY

Each line on stdin gets one line of JSON, an `Answer`.  Its eyes are the true
pose on the board; all it does to the car goes through the sockets.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.messages import Priority, State
from pynet_car.operator import Operator
from pynet_car.world.board import Board
from pynet_car.world.driver import Teacher
from pynet_core.errors import PynetError
from pynet_core.keys import Identity
from pynet_core.trust import TrustStore

PERIOD_S: Final = 0.02
SPEED_MPS: Final = 1.0
FOLLOW_PERIOD_S: Final = 0.07  # a network's, 14 Hz
FOLLOW_MPS: Final = 1.9
PATIENCE_S: Final = 25.0
TRUST_FILE: Final = "trusted"
MARK_FIRST: Final = 0.2  # steering of the first marked command
MARK_STEP: Final = 1e-4


class Answer(msgspec.Struct, kw_only=True):
    ns: int  # monotonic, just before the act
    took_s: float
    error: str = ""
    state: str = ""
    reason: str = ""
    frames: int = 0
    marks: list[int] = []  # monotonic ns at which the stick of each marked command was sampled


class Remote:
    """An Operator and the thread that drives with it."""

    def __init__(self, car: Operator, board_path: Path) -> None:
        self._car = car
        self._board_path = board_path
        self._drives = threading.Event()
        self._frozen = False
        self._follows = False  # it sends paths
        self._frames = 0
        self._marks: list[int] | None = None  # None: it drives by what it sees
        threading.Thread(target=self._drive, daemon=True).start()

    def obey(self, word: str) -> Answer:
        before_ns = time.monotonic_ns()
        error = ""
        try:
            match word.split():
                case ["drive"] | ["follow"]:
                    self._follows = word.strip() == "follow"
                    self._get_going()
                case ["rest"]:
                    self._drives.clear()
                case ["look"]:
                    pass
                case ["mark"]:
                    self._marks = []
                case ["marks"]:
                    self._drives.clear()
                case ["watch"]:
                    self._watch()
                case ["e_stop"]:
                    self._car.e_stop()
                case ["freeze"]:
                    self._frozen = True
                case _:
                    error = f"unknown: {word!r}"
        except PynetError as exc:
            error = str(exc)
        took_s = (time.monotonic_ns() - before_ns) / 1e9
        status = self._car.status
        return Answer(
            ns=before_ns,
            took_s=took_s,
            error=error,
            state=status.state.name,
            reason=status.reason,
            frames=self._frames,
            marks=self._marks or [] if word.strip() == "marks" else [],
        )

    def _watch(self) -> None:
        """Take all that a window takes."""

        def count(frame: object) -> None:
            self._frames += 1

        self._car.on_frame(count)
        for stream in (self._car.on_proximity, self._car.on_odometry, self._car.on_event):
            stream(lambda message: None)

    def _get_going(self) -> None:
        """Arm, whatever has become of car and link meanwhile, and drive.

        Raises:
            PynetError: Not within PATIENCE_S; the newest reason.
        """
        self._drives.clear()
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self._car.status.state is State.E_STOP and self._car.is_connected:
                    self._car.reset()
                self._car.lease(take=True)
                self._car.arm()
            except PynetError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)
            else:
                self._drives.set()
                return

    def _drive(self) -> None:
        while True:
            self._drives.wait()
            with Board.open(self._board_path) as board:
                teacher, guide = Teacher(max_speed_mps=SPEED_MPS), Teacher(max_speed_mps=FOLLOW_MPS)
                while self._drives.is_set():
                    if self._marks is not None:
                        if self._car.status.state is State.DISARMED:
                            with contextlib.suppress(PynetError):
                                self._car.arm()
                        steering = MARK_FIRST + MARK_STEP * len(self._marks)
                        self._marks.append(time.monotonic_ns())
                        self._car.wish(0.0, steering)
                    elif self._follows:
                        pose = board.read_pose()
                        try:
                            with contextlib.suppress(PynetError):
                                self._car.drive_path(guide.path(pose), t_capture_ns=pose.ns)
                        except ValueError:  # it stands across its lane: by stick until a path leads forward
                            self._car.wish(*teacher(pose))
                    elif not self._frozen:
                        self._car.wish(*teacher(board.read_pose()))
                    time.sleep(FOLLOW_PERIOD_S if self._follows else PERIOD_S)


def main() -> None:
    host, port, board_path, folder, priority = sys.argv[1:]
    identity = Identity.load(Path(folder))
    trust = TrustStore(Path(folder) / TRUST_FILE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(PynetError):
            rank = Priority[priority]
            car = Operator(host, int(port), name="remote", priority=rank, identity=identity, trust=trust)
            break
        if time.monotonic() > deadline_s:
            sys.exit(f"no car at {host} port {port} within {PATIENCE_S:g} s")
    remote = Remote(car, Path(board_path))
    for line in sys.stdin:
        sys.stdout.buffer.write(msgspec.json.encode(remote.obey(line)) + b"\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
