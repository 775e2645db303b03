"""One thread for one sensor: read, publish, and go on when it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from pi_agent.ports import Sensor
from pynet_car.messages import Event, Odometry, Scan, Severity, StreamInfo

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 8.0
SILENT_PERIODS: Final = 5  # without a measurement, and at least SILENT_S: read() hangs
SILENT_S: Final = 1.0
STOP_S: Final = 0.5  # a read() that hangs is left behind

log = logging.getLogger(__name__)


class SensorRunner:
    """Reads one sensor in a thread of its own and publishes each measurement.

    `publish` and `tell` are called in that thread.  A read() that raises is
    told once, tried again after 1, 2, 4, 8 s, and told when it is well again.
    A read() that hangs cannot be helped, only told, by whoever calls `watch`.
    """

    def __init__(
        self,
        sensor: Sensor,
        publish: Callable[[str, Scan | Odometry], None],
        tell: Callable[[Event], None],
        *,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._sensor = sensor
        self._info = sensor.info
        self._publish = publish
        self._tell = tell
        self._first_retry_s = first_retry_s
        self._silent_ns = round(max(SILENT_S, SILENT_PERIODS * self._info.period_s) * 1e9)
        self._newest_ns = time.monotonic_ns()
        self._trouble = ""  # '' while it is well
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sensor {self._info.name}", daemon=True)

    @property
    def info(self) -> StreamInfo:
        """What the sensor says of itself, and how it is."""
        return msgspec.structs.replace(self._info, state=self._trouble or "ok")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the sensor; idempotent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        try:
            self._sensor.close()
        except (Exception, SystemExit):  # a plugin's code, not ours: the others are still to be closed
            log.exception("sensor %s would not close", self._info.name)

    def watch(self, now_ns: int) -> None:
        """Tell if read() has begun to hang; call it now and then, from one thread."""
        if not self._trouble and now_ns - self._newest_ns > self._silent_ns:
            self._trouble = "hangs, no measurement comes"
            self._say(Severity.WARNING, "sensor_stalled", self._trouble)

    def _run(self) -> None:
        retry_s = self._first_retry_s
        while not self._stopping.is_set():
            try:
                measurement = self._sensor.read()
                if not isinstance(measurement, Scan | Odometry):
                    raise TypeError(f"read() gave a {type(measurement).__name__}, not a Scan or Odometry")
                self._publish(self._info.name, measurement)  # fails on a value that cannot be encoded
            except (Exception, SystemExit) as exc:  # a plugin's code, not ours: contain whatever it raises
                self._failed(exc)
                self._stopping.wait(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
                continue
            retry_s = self._first_retry_s
            self._newest_ns = time.monotonic_ns()
            if self._trouble:
                self._trouble = ""
                self._say(Severity.INFO, "sensor_back", "measures again")

    def _failed(self, exc: BaseException) -> None:
        was, self._trouble = self._trouble, f"fails: {type(exc).__name__}: {exc}"
        if not was and not self._stopping.is_set():
            log.warning("sensor %s %s", self._info.name, self._trouble, exc_info=exc)
            self._say(Severity.WARNING, "sensor_fault", self._trouble)

    def _say(self, severity: Severity, kind: str, text: str) -> None:
        self._tell(
            Event(
                captured_ns=time.monotonic_ns(),
                severity=severity,
                kind=kind,
                text=f"Sensor {self._info.name} {text}.",
            )
        )
