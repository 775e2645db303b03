"""The calling side for asyncio: calls, streams and swarms to be awaited.

Every client has one thread of its own here, which is all that ever uses it:
calls of several tasks wait for their turn, and none of them for a place among
the few threads of the event loop.  A task that is cancelled cancels its call.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, Self, TypeVar

from pynet_core.aio_thread import CallThread
from pynet_core.client import Batch, Client, Pong
from pynet_core.controller import Controller
from pynet_core.exchange import listed
from pynet_core.offering import Offering
from pynet_core.results import Results, SwarmProgress
from pynet_core.subscription import StreamStats
from pynet_core.swarm import Swarm
from pynet_core.transfer.asking import Files

LOOK_S: Final = 1.0  # a stream whose item does not come back looks whether there is an event loop still

_T = TypeVar("_T")
_END: Final = object()


class AsyncController:
    """A Controller whose clients and swarms are awaited."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    async def get_client(self, *arguments: Any, **kwargs: Any) -> AsyncClient:
        """As `Controller.get_client`."""
        get = functools.partial(self.controller.get_client, *arguments, **kwargs)
        return AsyncClient(await asyncio.to_thread(get))

    async def get_swarm(self, *arguments: Any, **kwargs: Any) -> AsyncSwarm:
        """As `Controller.get_swarm`."""
        get = functools.partial(self.controller.get_swarm, *arguments, **kwargs)
        return AsyncSwarm(await asyncio.to_thread(get))

    async def list_subroutines(self, gateway: tuple[str, int] | None = None) -> list[Offering]:
        """As `Controller.list_subroutines`."""
        return await asyncio.to_thread(self.controller.list_subroutines, gateway)

    async def close_gateway(self) -> None:
        """As `Controller.close_gateway`."""
        await asyncio.to_thread(self.controller.close_gateway)


class AsyncClient:
    """One pair; calls of several tasks are made one after the other.

    A call that is cancelled while it runs costs the pair, as with
    `Client.cancel`; one that waits for its turn does not.
    """

    def __init__(self, client: Client) -> None:
        self.client = client  # for settings: timeout_s, reconnect_timeout_s
        self._thread = CallThread(client.cancel)
        self._streams: list[AsyncSubscription] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ping(self, message: str = "ping") -> Pong:
        """As `Client.ping`."""
        return await self._thread.run(self.client.ping, message)

    async def list_subroutines(self) -> list[Offering]:
        """As `Client.list_subroutines`."""
        return await self._thread.run(self.client.list_subroutines)

    async def get_subroutine_batch(self, name: str, arguments: Iterable[Any] = (), **kwargs: Any) -> Batch:
        """As `Client.get_subroutine_batch`."""
        return await self._thread.run(
            self.client.get_subroutine_batch, name, listed(name, arguments), **kwargs
        )

    async def send_subroutine_batch(
        self, name: str, buffer: Any = None, arguments: Iterable[Any] = (), **kwargs: Any
    ) -> int:
        """As `Client.send_subroutine_batch`."""
        send = self.client.send_subroutine_batch
        return await self._thread.run(send, name, buffer, listed(name, arguments), **kwargs)

    async def get_files_from_gateway(self, *arguments: Any, **kwargs: Any) -> Files:
        """As `Client.get_files_from_gateway`."""
        return await self._thread.run(self.client.get_files_from_gateway, *arguments, **kwargs)

    async def send_files_to_gateway(self, *arguments: Any, **kwargs: Any) -> None:
        """As `Client.send_files_to_gateway`."""
        await self._thread.run(self.client.send_files_to_gateway, *arguments, **kwargs)

    async def reopen(self, within_s: float | None = 0.0) -> None:
        """As `Client.reopen`."""
        await self._thread.run(self.client.reopen, within_s)

    def subscribe(self, name: str, arguments: Iterable[Any] = (), **kwargs: Any) -> AsyncSubscription:
        """The items of a stream: `async for ident, buffer in client.subscribe(name)`.

        This pair is the stream's until it ends or is stopped.
        """
        self._streams = [earlier for earlier in self._streams if not earlier.has_ended]
        self._streams.append(
            AsyncSubscription(self.client, name, listed(name, arguments), kwargs, self._thread)
        )
        return self._streams[-1]

    async def close(self) -> None:
        """As `Client.close`: what runs is cut."""
        for stream in self._streams:
            stream.let_go()
        await self._thread.end(self.client.close)


