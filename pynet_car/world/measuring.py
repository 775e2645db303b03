"""Drive the simulated car round the track by the true pose, and measure everything, through the sockets.

World and agent run as on a Pi, as processes of their own, and trust the
operator here alone: TLS, with keys made for this one run.  It is scripted and
sees the true pose on the board, but its commands, and all that it measures, go
through the swarm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pynet_car.messages import CameraFrame, Odometry, Scan, State, Status
from pynet_car.operator import CarRefused, Operator
from pynet_car.world.board import Board
from pynet_car.world.driver import Teacher
from pynet_car.world.launch import SimulatedCar, cpu_s
from pynet_car.world.sheet import contact_sheet
from pynet_car.world.track import Track
from pynet_core.errors import DeadlineExceeded
from pynet_core.keys import Identity
from pynet_core.trust import TRUST_FILE, TrustStore

PERIOD_S: Final = 0.02
FIRST_ITEMS_S: Final = 10.0
ROLL_OUT_S: Final = 2.5
SHEET_FRAMES: Final = 12


class Log:
    """What came in over the swarm.  Each list is filled by one stream's thread."""

    def __init__(self, car: Operator, seconds: float) -> None:
        self.frame_ages_ms: list[float] = []
        self.frame_at_s: list[float] = []
        self.frame_hashes: set[int] = set()
        self.pictures: list[bytes] = []
        self.command_ages_ms: list[float] = []
        self.scans = 0
        self.odometry: Odometry | None = None
        self._car = car
        self._picture_every_s = seconds / SHEET_FRAMES
        car.on_frame(self._take_frame)
        car.on_proximity(self._take_scan)
        car.on_odometry(self._take_odometry)
        car.on_status(self._take_status)

    def _take_frame(self, frame: CameraFrame) -> None:
        self.frame_ages_ms.append((self._car.car_now_ns() - frame.captured_ns) / 1e6)
        self.frame_at_s.append(time.monotonic())
        self.frame_hashes.add(hash(frame.jpeg))
        since_s = self.frame_at_s[-1] - self.frame_at_s[0]
        if len(self.pictures) < SHEET_FRAMES and since_s >= len(self.pictures) * self._picture_every_s:
            self.pictures.append(frame.jpeg)

    def _take_scan(self, scan: Scan) -> None:
        self.scans += 1

    def _take_odometry(self, odometry: Odometry) -> None:
        self.odometry = odometry

    def _take_status(self, status: Status) -> None:
        if status.state is State.ARMED and status.command_age_ns >= 0:
            self.command_ages_ms.append(status.command_age_ns / 1e6)


def drive(car: Operator, board: Board, teacher: Teacher, seconds: float) -> int:
    """Follow the track for a while; returns how often the car had to be armed again."""
    rearmed = -1
    end_s = time.monotonic() + seconds
    next_s = time.monotonic()
    while time.monotonic() < end_s:
        try:
            car.drive(*teacher(board.read_pose()))
        except CarRefused:
            car.arm()
            rearmed += 1
        next_s = max(next_s + PERIOD_S, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))
    return rearmed


def measure(simulated: SimulatedCar, seed: int, seconds: float, sheet: Path) -> dict[str, float]:
    """Drive for `seconds` and measure; what the camera saw goes to `sheet`."""
    teacher = Teacher(Track(seed))
    keys = simulated.let_in("demo")
    identity, trust = Identity.load(keys), TrustStore(keys / TRUST_FILE)
    with (
        Board.open(simulated.board_path) as board,
        Operator(port=simulated.port, name="demo", identity=identity, trust=trust) as car,
    ):
        pids = {
            "guardian": simulated.guardian_pid,
            "worker": simulated.worker_pid,
            "world": simulated.world_pid,
        }
        log = Log(car, seconds)
        _await(lambda: log.odometry is not None and bool(log.frame_ages_ms), "camera and encoder")
        assert log.odometry is not None
        begun_m, truth_begun_m = log.odometry.distance_m, board.read_pose().distance_m
        used_s = {name: cpu_s(pid) for name, pid in pids.items()}
        scans_before, begun_s = log.scans, time.monotonic()
        rearmed = drive(car, board, teacher, seconds)
        elapsed_s = time.monotonic() - begun_s
        used_s = {name: cpu_s(pid) - used_s[name] for name, pid in pids.items()}
        status, scans = car.status, log.scans - scans_before
        car.disarm()
        time.sleep(ROLL_OUT_S)
        pose = board.read_pose()
        encoder_m, truth_m = log.odometry.distance_m - begun_m, pose.distance_m - truth_begun_m
    contact_sheet(log.pictures, sheet)
    frames_s = log.frame_at_s[-1] - log.frame_at_s[0]
    return {
        "seconds": elapsed_s,
        "distance_by_encoder_m": encoder_m,
        "distance_truth_m": truth_m,
        "distance_error_percent": 100 * (encoder_m / truth_m - 1),
        "fps": (len(log.frame_at_s) - 1) / frames_s,
        "frames": len(log.frame_at_s),
        "frames_distinct": len(log.frame_hashes),
        **_percentiles("frame_age_ms", log.frame_ages_ms),
        **_percentiles("command_age_ms", log.command_ages_ms),
        "scans_hz": scans / elapsed_s,
        **{f"cpu_{name}_percent": 100 * used / elapsed_s for name, used in used_s.items()},
        "laps": pose.laps,
        "off_track": pose.off_track,
        "crashes": pose.crashes,
        "failsafe_trips": status.counters.failsafe_trips,
        "rearmed": rearmed,
    }


def _await(is_so: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + FIRST_ITEMS_S
    while not is_so():
        if time.monotonic() > deadline_s:
            raise DeadlineExceeded(f"{what}: nothing came within {FIRST_ITEMS_S:g} s")
        time.sleep(0.01)


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99}
    return {f"{name}_{p}": ordered[min(len(ordered) - 1, int(q * len(ordered)))] for p, q in at.items()}
