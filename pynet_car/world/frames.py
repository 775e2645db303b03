"""Hands camera frames over a Unix socket: one encoded CameraFrame a message, newest only, several readers."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import select
import socket
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pynet_car.messages import CameraFrame, encode
from pynet_car.world import MAX_FRAME_BYTES
from pynet_car.world.board import Pose
from pynet_car.world.camera import Camera
from pynet_core.errors import HardwareError

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.2  # how often an idle thread sees that it should end


class FrameServer:
    """A SEQPACKET socket at `path`; draws only while somebody reads.

    Its thread owns the camera and the sockets.  A reader gets a frame once it
    has taken the one before: it may miss frames, it never has a queue of old
    ones.  If the thread fails, it logs why and sets `stopped`.
    """

    def __init__(self, path: Path, camera: Camera, newest_pose: Callable[[], Pose], *, fps: float) -> None:
        """Listen; `newest_pose` is called in the server's thread.

        Raises:
            HardwareError: The socket cannot be made.
        """
        self._path = path
        self._camera = camera
        self._newest_pose = newest_pose
        self._period_ns = round(1e9 / fps)
        self._seq = 0
        self._captured_ns = -1  # of the frame before
        self._readers: list[socket.socket] = []
        self.has_failed = False
        self.is_blocked = False  # while set no frame comes, as from a camera whose driver hangs; any thread
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listener.bind(str(path))
            self._listener.listen(4)
        except OSError as exc:
            self._listener.close()
            raise HardwareError(f"cannot serve frames at {path}: {exc.strerror or exc}") from exc
        self._listener.setblocking(False)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, hang up on the readers and remove the socket."""
        self.stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        for sock in (*self._readers, self._listener):
            sock.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            log.exception("the camera failed")
            self.has_failed = True
            self.stopped.set()

    def _serve(self) -> None:
        due_ns = time.monotonic_ns()
        while not self.stopped.is_set():
            wait_s = _LOOK_S
            if self._readers:
                now_ns = time.monotonic_ns()
                # A frame that comes late does not make the next one come early.
                due_ns = max(due_ns + self._period_ns, now_ns)
                wait_s = (due_ns - now_ns) / 1e9
            if select.select([self._listener], [], [], wait_s)[0]:
                self._accept()
            elif self._readers and not self.is_blocked:
                self._send_frame()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it hung up before we came
            reader, _ = self._listener.accept()
            reader.setblocking(False)
            # Linux grants at most net.core.wmem_max, and then doubles it: 400 KB by default.
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_FRAME_BYTES)
            self._readers.append(reader)

    def _send_frame(self) -> None:
        """One frame to each reader that waits for one."""
        waiting = [reader for reader in self._readers if not _has_unread(reader)]
        if not waiting:
            return
        pose = self._newest_pose()
        if pose.ns == self._captured_ns:  # the world is late: no camera exposes twice at one instant
            return
        self._captured_ns = pose.ns
        lens = self._camera.lens
        message = encode(
            CameraFrame(
                seq=self._seq,
                captured_ns=pose.ns,
                width_px=lens.width_px,
                height_px=lens.height_px,
                jpeg=self._camera.jpeg(pose.x_m, pose.y_m, pose.heading_rad),
            )
        )
        self._seq += 1
        for reader in waiting:
            try:
                reader.send(message)
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                self._readers.remove(reader)
                reader.close()


def _has_unread(reader: socket.socket) -> bool:
    """Whether the last message still waits in the reader's queue (SIOCOUTQ, whose number is TIOCOUTQ's)."""
    queued = fcntl.ioctl(reader, termios.TIOCOUTQ, b"\0\0\0\0")
    return any(queued)
