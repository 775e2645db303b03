"""Paths through everything: Operator, sockets, worker, guardian, pins; each a sixth of a second old."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import pytest

from pynet_car.messages import PATH_REACH_M, PathPoint, Priority, State
from pynet_car.operator import Operator
from pynet_car.world.board import Board
from pynet_car.world.driver import Teacher
from pynet_car.world.launch import SimulatedCar

pytestmark = pytest.mark.system

LATE_S: Final = 0.16
PERIOD_S: Final = 0.07
DRIVE_S: Final = 6.0


def test_it_keeps_its_lane_on_late_paths_and_stands_within_the_last_one() -> None:
    teacher = Teacher()
    on_their_way: deque[tuple[float, tuple[PathPoint, ...], int]] = deque()
    errors = []
    with (
        SimulatedCar() as simulated,
        Board.open(simulated.board_path) as board,
        Operator(port=simulated.port, priority=Priority.NETWORK) as car,
    ):
        car.arm()
        trips = car.status.counters.failsafe_trips
        end_s = time.monotonic() + DRIVE_S
        while time.monotonic() < end_s:
            pose = board.read_pose()
            errors.append(abs(pose.cross_track_m))
            on_their_way.append((time.monotonic() + LATE_S, teacher.path(pose), pose.ns))
            while on_their_way and on_their_way[0][0] <= time.monotonic():
                _, points, t_capture_ns = on_their_way.popleft()
                car.drive_path(points, t_capture_ns=t_capture_ns)
            time.sleep(PERIOD_S)
        left_m, begun = car.status.path_left_m, board.read_pose()
        assert begun.velocity_mps > 0.5
        deadline_s = time.monotonic() + 6.0  # no word any more
        while board.read_pose().velocity_mps > 0.0 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        stood = board.read_pose()
        state = car.status.state
    errors.sort()
    assert (stood.off_track, stood.crashes) == (0, 0)
    assert begun.distance_m > 5.0
    assert errors[int(0.95 * len(errors))] < 0.12
    assert car.status.counters.failsafe_trips - trips <= 2, "the end, and perhaps the begin"
    assert 0.3 < stood.distance_m - begun.distance_m <= min(PATH_REACH_M, left_m + 0.1)
    assert state in (State.FAILSAFE, State.DISARMED)
