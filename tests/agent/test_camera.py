"""Frames from the simulated world reach the stream as they are, the newest first, and a stall is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pi_agent.camera import CameraFeed
from pi_agent.simulated import lens
from pi_agent.simulated.lens import SimulatedLens
from pynet_car.messages import CameraFrame, Event, Severity, encode
from pynet_car.world import CAMERA_SOCKET
from pynet_core.errors import HardwareError
from tests.agent.camera_contract import CONTRACT, MakeCamera


def frame(seq: int) -> CameraFrame:
    return CameraFrame(seq=seq, captured_ns=seq * 1000, width_px=8, height_px=8, jpeg=bytes([seq]) * 40_000)


class World:
    """As much of the world as the lens sees."""

    def __init__(self, runtime_dir: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(runtime_dir / CAMERA_SOCKET))
        self._listener.listen()
        self._listener.settimeout(10)

    def accept(self) -> socket.socket:
        return self._listener.accept()[0]

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def seeing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Iterator[CameraFrame]]:
    monkeypatch.setattr(lens, "RECONNECT_S", 0.01)
    camera = SimulatedLens(tmp_path)
    yield camera.frames()
    camera.close()


def test_a_frame_arrives_as_it_was_sent(tmp_path: Path, seeing: Iterator[CameraFrame]) -> None:
    world = World(tmp_path)
    sender = threading.Thread(target=lambda: world.accept().send(encode(frame(7))))
    sender.start()
    assert next(seeing) == frame(7)
    sender.join()
    world.close()


def test_of_frames_that_wait_only_the_newest_is_shown(tmp_path: Path, seeing: Iterator[CameraFrame]) -> None:
    world = World(tmp_path)
    sock: list[socket.socket] = []

    def send() -> None:
        sock.append(world.accept())
        sock[0].send(encode(frame(1)))

    sender = threading.Thread(target=send)
    sender.start()
    assert next(seeing).seq == 1
    sender.join()
    for seq in (2, 3, 4):
        sock[0].send(encode(frame(seq)))
    assert next(seeing).seq == 4
    sock[0].close()
    world.close()


def test_a_world_that_comes_back_is_seen_again_and_its_absence_said_once(
    tmp_path: Path, seeing: Iterator[CameraFrame], caplog: pytest.LogCaptureFixture
) -> None:
    worlds = threading.Thread(target=lambda: come_and_go(tmp_path))
    worlds.start()
    assert [next(seeing).seq, next(seeing).seq] == [1, 2]
    worlds.join()
    assert [record.levelname for record in caplog.records].count("WARNING") <= 2


def come_and_go(runtime_dir: Path) -> None:
    time.sleep(0.05)  # several connection attempts find nobody
    for seq in (1, 2):
        world = World(runtime_dir)
        sock = world.accept()
        sock.send(encode(frame(seq)))
        sock.close()
        world.close()
        (runtime_dir / CAMERA_SOCKET).unlink()


def test_nonsense_from_the_world_is_skipped(tmp_path: Path, seeing: Iterator[CameraFrame]) -> None:
    world = World(tmp_path)

    def send() -> None:
        with world.accept() as sock:
            for message in (b"\x00", b"not a frame", b"x" * 2000):
                sock.send(message)
                time.sleep(0.02)
            sock.send(encode(frame(3)))

    sender = threading.Thread(target=send)
    sender.start()
    assert next(seeing).seq == 3
    sender.join()
    world.close()


def test_closing_ends_a_lens_that_waits_for_a_world(tmp_path: Path) -> None:
    camera = SimulatedLens(tmp_path)
    ended = threading.Thread(target=lambda: list(camera.frames()))
    ended.start()
    camera.close()
    ended.join(10)
    assert not ended.is_alive()


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_the_lens_keeps(promise: Callable[[MakeCamera], None], tmp_path: Path) -> None:
    world = World(tmp_path)
    ended = threading.Event()

    def show() -> None:
        seq = 0
        with contextlib.suppress(OSError):
            while not ended.is_set():
                with world.accept() as sock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    while not ended.wait(0.03):
                        seq += 1
                        picture = CameraFrame(
                            seq=seq,
                            captured_ns=time.monotonic_ns(),
                            width_px=8,
                            height_px=8,
                            jpeg=b"\xff\xd8 picture \xff\xd9",
                        )
                        sock.send(encode(picture), socket.MSG_DONTWAIT)

    showing = threading.Thread(target=show, daemon=True)
    showing.start()
    promise(lambda: SimulatedLens(tmp_path))
    ended.set()
    world.close()


class FakeCamera:
    """Gives what is put into `next`, a frame or an error, each when `go` is released."""

    def __init__(self, script: list[CameraFrame | Exception]) -> None:
        self._script = script
        self.go = threading.Semaphore(0)
        self.closed = False

    def frames(self) -> Iterator[CameraFrame]:
        while True:
            self.go.acquire()
            if self.closed:
                return
            step = self._script.pop(0)
            if isinstance(step, Exception):
                raise step
            yield step

    def close(self) -> None:
        self.closed = True
        self.go.release()


class Bench:
    def __init__(self, *script: CameraFrame | Exception) -> None:
        self.camera = FakeCamera(list(script))
        self.published: list[CameraFrame] = []
        self.told: list[Event] = []
        self._progress = threading.Condition()
        self.feed = CameraFeed(
            self.camera,
            self._note(self.published),
            self._note(self.told),
            retry_s=0.001,
        )
        self.feed.start()

    def _note(self, where: list[CameraFrame] | list[Event]) -> Callable[[object], None]:
        def note(item: object) -> None:
            with self._progress:
                where.append(item)  # type: ignore[arg-type]
                self._progress.notify()

        return note

    def until(self, condition: Callable[[], object]) -> None:
        with self._progress:
            assert self._progress.wait_for(condition, 10)


def test_each_frame_is_published_in_order() -> None:
    bench = Bench(frame(1), frame(2))
    bench.camera.go.release(2)
    bench.until(lambda: len(bench.published) == 2)
    bench.feed.stop()
    assert bench.published == [frame(1), frame(2)]
    assert bench.told == []


def test_a_stall_is_told_once_after_a_second_and_its_end_too() -> None:
    bench = Bench(frame(1))
    now = time.monotonic_ns()
    bench.feed.watch(now + 900_000_000)
    assert (bench.told, bench.feed.state) == ([], "ok")
    bench.feed.watch(now + 1_100_000_000)
    bench.feed.watch(now + 2_100_000_000)
    assert [(event.kind, event.severity) for event in bench.told] == [("camera_stalled", Severity.WARNING)]
    assert bench.feed.state == "stalled, no frame for 1 s"
    bench.camera.go.release()
    bench.until(lambda: bench.published)
    bench.feed.stop()
    assert [event.kind for event in bench.told] == ["camera_stalled", "camera_back"]
    assert bench.feed.state == "ok"


def test_a_camera_that_fails_is_told_once_and_tried_again() -> None:
    gone = HardwareError("ribbon cable")
    bench = Bench(gone, gone, frame(1))
    bench.camera.go.release(3)
    bench.until(lambda: bench.published)
    bench.feed.stop()
    assert [event.kind for event in bench.told] == ["camera_fault", "camera_back"]
    assert "ribbon cable" in bench.told[0].text


def test_stopping_ends_the_thread_and_closes_the_camera() -> None:
    bench = Bench()
    bench.feed.stop()
    bench.feed.stop()
    assert bench.camera.closed
    assert not bench.feed._thread.is_alive()
