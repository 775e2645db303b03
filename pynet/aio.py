"""The calling side for asyncio: `from pynet import aio`."""

from pynet_core.aio import AsyncClient, AsyncController, AsyncResults, AsyncSubscription, AsyncSwarm

__all__ = ["AsyncClient", "AsyncController", "AsyncResults", "AsyncSubscription", "AsyncSwarm"]
