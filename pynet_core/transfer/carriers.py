"""The pairs of one transfer at the controller, each with a thread, and how many of them are worth having."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from pynet_core.channel import PlainChannel
from pynet_core.errors import LinkClosed, LinkError, PoolFull
from pynet_core.redial import pauses

_log = logging.getLogger(__name__)

FIRST_PAIRS: Final = 2  # one lists while the other brings
MOST_PAIRS: Final = 8  # 16 were no faster, on any link measured
STEP_S: Final = 0.4  # a rate is measured for so long, and on a long way
STEP_OPENINGS: Final = 8  # for so many times what a pair takes to open: each starts slowly
WORTH_STEPS: Final = 4  # so many must be left: in the first a new pair opens and has begun slowly
GAIN: Final = 1.15  # another pair must be worth that much
MOST_LOSSES: Final = 5  # of a pair, one soon after the other: then it stays lost
AT_ONCE: Final = 2  # opened beside the first: of one address a gateway lets four in that are not proven yet
LOOK_S: Final = 0.05  # whether it is still wanted
STEADY_S: Final = 5.0  # a pair that has held so long has come back to stay


class Pair(Protocol):
    """A client."""

    def files_link(self) -> contextlib.AbstractContextManager[PlainChannel]: ...
    def reopen(self, within_s: float | None = 0.0, stopping: threading.Event | None = None) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class PairTuner:
    """When to add a pair: while the last one has made it faster.  Pure."""

    def __init__(self, pairs: int = FIRST_PAIRS) -> None:
        self.pairs = pairs
        self._rate = 0.0  # bytes a second before the last step
        self._since_s: float | None = None
        self._bytes = 0
        self._has_settled = False

    def more(
        self, now_s: float, done_bytes: int, opening_s: float = 0.0, left_bytes: int | None = None
    ) -> int:
        """How many pairs to add now; the last one took so long to open, and so much is left, if known."""
        if self._has_settled:
            return 0
        if self._since_s is None:
            if done_bytes:
                self._since_s, self._bytes = now_s, done_bytes
            return 0
        elapsed_s, step_s = now_s - self._since_s, max(STEP_S, STEP_OPENINGS * opening_s)
        if elapsed_s < step_s:
            return 0
        rate = (done_bytes - self._bytes) / elapsed_s
        is_soon_over = left_bytes is not None and left_bytes < WORTH_STEPS * rate * step_s
        if rate < self._rate * GAIN or self.pairs >= MOST_PAIRS or is_soon_over:
            self._has_settled = True
            return 0
        self._rate, self._since_s, self._bytes = rate, now_s, done_bytes
        added = min(self.pairs, MOST_PAIRS - self.pairs)
        self.pairs += added
        return added


class Work(Protocol):
    """What the pairs of one transfer do.  Called in their threads, by the number of the pair."""

    def work(self, link: PlainChannel, number: int) -> None:
        """All there is to do for this pair; anew when it was lost and is open again."""

    def has_more(self, number: int) -> bool:
        """This pair was lost, and there is something to open it anew for."""

    def stop(self) -> None:
        """Whoever waits there waits no more.  Any thread; idempotent."""


class Carriers:
    """Opens pairs and, once there is work, has each do it.  Its caller's thread opens pair 0, and waits.

    A pair that is lost is opened anew, once as those of a swarm: at once, or after
    a pause when that was the case a moment ago.
    """

    def __init__(self, open_pair: Callable[[int], Pair]) -> None:
        self._open_pair = open_pair
        self._work: Work | None = None
        self._changed = threading.Condition()
        self._clients: list[Pair] = []
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count(1)
        self._running = self._opening = 0
        self._dismissed = False
        self._over = threading.Event()
        self.problems: list[BaseException] = []  # that pairs have ended with, in order
        self.is_full = False  # the gateway has no more places
        self.opening_s = 0.0  # what opening the last pair took

    def begin(self, work: Work, client: Pair) -> None:
        """This is to be done, by pair 0, which this is, and all others."""
        with self._changed:
            self._work = work
            self._changed.notify_all()
        self.add(client)

    def add(self, client: Pair | None = None) -> None:
        """One more pair, which is opened now."""
        number = next(self._numbers) if client is None else 0
        thread = threading.Thread(
            target=self._run, args=(client, number), name=f"pynet files {number}", daemon=True
        )
        with self._changed:
            self._running += 1
        self._threads.append(thread)
        thread.start()

    def wait(self, timeout_s: float) -> bool:
        """True when all have come back."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout_s)

    def dismiss(self) -> None:
        """Close those that wait for work: their places are free when this returns."""
        with self._changed:
            self._dismissed = True
            self._changed.notify_all()
        self.join()
        self._dismissed = False

    def abort(self) -> None:
        """Cut all pairs, and those that are just being opened.  Any thread; idempotent."""
        with self._changed:
            self._over.set()
            clients = list(self._clients)
            self._changed.notify_all()
        if self._work is not None:
            self._work.stop()
        for client in clients:
            client.abort()

    def join(self) -> None:
        """Wait for the threads to end."""
        for thread in self._threads:
            thread.join()

    def _run(self, client: Pair | None, number: int) -> None:
        try:
            client = client or self._open(number)
            if client is None:
                return
            with self._changed:
                self._clients.append(client)
            try:
                if (work := self._awaited_work()) is not None:
                    self._carry(work, client, number)
            finally:
                if self._over.is_set():
                    client.abort()  # else closing waits for the gateway's leave
                client.close()
        except PoolFull:
            self.is_full = True
        except BaseException as exc:  # for the caller, whose thread this is not
            with self._changed:
                if not (self._over.is_set() and isinstance(exc, LinkError)):
                    self.problems.append(exc)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _open(self, number: int) -> Pair | None:
        """None when nobody wants it any more.

        A gateway closes those that are too many at once; they come again.
        """
        waits = pauses()
        for tries in itertools.count(1):
            with self._changed:
                self._changed.wait_for(lambda: self._opening < AT_ONCE or self._is_over())
                if self._is_over() or (self._work is not None and not self._work.has_more(number)):
                    return None
                self._opening += 1
            began_s = time.monotonic()
            try:
                client = self._open_pair(number)
                self.opening_s = time.monotonic() - began_s
                return client
            except LinkClosed:
                if tries > MOST_LOSSES:
                    raise
            finally:
                with self._changed:
                    self._opening -= 1
                    self._changed.notify_all()
            self._over.wait(next(waits))
        raise AssertionError("counting never ends")

    def _is_over(self) -> bool:
        return self._dismissed or self._over.is_set()

    def _awaited_work(self) -> Work | None:
        """None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._work or self._is_over())
            return self._work

    def _carry(self, work: Work, client: Pair, number: int) -> None:
        """Raises what the work raises; a LinkError only when the pair stays lost."""
        losses, waits = 0, pauses()
        while not self._over.is_set():
            since_s = time.monotonic()
            try:
                with client.files_link() as link:
                    work.work(link, number)
                return
            except LinkError as exc:
                if time.monotonic() - since_s > STEADY_S:
                    losses, waits = 0, pauses()
                losses += 1
                pause_s = next(waits) if losses > 1 else 0.0
                if losses > MOST_LOSSES or not self._wants_it_back(work, number, pause_s):
                    raise
                _log.warning("a pair that moves files is lost, and opened anew: %s", exc)
                client.reopen(0.0, self._over)

    def _wants_it_back(self, work: Work, number: int, pause_s: float) -> bool:
        """After the pause; False as soon as nobody does."""
        end_s = time.monotonic() + pause_s
        while not self._over.is_set() and work.has_more(number):
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return True
            self._over.wait(min(left_s, LOOK_S))
        return False


def run(
    carriers: Carriers,
    tuner: PairTuner | None,
    amounts: Callable[[], tuple[int, int | None]],
    tick: Callable[[], object],
    period_s: float = 0.1,
) -> None:
    """Wait for them, adding pairs as they pay; what `tick`, called every `period_s`, raises comes out.

    `amounts`: bytes that are done, and those that are left, None while that is not known.
    """
    try:
        tick()
        next_s = time.monotonic() + period_s
        while not carriers.wait(max(0.0, next_s - time.monotonic())):
            next_s = time.monotonic() + period_s
            tick()
            if tuner is not None and not carriers.is_full:
                done_bytes, left_bytes = amounts()
                for _ in range(tuner.more(time.monotonic(), done_bytes, carriers.opening_s, left_bytes)):
                    carriers.add()
    except BaseException:
        carriers.abort()
        raise
    finally:
        carriers.join()
