"""The contract's own traps."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap

import msgspec
import pytest

from pynet_car.messages import DrivePath, PathPoint, Status, decode, encode


def test_twenty_threads_may_be_the_first_to_decode_a_status() -> None:
    """msgspec 0.22 crashed in about 1 of 30 such starts; two status streams begin just so."""
    script = textwrap.dedent("""
        import sys, threading
        from pynet_car.messages import State, Status, decode, encode
        sys.setswitchinterval(1e-6)
        data = encode(Status(boot=1, stamp_ns=1, state=State.ARMED, reason="x"))
        barrier = threading.Barrier(20)
        def run():
            barrier.wait()
            decode(data, Status)
        threads = [threading.Thread(target=run) for _ in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """)
    for _ in range(10):
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_lists_nested_deeper_than_the_stack_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="Status"):
        decode(b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0", Status)


NAN, INF = math.nan, math.inf
Points = list[tuple[float, float, float]]


def path(points: Points, *, t_capture_ns: int = 5, answers_ns: int = 5) -> DrivePath:
    return DrivePath(
        session=1,
        seq=2,
        points=tuple(PathPoint(*point) for point in points),
        t_capture_ns=t_capture_ns,
        answers_ns=answers_ns,
    )


@pytest.mark.parametrize(
    "points",
    [
        [(0.0, 0.0, 1.0), (0.5, 0.0, 1.0)],
        [(0.2, 0.1, 0.0), (0.3, 0.19, 20.0)],
        [(0.05 * i, 0.0, 1.0) for i in range(64)],
    ],
)
def test_a_good_path_arrives_as_it_was(points: Points) -> None:
    assert decode(encode(path(points)), DrivePath) == path(points)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([], r"points must be 2 to 64, got 0"),
        ([(0.5, 0.0, 1.0)], r"points must be 2 to 64, got 1"),
        ([(0.02 * i, 0.0, 1.0) for i in range(65)], r"points must be 2 to 64, got 65"),
        ([(0.5, 0.0, 1.0), (NAN, 0.0, 1.0)], r"points\[1\] is nan m from points\[0\]"),
        ([(0.5, INF, 1.0), (0.6, 0.0, 1.0)], r"points\[0\] is inf m from the camera"),
        ([(0.5, 0.0, 1.0), (0.9, 0.0, NAN)], r"points\[1\]: speed_mps must be in \[0, 20\], got nan"),
        ([(0.5, 0.0, -0.1), (0.9, 0.0, 1.0)], r"points\[0\]: speed_mps must be in \[0, 20\], got -0.1"),
        ([(0.5, 0.0, 1.0), (0.9, 0.0, 21.0)], r"points\[1\]: speed_mps must be in \[0, 20\], got 21"),
        ([(1.1, 0.0, 1.0), (1.2, 0.0, 1.0)], r"points\[0\] is 1.1 m from the camera, allowed is 1 m"),
        ([(0.5, 0.0, 1.0), (0.5, 1.5, 1.0)], r"points\[1\] is 1.5 m from points\[0\], allowed is 1 m"),
        ([(0.5, 0.0, 1.0), (0.5, 0.0, 1.0)], r"points\[1\] lies on points\[0\]"),
        ([(-0.5, 0.0, 1.0), (0.1, 0.0, 1.0)], r"points\[0\] leads back: the car drives forward"),
        ([(0.5, 0.0, 1.0), (0.9, 0.0, 1.0), (0.7, 0.1, 1.0)], r"points\[2\] leads back"),
    ],
)
def test_a_bad_path_is_refused_whole_and_says_why(points: Points, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        path(points)
    raw = {"type": "DrivePath", "session": 1, "seq": 2, "points": points, "t_capture_ns": 5, "answers_ns": 5}
    with pytest.raises(ValueError, match=why):
        decode(msgspec.msgpack.encode(raw), DrivePath)


@pytest.mark.parametrize(("t_capture_ns", "answers_ns"), [(2**63, 5), (-1, -1), (5, -1)])
def test_a_path_whose_stamps_are_none_is_refused_where_it_is_made(t_capture_ns: int, answers_ns: int) -> None:
    with pytest.raises(ValueError, match=r"stamps are ns of the car's clock, 0 to 2\*\*63 - 1; got"):
        DrivePath(
            session=1,
            seq=1,
            points=(PathPoint(0.5, 0.0, 1.0), PathPoint(1.0, 0.0, 1.0)),
            t_capture_ns=t_capture_ns,
            answers_ns=answers_ns,
        )


def test_a_path_whose_oldest_input_is_younger_than_its_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="answers_ns 6 is after t_capture_ns 5"):
        path([(0.5, 0.0, 1.0), (0.9, 0.0, 1.0)], answers_ns=6)
