"""What a crew of pairs can work on: many calls, or one stream; drawn by whoever wants the results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from pynet_core.client import Client
from pynet_core.crew import Crew, Task
from pynet_core.errors import LinkClosed, SubroutineError
from pynet_core.shares import Share, Shares

LOOK_S: Final = 0.05  # a pair that is ahead of the others looks whether it is still wanted

Result = TypeVar("Result", covariant=True)
_Result = TypeVar("_Result")
Claim = Callable[[Crew], None]  # of the swarm, for one crew at a time


class Work(Protocol[Result]):
    """Something that a crew does."""

    crew: Crew
    given: int
    failed: int
    return_errors: bool

    def run(self) -> Generator[Result, None, None]:
        """Start the crew, give its results, and stop it however this ends; in the thread that draws them."""


class Calls(Generic[_Result]):
    """One call for each value, by whoever is free.

    Values are drawn in the thread that wants the results: one for each result,
    more while none is there, and never more than `ahead` before it.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        call: Callable[[Client, Task], _Result],
        values: Iterable[Any],
        claim: Claim,
        *,
        unordered: bool,
        retry: bool,
        reopen_s: float | None,
        ahead: int,
    ) -> None:
        self.crew = Crew(clients, call, self._keep, retry=retry, reopen_s=reopen_s)
        self.given = self.failed = 0
        self.return_errors = False
        self._values = values
        self._claim = claim
        self._unordered = unordered
        self._ahead = ahead
        self._taken = 0
        self._outcomes: dict[int, tuple[Any, Exception | None]] = {}

    def run(self) -> Generator[_Result, None, None]:
        values = iter(self._values)  # first: if it is none the swarm stays free
        self._claim(self.crew)
        are_all_given = False
        with self.crew:
            while not self.crew.stopping.is_set():
                if not are_all_given and self.given - self._taken < self._ahead:
                    try:
                        value = next(values)
                    except StopIteration:
                        are_all_given = True
                    else:
                        self.crew.put(Task(self.given, value))
                        self.given += 1
                if are_all_given and self._taken == self.given:
                    return
                outcome = self._take(wait=are_all_given or self.given - self._taken >= self._ahead)
                if outcome is None:
                    continue
                self._taken += 1
                result, error = outcome
                if error is None:
                    yield result
                elif self.return_errors:
                    yield error  # type: ignore[misc]  # as Results.with_errors says
                else:
                    try:
                        raise error
                    finally:
                        del outcome, error  # they refer to this frame, which would keep all that it refers to

    def _take(self, *, wait: bool) -> tuple[Any, Exception | None] | None:
        """The next outcome; None when it has not come, or the work has been stopped."""
        with self.crew.lock:
            while not self.crew.stopping.is_set():
                if self._unordered and self._outcomes:
                    return self._outcomes.pop(next(iter(self._outcomes)))
                if self._taken in self._outcomes:
                    return self._outcomes.pop(self._taken)
                self.crew.check()
                if not wait:
                    return None
                self.crew.came.wait()
        return None

    def _keep(self, task: Task, result: Any, error: Exception | None) -> None:
        if error is not None:
            self.failed += 1
            error.add_note(f"this was number {task.index} of what the swarm was given")
        self._outcomes[task.index] = result, error


class Drawing:
    """One stream, a share for each client."""

    def __init__(
        self,
        clients: Sequence[Client],
        name: str,
        arguments: list[Any],
        kwargs: Mapping[str, Any],
        claim: Claim,
        *,
        ordered: bool,
        retry: bool,
        reopen_s: float | None,
        ahead: int,
    ) -> None:
        self.crew = Crew(clients, self._draw, self._end, retry=retry, reopen_s=reopen_s)
        self.given = self.failed = 0
        self.return_errors = False
        self._name = name
        self._arguments = arguments
        self._kwargs = kwargs
        self._claim = claim
        self._ahead = ahead
        self._shares = Shares(len(clients), ordered=ordered)
        self._room = threading.Condition(self.crew.lock)

    def run(self) -> Generator[tuple[int, bytes], None, None]:
        self._claim(self.crew)
        with self.crew:
            for share in self._shares.shares:
                self.crew.put(Task(share.number, share))
                self.given += 1
            while (item := self._take()) is not None:
                if isinstance(item, tuple):
                    yield item
                elif self.return_errors:
                    yield item  # type: ignore[misc]  # as Results.with_errors says
                else:
                    try:
                        raise item
                    finally:
                        del item  # as in Calls

    def _take(self) -> tuple[int, bytes] | Exception | None:
        """The next item, or what has ended a share; None when that was all, or the work has been stopped."""
        with self.crew.lock:
            while not self.crew.stopping.is_set():
                item = self._shares.take()
                if item is not None:
                    self._room.notify_all()
                    return item
                if self._shares.are_over:
                    return None
                self._check()
                self.crew.came.wait()
        return None

    def _check(self) -> None:
        """There is somebody who can bring the next item.

        Raises:
            LinkClosed: Nobody: all pairs are lost, or those that are left are full and wait for a share that
                has none.
        """
        crew = self.crew
        crew.check()
        waiting = crew.waiting
        if waiting and crew.busy == crew.working:
            others = [share for share in self._shares.shares if share.number not in waiting]
            if all(share.is_over or len(share.items) >= self._ahead for share in others):
                raise LinkClosed(
                    f"share {min(waiting)} of {self._name!r} has lost its pair ({crew.lost}), "
                    "and no other can take it over: they wait for its items"
                )

    def _draw(self, client: Client, task: Task) -> None:
        share: Share = task.value
        with self.crew.lock:
            share.taken_over_at = share.newest

        def on_item(name: str, ident: int, body: bytes) -> bool:
            with self.crew.lock:
                if not share.is_new(name, ident):
                    return True
                while len(share.items) >= self._ahead and not self.crew.stopping.is_set():
                    self._room.wait(LOOK_S)
                share.put(ident, body)
                task.tries = 0
                self.crew.came.notify_all()
            return not self.crew.stopping.is_set()

        kwargs = {**self._kwargs, "share": share.number, "shares": len(self._shares.shares)}
        client.draw(self._name, on_item, self._arguments, kwargs, self.crew.stopping)

    def _end(self, task: Task, _: Any, error: Exception | None) -> None:
        share: Share = task.value
        share.is_over, share.error = True, error
        if error is not None:
            self.failed += 1
            if isinstance(error, SubroutineError) and error.error == "TypeError" and "share" in error.reason:
                error.add_note("a generator that a swarm draws takes the arguments share and shares")
