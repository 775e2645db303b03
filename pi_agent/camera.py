"""The thread that takes a camera's frames, and tells when they stall; on a Pi it imports picamera2 too."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from pi_agent.config import CameraConfig
from pi_agent.ports import Camera
from pynet_car.messages import CameraFrame, Event, Severity
from pynet_core.errors import HardwareError

STALL_NS: Final = 1_000_000_000  # without a frame: the pilot must stop, a human may creep
RETRY_S: Final = 1.0
STOP_S: Final = 0.5  # a camera that hangs in the driver is left behind

log = logging.getLogger(__name__)


class LateCamera:
    """A `ports.Camera` on a Pi, which imports picamera2 in its own thread: that takes two seconds."""

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self._camera: Camera | None = None
        self._is_closed = False

    def frames(self) -> Iterator[CameraFrame]:
        """As `PiCamera.frames`.

        Raises:
            HardwareError: picamera2 is not installed, or as there.
        """
        if self._camera is None:
            try:
                from pi_agent.picamera import PiCamera
            except ImportError as exc:
                raise HardwareError(
                    f"picamera2 cannot be had ({exc}):  sudo apt install python3-picamera2, "
                    "then  sudo systemctl restart pynet-agent"
                ) from exc
            self._camera = PiCamera(self._config)
        if not self._is_closed:
            yield from self._camera.frames()

    def close(self) -> None:
        self._is_closed = True
        if self._camera is not None:
            self._camera.close()


class CameraFeed:
    """Takes the frames of one camera in a thread of its own.

    `publish` and `tell` are called in that thread.  A camera that fails is told
    once and iterated anew each second.  One that hangs is told by whoever calls
    `watch`.
    """

    def __init__(
        self,
        camera: Camera,
        publish: Callable[[CameraFrame], None],
        tell: Callable[[Event], None],
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        self._camera = camera
        self._publish = publish
        self._tell = tell
        self._retry_s = retry_s
        self._newest_ns = time.monotonic_ns()
        self._trouble = ""  # '' while frames come
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    @property
    def state(self) -> str:
        """'ok', or why no frames come."""
        return self._trouble or "ok"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the camera; idempotent."""
        self._stopping.set()
        self._camera.close()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def watch(self, now_ns: int) -> None:
        """Tell if the frames have stalled; call it now and then, from one thread."""
        if not self._trouble and now_ns - self._newest_ns > STALL_NS:
            self._trouble = "stalled, no frame for 1 s"
            self._say(Severity.WARNING, "camera_stalled", self._trouble)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for frame in self._camera.frames():
                    self._take(frame)
            except HardwareError as exc:
                was, self._trouble = self._trouble, f"fails: {exc}"
                if not was:
                    log.warning("camera %s", self._trouble)
                    self._say(Severity.ERROR, "camera_fault", self._trouble)
            self._stopping.wait(self._retry_s)

    def _take(self, frame: CameraFrame) -> None:
        self._newest_ns = time.monotonic_ns()
        if self._trouble:
            self._trouble = ""
            self._say(Severity.INFO, "camera_back", "sends frames again")
        self._publish(frame)

    def _say(self, severity: Severity, kind: str, text: str) -> None:
        self._tell(
            Event(captured_ns=time.monotonic_ns(), severity=severity, kind=kind, text=f"The camera {text}.")
        )