class AsyncSubscription:
    """A stream's items, as an event loop's task wants them; a newer one is asked for when it comes back.

    Leaving `async with` stops it, and so does `stop`.  A task that is
    cancelled while it waits leaves it as it is.
    """

    def __init__(
        self, client: Client, name: str, arguments: list[Any], kwargs: dict[str, Any], thread: CallThread
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._changed = asyncio.Event()
        self._item: tuple[int, bytes] | None = None
        self._is_with_reader = False  # the newest item: the stream's thread waits until it comes back
        self._back = threading.Semaphore(0)
        self._is_stopping = False
        self._has_ended = False
        self._error: BaseException | None = None
        self._running = client.subscribe(name, self._hand_over, arguments, self._end, **kwargs)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, bytes]:
        """Raises what ended the stream, if it has not ended by itself."""
        if self._is_with_reader:
            self._is_with_reader = False
            self._back.release()
        while self._item is None:
            if self._has_ended:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        item, self._item = self._item, None
        self._is_with_reader = True
        return item

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def stats(self) -> StreamStats:
        return self._running.stats

    @property
    def has_ended(self) -> bool:
        return self._running.has_ended

    async def stop(self) -> None:
        """As `Subscription.stop`."""
        self.let_go()
        if not (self.has_ended or self._thread.is_over):
            await self._thread.run(self._running.stop)

    def let_go(self) -> None:
        """The item that is out will not come back, and no further one is wanted."""
        self._is_stopping = True
        self._back.release()

    def _hand_over(self, _name: str, ident: int, buffer: bytes) -> bool:
        """In the subscription's thread; as in `Subscription`, only then is a newer one asked for."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take, (ident, buffer))
        while not (self._loop.is_closed() or self._back.acquire(timeout=LOOK_S)):
            pass
        return not (self._is_stopping or self._loop.is_closed())

    def _end(self, error: BaseException | None) -> None:
        """In the subscription's thread."""
        with contextlib.suppress(RuntimeError):  # as above
            self._loop.call_soon_threadsafe(self._take_end, error)

    def _take(self, item: tuple[int, bytes]) -> None:
        self._item = item
        self._changed.set()

    def _take_end(self, error: BaseException | None) -> None:
        self._has_ended, self._error = True, error
        self._changed.set()


class AsyncSwarm:
    """Many pairs as one thing; its work is drawn in a thread of its own, where what is given is drawn too."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm  # for settings: timeout_s, alive
        self._thread = CallThread(swarm.cancel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def map(self, name: str, args: Iterable[Any], **options: Any) -> AsyncResults[Batch]:
        """As `Swarm.map`."""
        return AsyncResults(functools.partial(self.swarm.map, name, args, **options), self._thread)

    def send(
        self, name: str, buffers: Iterable[Any], arguments: Iterable[Any] = (), **options: Any
    ) -> AsyncResults[int]:
        """As `Swarm.send`."""
        send = functools.partial(self.swarm.send, name, buffers, listed(name, arguments), **options)
        return AsyncResults(send, self._thread)

    def stream(
        self, name: str, arguments: Iterable[Any] = (), **options: Any
    ) -> AsyncResults[tuple[int, bytes]]:
        """As `Swarm.stream`, without a callback."""
        stream = functools.partial(self.swarm.stream, name, None, listed(name, arguments), **options)
        return AsyncResults(stream, self._thread)

    async def close(self) -> None:
        """As `Swarm.close`."""
        await self._thread.end(self.swarm.close)


class AsyncResults(Generic[_T]):
    """What a swarm's work gives: `async for`.  Cancelling the task that waits for one ends the work.

    Who leaves the loop early ends it by `cancel`, or by using `async with`.
    """

    def __init__(self, begin: Callable[[], Results[_T]], thread: CallThread) -> None:
        self._begin = begin
        self._thread = thread
        self._results: Results[_T] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        result = await self._thread.run(self._next)
        if result is _END:
            raise StopAsyncIteration
        return result  # type: ignore[return-value]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cancel()

    @property
    def progress(self) -> SwarmProgress:
        return SwarmProgress(0, 0, 0, 0) if self._results is None else self._results.progress

    def with_errors(self) -> AsyncResults[_T | Exception]:
        """As `Results.with_errors`."""
        begin = self._begin
        return AsyncResults(lambda: begin().with_errors(), self._thread)

    async def wait(self) -> SwarmProgress:
        """As `Results.wait`."""
        return await self._thread.run(lambda: self._started().wait())

    async def cancel(self) -> None:
        """As `Results.cancel`."""
        if self._results is not None and not self._thread.is_over:
            await self._thread.run(self._results.cancel)

    def _started(self) -> Results[_T]:
        if self._results is None:
            self._results = self._begin()
        return self._results

    def _next(self) -> _T | object:
        return next(self._started(), _END)
