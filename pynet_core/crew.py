"""The pairs of a swarm at work: a thread each while it lasts, and tasks for whoever is free."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pynet_core.client import Client
from pynet_core.errors import DeadlineExceeded, LinkClosed, PynetError
from pynet_core.redial import pauses

_log = logging.getLogger(__name__)

# A gateway that dies takes all its pairs with it, one after the other, and a task may have met each of them.
# What has cost more than twice all the swarm is itself what kills them.
SPARE_TRIES: Final = 3
STOP_WAIT_S: Final = 0.5  # for what runs to come to its end; then its pair is cut
CUT_WAIT_S: Final = 1.0  # for the thread of a pair that was cut


@dataclass(slots=True)
class Task:
    """One thing to do; `index` is its place among those that were given."""

    index: int
    value: Any
    tries: int = 0  # pairs that were lost over it


class Crew:
    """A thread for each client, which does one task after the other.

    `job(client, task)` does one; `on_done(task, result, error)` hears of it,
    with the lock held.  A task whose pair is lost goes to the next one that is
    free, unless it was late, or `retry` is False.  A lost pair is opened anew:
    once, or for `reopen_s`.  `came` is notified when there is something to
    look at for the one who waits for results.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        job: Callable[[Client, Task], Any],
        on_done: Callable[[Task, Any, Exception | None], object],
        *,
        retry: bool = True,
        reopen_s: float | None = 0.0,
    ) -> None:
        self._clients = clients
        self._job = job
        self._on_done = on_done
        self._retry = retry
        self._reopen_s = reopen_s
        self.lock = threading.Lock()
        self.came = threading.Condition(self.lock)
        self._given = threading.Condition(self.lock)
        self._tasks: deque[Task] = deque()
        self._threads: list[threading.Thread] = []
        self.stopping = threading.Event()
        self.working = 0  # threads that have not left
        self.busy = 0  # of them, with a task
        self.repeated = 0  # tasks that were given back
        self.lost = ""  # why the last pair could not be opened anew

    def __enter__(self) -> Self:
        self.working = len(self._clients)
        try:
            for number, client in enumerate(self._clients):
                thread = threading.Thread(
                    target=self._work, args=(client,), name=f"pynet swarm {number}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def waiting(self) -> set[int]:
        """The tasks that nobody does now; asked with the lock held."""
        return {task.index for task in self._tasks}

    def put(self, task: Task) -> None:
        """Let somebody do it."""
        with self.lock:
            self._tasks.append(task)
            self._given.notify()

    def check(self) -> None:
        """Somebody is left to work; called with the lock held.

        Raises:
            LinkClosed: Every pair is lost.
        """
        if not self.working:
            raise LinkClosed(f"every pair of the swarm is lost; the last: {self.lost}")

    def stop(self) -> None:
        """End it: what is on its way has 0.5 s, then its pair is cut.  Idempotent, any thread."""
        self.stopping.set()
        with self.lock:
            self._tasks.clear()
            self._given.notify_all()
            self.came.notify_all()
        self._join(STOP_WAIT_S)
        for client, thread in zip(self._clients, self._threads, strict=False):
            if thread.is_alive():
                client.abort()
        self._join(CUT_WAIT_S)
        self._job = self._on_done = _nothing  # they refer to who refers to this

    def _join(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def _work(self, client: Client) -> None:
        waits = pauses()
        has_been_lost = False
        try:
            while self._is_open(client) and (task := self._take()) is not None:
                self._do(client, task)
                if client.connected:
                    waits, has_been_lost = pauses(), False
                elif not has_been_lost:
                    has_been_lost = True  # the first time it is opened anew at once
                elif self.stopping.wait(next(waits)):
                    return
        finally:
            with self.lock:
                self.working -= 1
                self.came.notify_all()

    def _is_open(self, client: Client) -> bool:
        if self.stopping.is_set():
            return False
        try:
            client.reopen(self._reopen_s, self.stopping)
        except PynetError as exc:
            if not self.stopping.is_set():
                _log.warning("a pair of the swarm is lost and stays so: %s", exc)
                self.lost = str(exc)
            return False
        return True

    def _take(self) -> Task | None:
        with self.lock:
            while not self._tasks:
                if self.stopping.is_set():
                    return None
                self._given.wait()
            self.busy += 1
            return self._tasks.popleft()

    def _do(self, client: Client, task: Task) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = self._job(client, task)
        except Exception as exc:  # judged below; what is not ours is told as what it is
            error = exc
        with self.lock:
            self.busy -= 1
            if self.stopping.is_set():
                pass
            elif error is not None and not client.connected and self._is_repeated(task, error):
                task.tries += 1
                self.repeated += 1
                self._tasks.appendleft(task)  # it was there before all the others
                self._given.notify()
            else:
                self._on_done(task, result, error)
            self.came.notify_all()
        error = None  # it refers to this frame, which would keep all that it refers to

    def _is_repeated(self, task: Task, error: Exception) -> bool:
        # What was late would be late again, and cost the next pair.
        most = 2 * len(self._clients) + SPARE_TRIES
        return self._retry and task.tries + 1 < most and not isinstance(error, DeadlineExceeded)


def _nothing(*_: object) -> None: ...
