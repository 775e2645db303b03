"""A sensor plugin that harms its process when told to; installed in the robot as any user's plugin is.

It runs in the robot's worker and knows nothing of the tests.  Somebody writes a
word into `trigger`; the plugin writes the time into `trigger`.ns and does it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from pi_agent.config import AgentConfig, Settings
from pynet_car.messages import Scan, StreamInfo

PERIOD_S = 0.005
LONG_S = 3600


class Saboteur:
    """Measures nothing."""

    info = StreamInfo(name="saboteur", title="Saboteur", unit="", period_s=PERIOD_S, state="ok")

    def __init__(self, config: AgentConfig, settings: Settings) -> None:
        self._trigger = Path(str(settings.get("trigger", "/run/saboteur")))

    def read(self) -> Scan:
        time.sleep(PERIOD_S)
        if self._trigger.exists():
            word = self._trigger.read_text()
            if not word.startswith("again "):
                self._trigger.unlink()
            if not self._trigger.with_suffix(".ns").exists():
                self._stamp()
            getattr(self, word.split()[-1])()
        return Scan(readings=())

    def close(self) -> None:
        pass

    def _stamp(self) -> None:
        fresh = self._trigger.with_suffix(".new")
        fresh.write_text(str(time.monotonic_ns()))
        fresh.rename(self._trigger.with_suffix(".ns"))

    def abort(self) -> None:
        os.abort()

    def hog_gil(self) -> None:
        """As an extension module that never lets go."""
        ctypes.PyDLL(None).sleep(LONG_S)

    def hog_memory(self) -> None:
        kept = []
        while True:
            self._stamp()  # the last one is of when there was none left
            kept.append(b"\xff" * (16 * 1024 * 1024))

    def fork(self) -> None:
        """A child that outlives us if it can, with all our sockets, while we wait for it."""
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(LONG_S)
            os._exit(0)
        os.waitpid(pid, 0)

    def ignore_sigterm(self) -> None:
        """From a thread Python would not let us."""
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal.restype = ctypes.c_void_p
        libc.signal(signal.SIGTERM, signal.SIG_IGN.value)
