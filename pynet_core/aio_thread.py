"""One thread in which blocking calls are made for an event loop, one after the other, and cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from pynet_core.errors import LinkClosed

CANCEL_PERIOD_S: Final = 0.05  # a call that had not begun when it was cancelled is cancelled again

_T = TypeVar("_T")


class CallThread:
    """Of one client or swarm; `cancel` ends what runs there, from any thread.  The event loop's."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel
        self._pool = ThreadPoolExecutor(1, "pynet aio")
        self._turn = threading.Lock()  # held while something is cancelled, lest it hits what comes next
        self.is_over = False

    async def run(self, function: Callable[..., _T], *arguments: Any, **kwargs: Any) -> _T:
        """What it returns, in its turn.

        Raises:
            LinkClosed: `end` has come before.
        """
        if self.is_over:
            raise LinkClosed("it was closed at this end; get another one")
        job = self._pool.submit(self._begin, function, *arguments, **kwargs)
        done = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(_forget)
            if not job.cancel():
                await self._cancel_while(lambda: not job.done(), done)
            raise

    async def end(self, function: Callable[[], object]) -> None:
        """Run this as the last, and soon: what comes before it is cancelled.  Idempotent."""
        if not self.is_over:
            self.is_over = True
            job = self._pool.submit(self._begin, function)
            self._pool.shutdown(wait=False)
            done = asyncio.wrap_future(job)
            await self._cancel_while(lambda: not (job.running() or job.done()), done)
            await asyncio.shield(done)

    def _begin(self, function: Callable[..., _T], *arguments: Any, **kwargs: Any) -> _T:
        with self._turn:
            pass
        return function(*arguments, **kwargs)

    async def _cancel_while(self, is_wanted: Callable[[], bool], done: asyncio.Future[Any]) -> None:
        """Cancel what runs, and wait until this is done."""

        def cancel() -> None:
            with self._turn:
                if is_wanted():
                    self._cancel()

        while not done.done():
            await asyncio.to_thread(cancel)
            await asyncio.wait([done], timeout=CANCEL_PERIOD_S)


def _forget(done: asyncio.Future[Any]) -> None:
    """What has become of it is of nobody's interest any more."""
    if not done.cancelled():
        done.exception()
