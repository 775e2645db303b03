"""`python -m pynet_car.world` as a process: in time with the clock, alone in its folder, and gone cleanly."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pynet_car.messages import CameraFrame, decode
from pynet_car.world import MAX_FRAME_BYTES
from pynet_car.world.board import Board, EdgeReader
from pynet_car.world.driver import Teacher
from pynet_car.world.wiring import WIRING

pytestmark = pytest.mark.system


@contextlib.contextmanager
def world(runtime_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pynet_car.world", "--runtime-dir", str(runtime_dir), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("simulated world ready: track")
            yield process
        finally:
            process.kill()


def run(runtime_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pynet_car.world", "--runtime-dir", str(runtime_dir), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def connect(runtime_dir: Path) -> socket.socket:
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.settimeout(10)
    reader.connect(str(runtime_dir / "camera.sock"))
    return reader


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_drives_by_the_board_in_time_with_the_clock(tmp_path: Path) -> None:
    with world(tmp_path, "--width", "160", "--height", "120"), Board.open(tmp_path / "board") as board:
        edges, reader, teacher = EdgeReader(board), connect(tmp_path), Teacher(max_speed_mps=1.0)
        frames: list[CameraFrame] = []
        reader.setblocking(False)
        taken = []
        begun_m, begun_ns = board.read_pose().distance_m, time.monotonic_ns()
        while board.read_pose().distance_m < begun_m + 1.5:
            pose = board.read_pose()
            now_ns = time.monotonic_ns()
            assert pose.ns <= now_ns
            wish = teacher(pose)
            board.set_output(WIRING.forward_pin, max(0.0, wish.throttle), 100.0)
            board.set_output(WIRING.steering_pin, (0.0015 + 0.0005 * wish.steering) * 50.0, 50.0)
            with contextlib.suppress(BlockingIOError):
                frames.append(decode(reader.recv(MAX_FRAME_BYTES), CameraFrame))
                assert frames[-1].captured_ns < time.monotonic_ns()
            taken += edges.poll()
            assert now_ns - begun_ns < 20e9
            time.sleep(0.01)
        reader.close()
        pose = board.read_pose()
        taken += edges.poll()
    assert (pose.crashes, pose.off_track) == (0, 0)
    # Each wheel gives 4 edges a tick; the last poll is a moment newer than the pose.
    measured_m = len(taken) / 2 / 4 / WIRING.ticks_per_m
    assert measured_m == pytest.approx(pose.distance_m - begun_m, abs=0.05)
    assert [edge.ns for edge in taken] == sorted(edge.ns for edge in taken)
    assert len(frames) > 10
    assert len({frame.jpeg for frame in frames}) == len(frames)
    assert len({frame.captured_ns for frame in frames}) == len(frames)


@pytest.mark.shared
def test_a_second_world_in_the_same_folder_is_refused_and_the_first_lives_on(tmp_path: Path) -> None:
    with world(tmp_path) as first:
        second = run(tmp_path)
        assert second.returncode == 1
        assert second.stderr == f"world: ERROR: another simulated world runs in {tmp_path}\n"
        with connect(tmp_path) as reader:
            assert decode(reader.recv(MAX_FRAME_BYTES), CameraFrame).seq == 0
        assert first.poll() is None


@pytest.mark.shared
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order_and_the_pins_keep_their_levels(
    tmp_path: Path, number: signal.Signals
) -> None:
    with world(tmp_path) as process, Board.open(tmp_path / "board") as board:
        board.set_output(WIRING.forward_pin, 0.3, 100.0)
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0
        assert "Traceback" not in errors
        assert board.output(WIRING.forward_pin) == (0.3, 100.0)
    assert not (tmp_path / "camera.sock").exists()


@pytest.mark.shared
def test_after_a_kill_the_next_world_takes_over_board_and_socket(tmp_path: Path) -> None:
    with Board.open(tmp_path / "board") as board:
        with world(tmp_path) as process:
            process.kill()
            process.wait()
        assert (tmp_path / "camera.sock").exists()
        killed_ns = board.read_pose().ns
        with world(tmp_path), connect(tmp_path) as reader:
            assert decode(reader.recv(MAX_FRAME_BYTES), CameraFrame).seq == 0
            assert board.read_pose().ns > killed_ns


def test_a_world_that_was_stopped_goes_on_from_now_and_says_so(tmp_path: Path) -> None:
    with world(tmp_path) as process, Board.open(tmp_path / "board") as board:
        board.set_output(WIRING.forward_pin, 0.3, 100.0)
        wait_until(lambda: board.read_pose().velocity_mps > 0.2)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        stopped = board.read_pose()
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        # Not the end of the turn it was stopped in, but the next, which finds itself late.
        wait_until(lambda: board.read_pose().ns > stopped.ns + 400_000_000)
        # It stood for half a second: at this speed 10 cm and more, had it made up for them.
        assert board.read_pose().distance_m - stopped.distance_m < 0.08
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert re.search(r"^world: WARNING: the world stood still for \d{3,} ms$", errors, re.MULTILINE)


@pytest.mark.shared
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "board").write_bytes(b"not a board")
    broken = run(tmp_path)
    assert broken.returncode == 1
    assert broken.stderr.startswith(f"world: ERROR: {tmp_path}/board is no pynet board")
    assert broken.stderr.count("\n") == 1
    (tmp_path / "file").touch()
    nowhere = run(tmp_path / "file" / "sub")
    assert nowhere.returncode == 1
    assert "as runtime directory: Not a directory\n" in nowhere.stderr
    assert nowhere.stderr.count("\n") == 1
    bad = run(tmp_path, "--fps", "0")
    assert bad.returncode == 2
    assert "--fps: 0 is not within 1 to 120" in bad.stderr
