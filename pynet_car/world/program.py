"""The simulated world in real time: what `python -m pynet_car.world --runtime-dir DIR` runs.

Serves one board and one camera socket in DIR until SIGTERM or SIGINT.
SIGUSR1 makes the camera hang, or go on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2

from pynet_car.world import BOARD_FILE, CAMERA_SOCKET, DEFAULT_SEED
from pynet_car.world.board import Board
from pynet_car.world.camera import Camera, Lens
from pynet_car.world.frames import FrameServer
from pynet_car.world.options import MAX_SEED, metres, within
from pynet_car.world.track import Track
from pynet_car.world.world import STEP_NS, World
from pynet_core.errors import HardwareError, PynetError

log = logging.getLogger("pynet_car.world")

MAX_CATCH_UP_NS: Final = 100_000_000  # what is older was lost by stopping this process: nobody drove then


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal ends it; returns the exit code."""
    settings = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="world: %(levelname)s: %(message)s")
    # This thread must get its turn while the camera computes; and the agent wants the other core.
    sys.setswitchinterval(0.001)
    cv2.setNumThreads(1)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with _sole_world(settings.runtime_dir), Board.open(settings.runtime_dir / BOARD_FILE) as board:
            return _run(board, settings, stopped)
    except PynetError as exc:
        log.error("%s", exc)
        return 1


def _run(board: Board, settings: argparse.Namespace, stopped: threading.Event) -> int:
    track = Track(settings.seed)
    boxes = [track.box_at(arc_m) for arc_m in settings.box]
    lens = Lens(width_px=settings.width, height_px=settings.height)
    camera = Camera(track, lens, boxes=boxes, quality=settings.quality)
    world = World(board, track, boxes=boxes, start_ns=time.monotonic_ns())
    socket_path = settings.runtime_dir / CAMERA_SOCKET
    socket_path.unlink(missing_ok=True)  # left by a world that was killed: ours is the only one now
    frames = FrameServer(socket_path, camera, lambda: world.pose, fps=settings.fps)
    frames.start()
    signal.signal(signal.SIGUSR1, lambda *_: _block_or_go_on(frames))
    print(
        f"simulated world ready: track {settings.seed}, {track.length_m:.1f} m; board {board.path}; "
        f"camera {lens.width_px}x{lens.height_px} at {settings.fps:g} fps on {socket_path}",
        flush=True,
    )
    try:
        while not (stopped.is_set() or frames.stopped.is_set()):
            _live(world)
    finally:
        frames.stop()
    return 1 if frames.has_failed else 0


def _block_or_go_on(frames: FrameServer) -> None:
    frames.is_blocked = not frames.is_blocked
    log.warning("the camera %s", "hangs" if frames.is_blocked else "goes on")


def _live(world: World) -> None:
    """Let the world catch up with the clock, then sleep until its next step is due."""
    behind_ns = time.monotonic_ns() - world.ns
    if behind_ns > MAX_CATCH_UP_NS:
        log.warning("the world stood still for %d ms", behind_ns // 1_000_000)
        world.skip(behind_ns)
        behind_ns = 0
    for _ in range(behind_ns // STEP_NS):
        world.step()
    time.sleep(max(0, world.ns + STEP_NS - time.monotonic_ns()) / 1e9)


@contextlib.contextmanager
def _sole_world(runtime_dir: Path) -> Iterator[None]:
    """Hold the runtime directory; made if it is not there.

    Raises:
        HardwareError: Another world holds it, or it cannot be made.
    """
    try:
        runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (runtime_dir / "world.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HardwareError(f"another simulated world runs in {runtime_dir}") from None
            yield
    except OSError as exc:
        raise HardwareError(f"cannot use {runtime_dir} as runtime directory: {exc.strerror or exc}") from exc


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pynet_car.world", description="The simulated world in real time."
    )
    parser.add_argument(
        "--runtime-dir", type=Path, required=True, help="where board and camera.sock are made"
    )
    parser.add_argument(
        "--seed", type=within(0, MAX_SEED), default=DEFAULT_SEED, help="each is another track (%(default)s)"
    )
    parser.add_argument("--width", type=within(64, 1280), default=640, help="px (%(default)s)")
    parser.add_argument("--height", type=within(48, 960), default=480, help="px (%(default)s)")
    parser.add_argument("--fps", type=within(1, 120), default=30, help="frames a second (%(default)s)")
    parser.add_argument("--quality", type=within(1, 90), default=75, help="JPEG quality (%(default)s)")
    parser.add_argument(
        "--box",
        type=metres,
        action="append",
        default=[],
        metavar="M",
        help="put a box M metres after the start",
    )
    return parser.parse_args(arguments)
