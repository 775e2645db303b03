"""The simulated pins' memory: one memory-mapped file that guardian, worker and world share.

It latches like hardware: what a killed process wrote last stays on the pins.
Each word has one writer: outputs whoever holds the pin, inputs and pose the
world.  All access is by 8-byte words through `memoryview.cast`, which moves a
word whole; `struct` moves it byte by byte and tears (measured: 18 % of reads).
Order between words relies on x86's store order, and elsewhere on the hundreds
of instructions that the interpreter puts between two stores.

Not here: what the words mean to gpiozero (`pi_agent.simulated.pins`) or to the
car (`pynet_car.world.world`).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from pynet_core.errors import HardwareError

PINS: Final = 28  # BCM 0..27, the Pi's 40-pin header
RING_EDGES: Final = 16384  # at 2,500 edges/s (3.2 m/s, 2 wheels x 98 ticks/m x 4) 6 s until one is lost

_WORD: Final = 8  # bytes
_HEADER: Final = b"PYNETBRD" + (1).to_bytes(8, "little")  # magic, version
# Word indices.  A new layout needs a new version above.
_DUTY: Final = 8
_HZ: Final = _DUTY + PINS
_LEVEL: Final = _HZ + PINS  # 0 not driven, 1 low, 2 high
_ECHO_NS: Final = _LEVEL + PINS
_ECHO_PIN: Final = _ECHO_NS + PINS  # by trigger pin: its echo pin + 1; 0 is no sonar
_POSE_SEQ: Final = _ECHO_PIN + PINS  # odd while the pose is being written
_POSE_INTS: Final = _POSE_SEQ + 1
_POSE_FLOATS: Final = _POSE_INTS + 4
_HEAD: Final = _POSE_FLOATS + 8  # edges ever written
_RING: Final = _HEAD + 1  # two words an edge: ns, pin << 1 | level
_SIZE: Final = (_RING + 2 * RING_EDGES) * _WORD

_SETTLE_S: Final = 0.25  # a writer that is merely preempted in mid-pose is back by then


class Edge(NamedTuple):
    """One level change of an input line, with its stamp (CLOCK_MONOTONIC)."""

    ns: int
    pin: int
    level: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where the car truly is: for tests, observers and scripted operators, never for the agent.

    Metres and radians in the track's frame; `ns` is 0 before the world's first step.
    """

    ns: int = 0
    crashes: int = 0  # contacts with a barrier or a box
    off_track: int = 0  # times the car's centre left the lane
    laps: int = 0
    x_m: float = 0.0
    y_m: float = 0.0
    heading_rad: float = 0.0
    velocity_mps: float = 0.0
    yaw_rate_radps: float = 0.0
    distance_m: float = 0.0  # true odometer of the centre, signed
    cross_track_m: float = 0.0  # from the centre line, + left
    arc_m: float = 0.0  # along the centre line, [0, track length)


_POSE_WORDS: Final = attrgetter(*Pose.__slots__)  # dataclasses.astuple copies deeply: 45 us


