"""The simulated car of this computer: started when first asked for, ended with the program."""

from __future__ import annotations

import logging
import threading

from PyQt5.QtCore import QObject, pyqtSignal

from desktop_app.keyring import Keyring
from pynet_car.world.launch import SimulatedCar
from pynet_core.errors import PynetError

_log = logging.getLogger(__name__)


class SimulatedStarter(QObject):
    """GUI thread, but for the thread that starts the car, which takes a second or more."""

    finished = pyqtSignal(int, str)  # the port; or 0, and why it did not start

    def __init__(self) -> None:
        super().__init__()
        self._port = 0
        self.keyring: Keyring | None = None  # of this window, for this car alone
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        return self._port

    def start(self) -> None:
        """Emits `finished` when it runs, at once if it does already."""
        if self._port:
            self.finished.emit(self._port, "")
        elif self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="pynet simulated car", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End it, if it runs; waits until it has ended."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        """Start it and stay: the kernel ends its processes with the *thread* that started them."""
        try:
            car = SimulatedCar(tls=True)
        except (PynetError, OSError) as exc:
            _log.warning("simulated car: %s", exc)
            self.finished.emit(0, f"The simulated car does not start: {exc}.")
            return
        with car:
            self.keyring = Keyring(car.let_in("window"))
            self._port = car.port
            self.finished.emit(car.port, "")
            self._ending.wait()
        self._port = 0
