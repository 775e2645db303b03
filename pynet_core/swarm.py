"""Many pairs as one thing: calls dealt out to whoever is free, and one stream drawn by all.

Several gateways may be in one swarm; they must offer the same subroutines.
A pair that is lost gives its work back, and the others go on: so a function
may run twice for one result, unless `retry=False` says that it must not.

A stream is shared like this: each pair starts the generator with `share=k` and
`shares=n`, and the generator gives the items that are its share's, by rising
ident: `for n in range(share, end, shares): yield n, picture(n)`.  One generator
whose items are dealt to n connections would need no such arguments, but could
not run on several gateways, and what was on its way to a pair that is lost would
be gone: nothing is acknowledged item by item.  A share can be begun again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar, overload

from pynet_core.client import Batch, Client, StreamCallback
from pynet_core.crew import Crew, Task
from pynet_core.dealing import Calls, Drawing
from pynet_core.errors import LinkClosed, LinkError, LocalProtocolError, PynetError
from pynet_core.exchange import listed
from pynet_core.results import Results
from pynet_core.shares import MAX_AHEAD

_log = logging.getLogger(__name__)

LEAST_AHEAD: Final = 16  # calls on their way and results not yet taken, in all
AHEAD_PER_PAIR: Final = 4  # so that one slow call does not keep the other pairs waiting

Address = tuple[str, int]
_Result = TypeVar("_Result")
_NO_KWARGS: Final[Mapping[str, Any]] = {}


class Swarm:
    """Pairs with one or several gateways, made by `Controller.get_swarm`; does one thing at a time.

    `timeout_s` is how long each call may take; one that takes longer raises
    DeadlineExceeded at its place and costs its pair, which is opened anew.
    A pair that was lost is opened anew too, by one try; with `reconnect` by as
    many as 30 s allow, while the others go on.
    """

    def __init__(self, clients: Sequence[Client], *, reconnect: bool = False) -> None:
        self.clients = list(clients)
        self.timeout_s: float | None = None
        self.reconnect = reconnect
        self._crew: Crew | None = None  # at work now, or the last one that was
        self._claiming = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many pairs it was opened with."""
        return len(self.clients)

    @property
    def alive(self) -> int:
        """How many of its pairs are connected now."""
        return sum(not client.peer_has_gone() for client in self.clients)

    def map(
        self,
        name: str,
        args: Iterable[Any],
        *,
        kwargs: Mapping[str, Any] = _NO_KWARGS,
        unordered: bool = False,
        retry: bool = True,
        ahead: int | None = None,
    ) -> Results[Batch]:
        """Call a function for each of `args`, a tuple of arguments or a single one, wherever a pair is free.

        Results come in the order of `args`, or `unordered` as they are done;
        `batch.number` is which of them it is, from 0.  `args` may be endless: no
        more than `ahead` are taken before the result that is asked for.
        A pair that is lost gives its call back, which may thus run twice; with
        `retry=False` the LinkError comes in place of its result.

        Raises, while the results are drawn:
            SubroutineError: A call failed; that ends the work, unless `.with_errors()` is drawn from.
            DeadlineExceeded: A call took longer than `timeout_s`.
            LinkError: Every pair is lost, or a call kills each one that it is given to.
            LocalProtocolError: The swarm is at work on something else.
        """

        def call(client: Client, task: Task) -> Batch:
            arguments = list(task.value) if isinstance(task.value, tuple) else [task.value]
            batch = client.get_subroutine_batch(name, arguments, **kwargs)
            batch.number = task.index
            return batch

        return self._calls(call, args, unordered=unordered, retry=retry, ahead=ahead)

    def send(
        self,
        name: str,
        buffers: Iterable[Any],
        arguments: Sequence[Any] = (),
        *,
        kwargs: Mapping[str, Any] = _NO_KWARGS,
        unordered: bool = False,
        retry: bool = True,
        ahead: int | None = None,
    ) -> Results[int]:
        """Call a function with each of `buffers`, wherever a pair is free; the ints that it returns.

        All else is as in `map`.  Who does not want the answers calls `.wait()`.
        """

        same = listed(name, arguments)

        def call(client: Client, task: Task) -> int:
            return client.send_subroutine_batch(name, task.value, same, **kwargs)

        return self._calls(call, buffers, unordered=unordered, retry=retry, ahead=ahead)

    @overload
    def stream(
        self,
        name: str,
        callback: None = None,
        arguments: Sequence[Any] = (),
        *,
        kwargs: Mapping[str, Any] = _NO_KWARGS,
        ordered: bool = True,
        retry: bool = True,
        ahead: int = MAX_AHEAD,
    ) -> Results[tuple[int, bytes]]: ...

    @overload
    def stream(
        self,
        name: str,
        callback: StreamCallback,
        arguments: Sequence[Any] = (),
        *,
        kwargs: Mapping[str, Any] = _NO_KWARGS,
        ordered: bool = True,
        retry: bool = True,
        ahead: int = MAX_AHEAD,
    ) -> None: ...

    def stream(
        self,
        name: str,
        callback: StreamCallback | None = None,
        arguments: Sequence[Any] = (),
        *,
        kwargs: Mapping[str, Any] = _NO_KWARGS,
        ordered: bool = True,
        retry: bool = True,
        ahead: int = MAX_AHEAD,
    ) -> Results[tuple[int, bytes]] | None:
        """Draw one stream by all pairs: (ident, buffer) by rising ident, or not `ordered` as they come.

        Each pair that is alive now starts the generator with `share=k` and
        `shares=n`, see above.  At most `ahead` items of a share wait for those
        of the others; then its generator is held back.  A share whose pair is
        lost is begun again by one that is free, and what has come of it before
        is left out.

        That gains where the generators wait, or the link does, or there are
        several gateways.  Where none of it is so, one client draws more: here
        each item goes from its pair's thread to the caller's, all under one GIL.

        With a callback it is called here, `callback(name, ident, buffer)`,
        until the end or until it returns False.

        Raises, while the items are drawn:
            SubroutineError: A generator failed, behind the items of its share; that ends it as in `map`.
            OutOfOrder: The idents of a share do not rise.
            LinkError: Every pair is lost, or nobody can take a share over.
            LocalProtocolError: The swarm is at work on something else.
        """
        self._check_free()
        _check_ahead(ahead)
        self.reopen()
        alive = [client for client in self.clients if client.connected]
        drawing = Drawing(
            alive,
            name,
            listed(name, arguments),
            kwargs,
            self._claim,
            ordered=ordered,
            retry=retry,
            reopen_s=self._reopen_s,
            ahead=ahead,
        )
        items = Results(drawing)
        if callback is None:
            return items
        with items:
            for ident, buffer in items:
                if callback(name, ident, buffer) is False:
                    break
        return None

    def reopen(self) -> int:
        """Open the pairs that were lost anew, one try each; returns how many are alive.

        Raises:
            LinkError: None is.
        """
        lost = ""
        for client in self.clients:
            try:
                client.reopen()
            except PynetError as exc:
                lost = str(exc)
        alive = sum(client.connected for client in self.clients)
        if not alive:
            raise LinkClosed(f"every pair of the swarm is lost; the last: {lost}")
        return alive

    def cancel(self) -> None:
        """End what the swarm does now, from any thread, as `Results.cancel`."""
        if self._crew is not None:
            self._crew.stop()

    def close(self) -> None:
        """End what it does, close its pairs and give their places back.  Idempotent."""
        self.cancel()
        for client in self.clients:
            client.close()

    @property
    def _reopen_s(self) -> float | None:
        return self.clients[0].reconnect_timeout_s if self.reconnect else 0.0

    def _calls(
        self,
        call: Callable[[Client, Task], _Result],
        values: Iterable[Any],
        *,
        unordered: bool,
        retry: bool,
        ahead: int | None,
    ) -> Results[_Result]:
        if ahead is None:
            ahead = max(LEAST_AHEAD, AHEAD_PER_PAIR * len(self.clients))
        _check_ahead(ahead)
        return Results(
            Calls(
                self.clients,
                call,
                values,
                self._claim,
                unordered=unordered,
                retry=retry,
                reopen_s=self._reopen_s,
                ahead=ahead,
            )
        )

    def _claim(self, crew: Crew) -> None:
        with self._claiming:
            self._check_free()
            self._crew = crew
        for client in self.clients:
            client.timeout_s = self.timeout_s

    def _check_free(self) -> None:
        if self._crew is not None and not self._crew.stopping.is_set():
            raise LocalProtocolError(
                "this swarm is at work on something else: draw its results to their end, cancel it, or get "
                "another swarm"
            )