class Board:
    """One process's view of the board; any thread may call, one writer a word."""

    def __init__(self, memory: mmap.mmap, path: Path) -> None:
        """Use `Board.open`."""
        self.path = path
        self._memory = memory
        self._bytes = memoryview(memory)
        self._ints = self._bytes.cast("q")
        self._floats = self._bytes.cast("d")

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Board:
        """The board in the file `path`, made with all pins at zero if there is none.

        Raises:
            HardwareError: The file cannot be opened, is no board, or is one of another version.
        """
        path = Path(path)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)  # whoever comes second finds it complete
                size = os.fstat(fd).st_size
                if size == 0:
                    os.pwrite(fd, _HEADER, 0)
                header = os.pread(fd, len(_HEADER), 0)
                # Header alone: its maker was killed before the next line.
                if header != _HEADER or size not in (0, len(_HEADER), _SIZE):
                    raise HardwareError(
                        f"{path} is no pynet board of this version: it has {size} B, starts with {header!r}, "
                        f"expected {_SIZE} B and {_HEADER!r}; remove it or choose another runtime directory"
                    )
                os.ftruncate(fd, _SIZE)
                fcntl.flock(fd, fcntl.LOCK_UN)  # not left to close(): mmap keeps a duplicate of fd
                return cls(mmap.mmap(fd, _SIZE), path)
            finally:
                os.close(fd)
        except OSError as exc:
            raise HardwareError(f"cannot open the board {path}: {exc.strerror or exc}") from exc

    def close(self) -> None:
        """Let go of the file; every word keeps its value.  Idempotent."""
        for view in (self._floats, self._ints, self._bytes):
            view.release()
        self._memory.close()

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Outputs: the agent writes, the world reads.

    def set_output(self, pin: int, duty: float, hz: float) -> None:
        """Put a PWM duty cycle in [0, 1] on a pin; 0 Hz is a steady level, or no pulses to a servo."""
        if not (0.0 <= duty <= 1.0 and 0.0 <= hz < 1e6):
            raise ValueError(f"duty {duty} must be in [0, 1] and frequency {hz} in [0, 1e6) Hz")
        index = _line(pin)
        self._floats[_HZ + index] = hz
        self._floats[_DUTY + index] = duty

    def output(self, pin: int) -> tuple[float, float]:
        """(duty [0, 1], frequency Hz) now on a pin."""
        index = _line(pin)
        return self._floats[_DUTY + index], self._floats[_HZ + index]

    @staticmethod
    def duty_offset(pin: int) -> int:
        """Byte offset of the pin's duty word, a native double: for `neutral.json`."""
        return (_DUTY + _line(pin)) * _WORD

    # Inputs: the world writes, the agent reads.

    def write_edge(self, ns: int, pin: int, level: bool) -> None:
        """Append a level change to the ring; the oldest goes when it is full."""
        self._ints[_LEVEL + _line(pin)] = 2 if level else 1
        head = self._ints[_HEAD]
        slot = _RING + 2 * (head % RING_EDGES)
        self._ints[slot] = ns
        self._ints[slot + 1] = pin << 1 | level
        self._ints[_HEAD] = head + 1  # last: a reader never sees an edge half written

    def input_level(self, pin: int) -> bool | None:
        """The level the world last put on an input line; None if it never drove it."""
        state = self._ints[_LEVEL + _line(pin)]
        return None if state == 0 else state == 2

    def wire_echo(self, trigger_pin: int, echo_pin: int) -> None:
        """Put a sonar on these two pins: a ping on the one answers on the other."""
        self._ints[_ECHO_PIN + _line(trigger_pin)] = _line(echo_pin) + 1

    def echo_pin(self, trigger_pin: int) -> int | None:
        """The echo pin of the sonar on this trigger pin, None if there is none."""
        wired = self._ints[_ECHO_PIN + _line(trigger_pin)]
        return wired - 1 if wired else None

    def set_echo(self, echo_pin: int, width_ns: int) -> None:
        """How long an echo is from now on; 0 is none at all: a dead sonar.

        A sonar with nothing in range is not dead: it answers with 38 ms.
        """
        self._ints[_ECHO_NS + _line(echo_pin)] = width_ns

    def echo_ns(self, echo_pin: int) -> int:
        return self._ints[_ECHO_NS + _line(echo_pin)]

    # Pose: the world writes, onlookers read.

    def write_pose(self, pose: Pose) -> None:
        words = _POSE_WORDS(pose)
        seq = self._ints[_POSE_SEQ] | 1  # already odd if the last writer was killed in here
        self._ints[_POSE_SEQ] = seq
        for index, word in enumerate(words[:4], _POSE_INTS):
            self._ints[index] = word
        for index, word in enumerate(words[4:], _POSE_FLOATS):
            self._floats[index] = word
        self._ints[_POSE_SEQ] = seq + 1

    def read_pose(self) -> Pose:
        """The newest whole pose.

        Raises:
            HardwareError: The world was killed while it wrote one.
        """
        deadline = time.monotonic() + _SETTLE_S
        while (pose := self.peek_pose()) is None:
            if time.monotonic() > deadline:
                raise HardwareError(f"the pose on {self.path} never settles: the world died while writing it")
            time.sleep(0)
        return pose

    def peek_pose(self) -> Pose | None:
        """The newest pose, or None while one is being written: for who must not wait."""
        seq = self._ints[_POSE_SEQ]
        ints = self._ints[_POSE_INTS:_POSE_FLOATS].tolist()
        floats = self._floats[_POSE_FLOATS:_HEAD].tolist()
        if seq & 1 or seq != self._ints[_POSE_SEQ]:
            return None
        return Pose(**dict(zip(Pose.__slots__, ints + floats, strict=True)))


class EdgeReader:
    """Reads the ring from now on; its owner's thread only."""

    def __init__(self, board: Board) -> None:
        self._ints = board._ints
        self._next = self._ints[_HEAD]
        self.overrun = 0  # edges lost because we came too late

    def poll(self) -> list[Edge]:
        """All edges since the last poll, oldest first; those overwritten before are counted in `overrun`."""
        head = self._ints[_HEAD]
        if head == self._next:
            return []
        first = max(self._next, head - RING_EDGES)
        start, stop = first % RING_EDGES, (head - 1) % RING_EDGES + 1
        if start < stop:
            words = self._slots(start, stop)
        else:
            words = self._slots(start, RING_EDGES) + self._slots(0, stop)
        # The writer may have come round while we copied, and may be inside the slot after its head now.
        intact = max(first, self._ints[_HEAD] - RING_EDGES + 1)
        self.overrun += min(intact, head) - self._next
        self._next = head
        skip = 2 * (intact - first)
        return [
            Edge(ns, code >> 1, bool(code & 1))
            for ns, code in zip(words[skip::2], words[skip + 1 :: 2], strict=True)
        ]

    def _slots(self, start: int, stop: int) -> list[int]:
        return self._ints[_RING + 2 * start : _RING + 2 * stop].tolist()


def _line(pin: int) -> int:
    if not 0 <= pin < PINS:
        raise ValueError(f"BCM pin {pin} is not on the board: 0 to {PINS - 1}")
    return pin
