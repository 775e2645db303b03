"""What an Operator makes of a path: sent on both drive pairs as it is, or an error where it was made."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import pytest

from pynet_car.operator import CarRefused, Operator
from tests.car.fake_car import FakeCar
from tests.car.test_operator import wait_for


@pytest.fixture
def car() -> Iterator[FakeCar]:
    with FakeCar() as car:
        yield car


PATH = [(0.5, 0.0, 1.0), (1.0, 0.1, 0.8)]


def test_a_path_goes_out_on_two_pairs_unchanged_and_no_neutral_after_it(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        operator.drive_path(PATH, t_capture_ns=12345)
        wait_for(lambda: len(car.paths) > 4)
        commands = len(car.told)
        time.sleep(0.4)
        paths = len(car.paths)
        time.sleep(0.1)
        assert len(car.paths) == paths, "silence"
        assert len(car.told) == commands
    (path,) = {path for path, _ in car.paths}
    assert len({pair for _, pair in car.paths}) == 2
    assert (path.session, path.t_capture_ns, path.answers_ns) == (77, 12345, 12345)
    assert [(point.x_m, point.y_m, point.speed_mps) for point in path.points] == PATH
    assert path.seq > max(command.seq for command in car.commands())


def test_a_path_may_be_an_array_and_names_its_oldest_input(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        operator.drive_path(np.array(PATH, np.float32), t_capture_ns=7, answers_ns=5)
        wait_for(lambda: bool(car.paths))
    path, _ = car.paths[0]
    assert (path.t_capture_ns, path.answers_ns) == (7, 5)
    assert path.points[1].y_m == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([(0.5, 0.0), (1.0, 0.0)], "a point is x_m, y_m, speed_mps; got 2 numbers"),
        ([(0.5, 0.0, 1.0), (2.0, 0.0, 1.0)], r"points\[1\] is 1.5 m from points\[0\]"),
        ([(0.5, math.nan, 1.0), (2.0, 0.0, 1.0)], r"points\[0\] is nan m from the camera"),
    ],
)
def test_a_bad_path_is_an_error_where_it_was_made_and_never_sent(
    car: FakeCar, points: list[tuple[float, ...]], why: str
) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        with pytest.raises(ValueError, match=why):
            operator.drive_path(points, t_capture_ns=7)
    assert car.paths == []


def test_a_path_is_refused_where_a_command_would_be(car: FakeCar) -> None:
    with Operator(port=car.port) as operator, pytest.raises(CarRefused, match="nobody holds the lease"):
        operator.drive_path(PATH, t_capture_ns=7)
