"""The camera's socket: newest frame only, to every reader, and no work while nobody looks."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pynet_car.messages import CameraFrame, decode
from pynet_car.world import DEFAULT_SEED, MAX_FRAME_BYTES
from pynet_car.world.board import Pose
from pynet_car.world.camera import Camera, Lens
from pynet_car.world.frames import FrameServer
from pynet_car.world.track import Track
from pynet_core.errors import HardwareError

TRACK = Track(DEFAULT_SEED)
CAMERA = Camera(TRACK, Lens(width_px=64, height_px=48))
FPS = 100


class Poses:
    """A pose for each frame that is drawn: the n-th has ns = n."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self) -> Pose:
        self.drawn += 1
        return Pose(ns=self.drawn, x_m=TRACK.point(0)[0], y_m=TRACK.point(0)[1])


@pytest.fixture
def poses() -> Poses:
    return Poses()


@pytest.fixture
def server(tmp_path: Path, poses: Poses) -> Iterator[FrameServer]:
    server = FrameServer(tmp_path / "camera.sock", CAMERA, poses, fps=FPS)
    server.start()
    yield server
    server.stop()


def connect(tmp_path: Path) -> socket.socket:
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.settimeout(10)
    reader.connect(str(tmp_path / "camera.sock"))
    return reader


def receive(reader: socket.socket) -> CameraFrame:
    return decode(reader.recv(MAX_FRAME_BYTES), CameraFrame)


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def test_each_message_is_one_frame_with_the_time_of_the_pose_it_shows(
    tmp_path: Path, server: FrameServer
) -> None:
    with connect(tmp_path) as reader:
        frames = [receive(reader) for _ in range(5)]
    assert [frame.seq for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.captured_ns for frame in frames] == [1, 2, 3, 4, 5]
    assert {(frame.width_px, frame.height_px, frame.jpeg[:2]) for frame in frames} == {(64, 48, b"\xff\xd8")}
    assert len({frame.jpeg for frame in frames}) == 5


def test_nothing_is_drawn_while_nobody_reads(tmp_path: Path, server: FrameServer, poses: Poses) -> None:
    time.sleep(0.2)
    assert poses.drawn == 0
    with connect(tmp_path) as reader:
        receive(reader)
    assert eventually(lambda: server._readers == [])
    drawn = poses.drawn
    time.sleep(0.2)
    assert poses.drawn == drawn


def test_a_reader_that_pauses_finds_one_old_frame_and_then_a_new_one(
    tmp_path: Path, server: FrameServer, poses: Poses
) -> None:
    with connect(tmp_path) as slow, connect(tmp_path) as quick:
        assert eventually(lambda: len(server._readers) == 2)
        for _ in range(30):
            newest = receive(quick)
        first, second = receive(slow), receive(slow)
    assert newest.seq >= 29
    assert first.seq <= 1
    assert second.seq >= newest.seq


def test_a_reader_that_hangs_up_costs_the_others_nothing(tmp_path: Path, server: FrameServer) -> None:
    with connect(tmp_path) as stays:
        for _ in range(3):
            with connect(tmp_path) as goes:
                receive(goes)
        connect(tmp_path).close()
        seqs = [receive(stays).seq for _ in range(30)]
    assert seqs == sorted(set(seqs))


def test_a_reader_that_comes_again_is_served_again(tmp_path: Path, server: FrameServer) -> None:
    with connect(tmp_path) as reader:
        first = receive(reader)
    with connect(tmp_path) as reader:
        assert receive(reader).seq > first.seq


def test_stop_hangs_up_removes_the_socket_and_ends_the_thread(tmp_path: Path, poses: Poses) -> None:
    server = FrameServer(tmp_path / "camera.sock", CAMERA, poses, fps=FPS)
    assert stat.S_ISSOCK((tmp_path / "camera.sock").stat().st_mode)
    server.start()
    with connect(tmp_path) as reader:
        receive(reader)
        server.stop()
        while data := reader.recv(MAX_FRAME_BYTES):
            decode(data, CameraFrame)
    assert not (tmp_path / "camera.sock").exists()
    assert not any(thread.name == "camera" for thread in threading.enumerate())
    assert not server.has_failed


def test_a_camera_that_fails_says_so_and_stops(tmp_path: Path) -> None:
    def fail() -> Pose:
        raise ArithmeticError("no pose")

    server = FrameServer(tmp_path / "camera.sock", CAMERA, fail, fps=FPS)
    server.start()
    with connect(tmp_path):
        assert server.stopped.wait(10)
    assert server.has_failed
    server.stop()


def test_a_socket_that_cannot_be_made_is_one_clear_error(tmp_path: Path, poses: Poses) -> None:
    for path, why in (
        (tmp_path / "nowhere" / "camera.sock", "No such file"),
        (tmp_path / ("long" * 40) / "camera.sock", "too long"),
    ):
        with pytest.raises(HardwareError, match=f"cannot serve frames at .*camera.sock: .*{why}"):
            FrameServer(path, CAMERA, poses, fps=FPS)


def test_a_world_that_is_late_is_not_pictured_twice_at_one_instant(tmp_path: Path) -> None:
    poses = Poses()
    late = threading.Event()
    late.set()
    server = FrameServer(
        tmp_path / "camera.sock", CAMERA, lambda: Pose(ns=1) if late.is_set() else poses(), fps=FPS
    )
    server.start()
    with connect(tmp_path) as reader:
        assert receive(reader).captured_ns == 1
        reader.settimeout(10 / FPS)
        with pytest.raises(TimeoutError):
            receive(reader)
        late.clear()
        poses.drawn = 1
        reader.settimeout(10)
        assert receive(reader).captured_ns == 2
    server.stop()
