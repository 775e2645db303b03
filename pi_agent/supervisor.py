"""The guardian's main loop: a tick every 10 ms, and always a worker."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from typing import Final

from pi_agent.diary import Diary
from pi_agent.guardian import TICK_NS, Guardian
from pi_agent.procs import END_S, EXIT_CONFIG, Backoff, WorkerProcess
from pi_agent.systemd import Notifier
from pynet_car.messages import Event, Severity
from pynet_core.errors import ConfigError, HardwareError

ALIVE_NS: Final = 250_000_000  # WatchdogSec=1 misses three before it acts
NS_PER_S: Final = 1_000_000_000
CLOSED_NS: Final = 500_000_000  # a worker that ends closes its link first, and has an exit code to tell
# In ticks: a guardian that stood still itself must not blame the worker.
SILENT_TICKS: Final = 500  # 5 s; it says four times a second that it is alive
STARTING_TICKS: Final = 6000  # 60 s; until it listens, for a slow card and slow plugins


class Supervisor:
    """Starts the worker, buries it, starts it again.  Owned by the main thread."""

    def __init__(self, guardian: Guardian, diary: Diary, command: Sequence[str]) -> None:
        self.trouble = ""  # why there is no worker, for `systemctl status`
        self._guardian = guardian
        self._diary = diary
        self._command = tuple(command)
        self._worker: WorkerProcess | None = None
        self._has_died = False
        self._was_hung = False
        self._backoff = Backoff()
        self._start_ns = 0  # when it was started, or is to be started
        self._closed_ns = 0  # when its end of the link was last seen open

    def wait(self, timeout_s: float) -> None:
        """Until then, or until the worker dies."""
        watched = [self._worker] if self._worker else []
        self._has_died = bool(select.select(watched, [], [], max(0.0, timeout_s))[0])

    def tend(self, now_ns: int) -> None:
        """Deal with a death, and start a worker when it is time.  Waits for nothing but the start.

        Raises:
            ConfigError: It ended because of its settings.
        """
        worker = self._worker
        if worker is not None:
            if self._has_died:
                self._bury(worker, now_ns)
            elif self._guardian.link is not None:
                self._closed_ns = now_ns
                if self._is_silent():
                    self._was_hung = True
                    worker.kill()  # the next call finds it dead
            elif now_ns - self._closed_ns > CLOSED_NS:
                worker.kill()  # it closed its end and lives on; the next call finds it dead
        if self._worker is None and now_ns >= self._start_ns:
            self._start(now_ns)

    def end(self) -> None:
        """Ask the worker to end, and make it.  At most about a second."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.ask_to_end()
            worker.is_dead(END_S)
            worker.bury()

    def _start(self, now_ns: int) -> None:
        self._start_ns = now_ns
        try:
            self._worker = WorkerProcess(self._command)
        except HardwareError as exc:
            self._pause(now_ns, str(exc))
        else:
            self.trouble = ""
            self._was_hung = False
            self._guardian.attach(self._worker.link)

    def _bury(self, worker: WorkerProcess, now_ns: int) -> None:
        self._guardian.step(now_ns)  # takes what it sent last: an e-stop may be among it
        self._guardian.detach(now_ns)
        code = worker.bury()
        self._worker = None
        self._has_died = False
        if code == EXIT_CONFIG:
            raise ConfigError("the worker cannot run with these settings; it has said why above")
        if self._was_hung:
            how = "hung and was killed"
        else:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._pause(now_ns, f"the worker {how}")

    def _is_silent(self) -> bool:
        is_up = self._guardian.gateway_port is not None
        return self._guardian.worker_silent_ticks > (SILENT_TICKS if is_up else STARTING_TICKS)

    def _pause(self, now_ns: int, why: str) -> None:
        pause_s = self._backoff.after((now_ns - self._start_ns) / NS_PER_S)
        self._start_ns = now_ns + round(pause_s * NS_PER_S)
        self.trouble = f"{why[:1].upper()}{why[1:]}; it is started again in {pause_s:g} s."
        event = Event(captured_ns=now_ns, severity=Severity.ERROR, kind="worker_died", text=self.trouble)
        self._diary.tell(event)


def run(
    guardian: Guardian,
    supervisor: Supervisor,
    diary: Diary,
    notifier: Notifier,
    *,
    title: str,
    is_stopping: Callable[[], bool],
) -> None:
    """Tick until told to stop; `title` stands before every status line.

    Raises:
        ConfigError: The worker cannot run with its settings.
        HardwareError: The outputs refuse.
        RuntimeError: A thread of ours has died.
    """
    next_ns = time.monotonic_ns()
    alive_ns = 0
    is_ready = False
    while not is_stopping():
        now_ns = time.monotonic_ns()
        supervisor.tend(now_ns)
        guardian.step(now_ns)
        if not is_ready and guardian.gateway_port is not None:
            is_ready = True
            notifier.ready()
        if now_ns >= alive_ns:
            if not diary.is_alive:
                raise RuntimeError("the thread that keeps the e-stop has died")
            alive_ns = now_ns + ALIVE_NS
            notifier.alive()
            port = f" Gateway on port {guardian.gateway_port}." if guardian.gateway_port else ""
            notifier.status(f"{title}{supervisor.trouble or guardian.summary}{port}")
        if now_ns >= next_ns:
            # Absolute times, so that ticks do not drift; those we missed are not made up for.
            next_ns += ((now_ns - next_ns) // TICK_NS + 1) * TICK_NS
        supervisor.wait((next_ns - time.monotonic_ns()) / NS_PER_S)
