"""One trial of one fault, and the record of all there have been."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from pynet_car.world.board import Board
from tests.system.observer import FORWARD_PIN
from tests.system.service_faults.fault import Fault
from tests.system.service_faults.rig import AIR, WORLD_UNIT, Broken, Rig
from tests.system.stops import DRIVING_MPS, await_speed, judge, observing

AFTER_S: Final = 0.6  # on top of the promise: that neutral stays
STEADILY_S: Final = 0.15
LOOKS_HZ: Final = 1000  # an observer that looks less often proves nothing
IN_LANE_M: Final = 0.3
PATIENCE_S: Final = 8.0
VOID_TRIALS: Final = 4
FAILURES: Final = (Broken, TimeoutError, OSError, RuntimeError)  # of the service, or of whoever looks at it
SOURCE: Final = Path(__file__).resolve().parents[3]
JUDGED: Final = ("pi_agent", "pynet_core", "pynet_car", "systemd", "tests/system")  # what a figure is about


class Record(msgspec.Struct, kw_only=True):
    """One trial, as it is kept."""

    fault: str
    suite: str
    when: str
    neutral_ms: float | None = None  # None: never, while watched
    speed_mps: float = 0.0
    rolled_m: float = 0.0
    looks_hz: float = 0.0
    worst_gap_ms: float = 0.0  # between two looks
    broken: str = ""  # what did not hold afterwards


class Void(Exception):
    """The motor did not drive when it happened: the trial says nothing."""


def trial(rig: Rig, fault: Fault, suite: str) -> Record:
    """Drive, make it happen, watch, look around, mend; `broken` says what could not be done."""
    for _ in range(VOID_TRIALS):
        record = Record(fault=fault.name, suite=suite, when=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
        try:
            _make_and_watch(rig, fault, record)
            fault.after(rig)
        except (*FAILURES, Void) as exc:
            record.broken = str(exc) or type(exc).__name__
            is_void = isinstance(exc, Void)
        else:
            is_void = False
        try:
            fault.undo(rig)
        except FAILURES as exc:
            record.broken = record.broken or f"cannot be mended: {exc}"
        if not is_void:
            break
    return record


def _make_and_watch(rig: Rig, fault: Fault, record: Record) -> None:
    with Board.open(rig.robot.board_path) as board, observing(rig.robot.board_path) as observer:
        _get_going(rig, fault, board)
        observer.await_watching()
        _await_drive(board)
        fault_ns = fault.make(rig)
        time.sleep(max(0.0, fault_ns / 1e9 + fault.promise_ms / 1000 + AFTER_S - time.monotonic()))
        log = observer.stop()
    then = [sample for sample in log.samples if sample.ns <= fault_ns][-1]
    if then.duty == 0.0 or then.velocity_mps <= DRIVING_MPS:
        raise Void(f"duty {then.duty:.2f}, {then.velocity_mps:.2f} m/s when it happened: this proves nothing")
    seen = judge(fault.name, log, fault_ns, then.velocity_mps)
    record.neutral_ms = seen.neutral_ms if math.isfinite(seen.neutral_ms) else None
    record.speed_mps, record.rolled_m = seen.speed_mps, seen.rolled_m
    record.looks_hz, record.worst_gap_ms = seen.looks_hz, seen.worst_gap_ms


def _get_going(rig: Rig, fault: Fault, board: Board) -> None:
    """Drive at more than 0.6 m/s, whatever was before.

    Raises:
        Broken: Nothing helps.
    """
    rig.link.shape(AIR)
    if rig.remote is None or rig.remote.poll() is not None or rig.priority is not fault.priority:
        rig.start_remote(fault.priority)
    rig.ask(fault.word)
    if abs(board.read_pose().cross_track_m) < IN_LANE_M:
        with contextlib.suppress(TimeoutError):
            await_speed(board, STEADILY_S, patience_s=PATIENCE_S)
            return
    # It rolled into a barrier, where its own reflex holds it: back to the start.
    rig.box.run(f"systemctl restart {WORLD_UNIT}")
    rig.ask(fault.word)
    await_speed(board, STEADILY_S)


def _await_drive(board: Board) -> None:
    """Wait until the motor drives the car at more than 0.5 m/s right now.

    Raises:
        Broken: It never does.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while board.read_pose().velocity_mps <= DRIVING_MPS + 0.05 or not board.output(FORWARD_PIN)[0]:
        if time.monotonic() > deadline_s:
            raise Broken(f"the motor does not drive the car at more than {DRIVING_MPS} m/s")
        time.sleep(0.001)


class Ledger:
    """Every trial of this very code, a line each; what was kept before counts on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"service-{_code()}.jsonl"
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        self.records = list(_whole(lines))

    def add(self, record: Record) -> None:
        self.records.append(record)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _whole(lines: Iterable[bytes]) -> Iterator[Record]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Record)
        except msgspec.DecodeError:
            continue  # we were killed while it was written


def _code() -> str:
    digest = hashlib.sha256()
    for name in JUDGED:
        for path in sorted((SOURCE / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(SOURCE)} {path.stat().st_size}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def is_red(record: Record, fault: Fault, *, leeway_ms: float = 0.0) -> bool:
    """Whether this trial failed."""
    is_late = record.neutral_ms is None or record.neutral_ms > fault.promise_ms + leeway_ms
    return is_late or bool(record.broken) or record.looks_hz < LOOKS_HZ


def say(record: Record, fault: Fault) -> str:
    """One trial in one line."""
    found = "never" if record.neutral_ms is None else f"{record.neutral_ms:.1f} ms"
    verdict = f"RED {record.broken}".rstrip() if is_red(record, fault) else "ok"
    return f"{fault.name}: {found}, promised {fault.promise_ms:.0f} ms: {verdict}"


class Row(msgspec.Struct, kw_only=True):
    """What all trials of one fault came to."""

    fault: str
    promise_ms: float
    trials: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    rolled_m: float  # at most
    slowest_look_hz: float
    broken: tuple[str, ...]
    failed: int  # trials that were over the promise, or broken

    @property
    def holds(self) -> bool:
        return not self.failed


def row(fault: Fault, records: Iterable[Record]) -> Row | None:
    """None when it was never tried."""
    own = [record for record in records if record.fault == fault.name]
    if not own:
        return None
    times = sorted(math.inf if record.neutral_ms is None else record.neutral_ms for record in own)
    return Row(
        fault=fault.name,
        promise_ms=fault.promise_ms,
        trials=len(own),
        p50_ms=statistics.median(times),
        p99_ms=times[math.ceil(0.99 * len(times)) - 1],
        max_ms=times[-1],
        rolled_m=max(record.rolled_m for record in own),
        slowest_look_hz=min(record.looks_hz for record in own),
        broken=tuple(record.broken for record in own if record.broken),
        failed=sum(is_red(record, fault) for record in own),
    )