def _check_ahead(ahead: int) -> None:
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, got {ahead}")


def open_swarm(
    open_client: Callable[..., Client],
    count: int,
    gateways: Sequence[Address] | None,
    *,
    at_least: int | None,
    reconnect: bool,
) -> Swarm:
    """See `Controller.get_swarm`."""
    places: Sequence[Address | None] = [None] if gateways is None else gateways
    wanted = count * len(places)
    least = wanted if at_least is None else at_least
    if count < 1 or not places:
        raise ValueError(f"a swarm has at least one pair and one gateway, got {count} and {gateways}")
    if not 1 <= least <= wanted:
        raise ValueError(f"at_least must be 1 to {wanted}, the pairs that are wanted; got {at_least}")
    clients: list[Client] = []
    error: LinkError | None = None
    try:
        for place in places:
            elsewhere = [other for other in places if other != place]
            try:
                for _ in range(count):
                    clients.append(open_client(place, elsewhere=elsewhere))
            except LinkError as exc:  # the next pair with this gateway would fare no better
                if least == wanted:
                    raise
                error = exc
                _log.warning("the swarm has %d of %d pairs so far: %s", len(clients), wanted, exc)
        if error is not None and len(clients) < least:
            error.add_note(f"{len(clients)} of {wanted} pairs could be opened, at least {least} were wanted")
            raise error
    except BaseException:
        for client in clients:
            client.close()
        raise
    return Swarm(clients, reconnect=reconnect)
