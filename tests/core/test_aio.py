"""Calls, streams and swarms from an event loop, which never waits itself; a cancelled task ends its call."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from pynet_core.aio import AsyncClient, AsyncController, AsyncSubscription, AsyncSwarm
from pynet_core.aio_thread import CallThread
from pynet_core.client import Client
from pynet_core.errors import LinkClosed, LinkError, SubroutineError
from pynet_core.gateway import Gateway
from tests.core.loopback import PATIENCE_S, Gate, Ticker, controller_of, counting, eventually


@pytest.fixture(autouse=True)
def no_executor_is_left_behind() -> Iterator[None]:
    yield
    assert eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("pynet aio")])


def run_with_client(gateway: Gateway, act: Callable[[AsyncClient], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        async with await AsyncController(controller_of(gateway)).get_client(**options) as client:
            await act(client)

    asyncio.run(asyncio.wait_for(whole(), 4 * PATIENCE_S))


def run_with_swarm(gateway: Gateway, act: Callable[[AsyncSwarm], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with await AsyncController(controller_of(gateway)).get_swarm(3) as swarm:
            await act(swarm)

    asyncio.run(asyncio.wait_for(whole(), 4 * PATIENCE_S))


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.acquire, timeout=PATIENCE_S)


# Calls


def test_calls_of_many_tasks_on_one_client_wait_for_their_turn(gateway: Gateway) -> None:
    gateway.add_subroutine("double", lambda n: b"%d" % (2 * n))
    gateway.add_subroutine("length", lambda plus, buffer: len(buffer) + plus)

    async def act(client: AsyncClient) -> None:
        batches = await asyncio.gather(*(client.get_subroutine_batch("double", [n]) for n in range(50)))
        assert [int(batch) for batch in batches] == [2 * n for n in range(50)]
        assert await client.send_subroutine_batch("length", b"abc", plus=1) == 4
        assert (await client.ping()).message == "ping"
        assert [each.name for each in await client.list_subroutines()] == ["double", "length"]

    run_with_client(gateway, act)


def test_the_event_loop_goes_on_while_a_call_takes_its_time(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)

    async def act(client: AsyncClient) -> None:
        call = asyncio.create_task(client.get_subroutine_batch("gate"))
        await entered(gate)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not call.done()
        gate.open()
        assert await call == b""

    run_with_client(gateway, act)


def test_a_failing_call_raises_what_it_would_without_asyncio(gateway: Gateway) -> None:
    async def act(client: AsyncClient) -> None:
        with pytest.raises(SubroutineError, match="no subroutine 'none'"):
            await client.get_subroutine_batch("none")
        assert (await client.ping()).message == "ping"

    run_with_client(gateway, act)


def test_a_task_that_is_cancelled_ends_its_call_and_the_client_can_be_opened_anew(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)

    async def act(client: AsyncClient) -> None:
        call = asyncio.create_task(client.get_subroutine_batch("gate"))
        await entered(gate)
        began = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert time.monotonic() - began < PATIENCE_S / 2, "it did not wait for the function"
        with pytest.raises(LinkClosed):
            await client.ping()
        await client.reopen()
        assert (await client.ping()).message == "ping"
        gate.open()

    run_with_client(gateway, act)


def test_a_call_that_is_cancelled_while_it_waits_for_its_turn_costs_nothing(gateway: Gateway) -> None:
    gate = Gate()
    calls: list[int] = []
    gateway.add_subroutine("gate", gate)
    gateway.add_subroutine("f", lambda: calls.append(1) or b"")  # type: ignore[func-returns-value]

    async def act(client: AsyncClient) -> None:
        first = asyncio.create_task(client.get_subroutine_batch("gate"))
        await entered(gate)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get_subroutine_batch("f"), 0.02)
        gate.open()
        assert await first == b""
        assert calls == []
        assert client.client.connected

    run_with_client(gateway, act)


def test_a_timeout_of_asyncios_ends_a_call(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)

    async def act(client: AsyncClient) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.get_subroutine_batch("gate")
        assert (await client.ping()).message == "ping", "this one reconnects"
        gate.open()

    run_with_client(gateway, act, reconnect=True)


def test_a_controller_lists_and_closes_a_gateway() -> None:
    async def whole(controller: AsyncController) -> None:
        assert [each.name for each in await controller.list_subroutines()] == ["count"]
        await controller.close_gateway()
        with pytest.raises(LinkError):
            await controller.get_client()

    gateway = Gateway(0)
    gateway.add_subroutine("count", counting)
    with gateway:
        asyncio.run(whole(AsyncController(controller_of(gateway))))


def test_a_cancelled_call_does_not_take_the_one_behind_it_with_it() -> None:
    first_began, first_ends, second_began = threading.Event(), threading.Event(), threading.Event()
    second_ran: list[bool] = []

    def first() -> None:
        first_began.set()
        first_ends.wait(PATIENCE_S)

    def cancel() -> None:
        first_ends.set()
        second_ran.append(second_began.wait(0.1))

    async def whole() -> None:
        thread = CallThread(cancel)
        running = asyncio.create_task(thread.run(first))
        await asyncio.to_thread(first_began.wait, PATIENCE_S)
        behind = asyncio.create_task(thread.run(second_began.set))
        await asyncio.sleep(0)
        running.cancel()
        await behind
        assert second_ran == [False], "it began when the first was no longer being cancelled"
        await thread.end(lambda: None)

    asyncio.run(whole())


def test_closing_twice_is_nothing_and_what_is_asked_of_a_closed_one_is_link_closed(gateway: Gateway) -> None:
    async def act(closing: AsyncClient | AsyncSwarm) -> None:
        await closing.close()
        await closing.close()
        with pytest.raises(LinkClosed, match="closed at this end"):
            await (closing.ping() if isinstance(closing, AsyncClient) else anext(closing.map("f", [1])))

    run_with_client(gateway, act)
    run_with_swarm(gateway, act)


def test_closing_cuts_what_runs_and_ends_what_waits_for_its_turn(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)

    async def act(client: AsyncClient) -> None:
        calls = [asyncio.create_task(client.get_subroutine_batch("gate")) for _ in range(3)]
        await entered(gate)
        await client.close()
        assert [type(each) for each in await asyncio.gather(*calls, return_exceptions=True)] == [
            LinkClosed
        ] * 3
        gate.open()

    run_with_client(gateway, act)


# Streams


def test_closing_a_client_ends_a_stream_whose_reader_has_gone(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.add_subroutine("tick", Ticker())
    running: list[AsyncSubscription] = []

    async def act(client: AsyncClient) -> None:
        running.append(client.subscribe("tick"))
        async for _ in running[0]:
            break

    run_with_client(gateway, act)
    assert running[0].has_ended
    assert not caplog.records, "neither is its thread left nor its pair cut"


def test_a_stream_whose_event_loop_has_gone_ends_without_a_word(
    gateway: Gateway, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def silent() -> Iterator[bytes]:
        yield gate()
        yield from itertools.repeat(b"")

    gateway.add_subroutine("silent", silent)

    async def whole() -> AsyncSubscription:
        return AsyncClient(client).subscribe("silent")

    running = asyncio.run(whole())
    gate.open()
    assert eventually(lambda: running.has_ended)
    assert not caplog.records
    assert client.ping().message == "ping"


def test_a_stream_is_an_async_iterator_to_its_end(gateway: Gateway) -> None:
    gateway.add_subroutine("count", counting)

    async def act(client: AsyncClient) -> None:
        got = [item async for item in client.subscribe("count", [50])]
        assert got == list(counting(50))
        assert [item async for item in client.subscribe("count", [0])] == []
        assert (await client.ping()).message == "ping"

    run_with_client(gateway, act)


def test_more_streams_than_the_loop_has_threads_run_side_by_side(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker(), shared=True, keep="latest")

    async def first_of(controller: AsyncController) -> int:
        async with await controller.get_client() as client, client.subscribe("tick") as running:
            for _ in range(4):
                await anext(running)
            return (await anext(running))[0]

    async def whole() -> None:
        controller = AsyncController(controller_of(gateway))
        assert all(await asyncio.gather(*(first_of(controller) for _ in range(18))))

    asyncio.run(asyncio.wait_for(whole(), 4 * PATIENCE_S))


def test_a_reader_that_is_slow_gets_fresh_items_and_is_asked_again_only_when_it_is_back(
    gateway: Gateway,
) -> None:
    ticker = Ticker(0.002)
    gateway.add_subroutine("tick", ticker, shared=True, keep="latest")

    async def act(client: AsyncClient) -> None:
        behind: list[int] = []
        async with client.subscribe("tick") as running:
            async for ident, _ in running:
                behind.append(ticker.newest - ident)
                await asyncio.sleep(0.03)
                if len(behind) == 12:
                    break
        assert sorted(behind)[6] <= 5, f"stale: {behind} items behind, the reader sleeps 15"
        assert running.stats.items >= 12

    run_with_client(gateway, act)


def test_waiting_for_an_item_can_be_cancelled_and_the_item_comes_the_next_time(gateway: Gateway) -> None:
    gate = Gate()

    def silent() -> Iterator[bytes]:
        yield b"first"
        gate()
        yield b"second"

    gateway.add_subroutine("silent", silent)

    async def act(client: AsyncClient) -> None:
        running = client.subscribe("silent")
        assert await anext(running) == (0, b"first")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(running), 0.05)
        gate.open()
        assert [body async for _, body in running] == [b"second"]

    run_with_client(gateway, act)


def test_what_ends_a_stream_is_raised_where_it_is_awaited(gateway: Gateway) -> None:
    def failing() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("broken lens")

    gateway.add_subroutine("failing", failing)

    async def act(client: AsyncClient) -> None:
        got: list[bytes] = []
        with pytest.raises(SubroutineError, match="broken lens"):
            async for _, body in client.subscribe("failing"):
                got.append(body)
        assert got == [b"a"]

    run_with_client(gateway, act)


def test_a_stopped_stream_leaves_the_pair_free(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker())

    async def act(client: AsyncClient) -> None:
        async with client.subscribe("tick") as running:
            await anext(running)
        assert (await client.ping()).message == "ping"
        await running.stop()

    run_with_client(gateway, act)


# Swarms


def test_a_swarms_results_are_awaited_in_order(gateway: Gateway) -> None:
    gateway.add_subroutine("double", lambda n: b"%d" % (2 * n))
    gateway.add_subroutine("length", lambda buffer: len(buffer))
    gateway.add_subroutine(
        "count", lambda share, shares: zip(range(share, 50, shares), itertools.repeat(b""))
    )

    def frames(share: int, shares: int) -> Iterator[tuple[int, bytes]]:
        yield from ((number, b"") for number in range(share, 50, shares))

    gateway.add_subroutine("frames", frames)

    async def act(swarm: AsyncSwarm) -> None:
        assert [int(batch) async for batch in swarm.map("double", range(40))] == [2 * n for n in range(40)]
        assert [n async for n in swarm.send("length", [b"a", b"bc"])] == [1, 2]
        assert [ident async for ident, _ in swarm.stream("frames")] == list(range(50))
        assert (await swarm.send("length", [b"a", b"bc"]).wait()).taken == 2

    run_with_swarm(gateway, act)


def test_errors_of_a_swarm_come_at_their_place(gateway: Gateway) -> None:
    def f(number: int) -> bytes:
        if number == 2:
            raise ValueError("bad")
        return b""

    gateway.add_subroutine("f", f)

    async def act(swarm: AsyncSwarm) -> None:
        with pytest.raises(SubroutineError, match="bad"):
            async for _ in swarm.map("f", range(5)):
                pass
        got = [each async for each in swarm.map("f", range(5)).with_errors()]
        assert [isinstance(each, SubroutineError) for each in got] == [False, False, True, False, False]

    run_with_swarm(gateway, act)


def test_a_cancelled_task_ends_the_work_of_the_swarm_which_is_free_again(gateway: Gateway) -> None:
    gate = Gate()
    gateway.add_subroutine("gate", gate)
    gateway.add_subroutine("double", lambda n: b"%d" % (2 * n))

    async def act(swarm: AsyncSwarm) -> None:
        results = swarm.map("gate", range(9))
        waiting = asyncio.create_task(anext(results))
        await entered(gate)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert [int(batch) async for batch in swarm.map("double", range(5))] == [0, 2, 4, 6, 8]
        gate.open()

    run_with_swarm(gateway, act)


def test_leaving_an_endless_map_early_by_async_with_ends_it(gateway: Gateway) -> None:
    gateway.add_subroutine("double", lambda n: b"%d" % (2 * n))

    async def act(swarm: AsyncSwarm) -> None:
        async with swarm.map("double", itertools.count()) as results:
            async for batch in results:
                if batch.number == 10:
                    break
        assert results.progress.taken == 11
        assert len([batch async for batch in swarm.map("double", range(5))]) == 5

    run_with_swarm(gateway, act)
