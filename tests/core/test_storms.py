"""Many threads doing everything at once: no deadlock, nothing mistaken, nothing left behind."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pynet_core.client import Client
from pynet_core.controller import PairId
from pynet_core.errors import LinkError, PynetError
from pynet_core.gateway import Gateway
from pynet_core.subroutines import Peer
from tests.core.loopback import (
    PATIENCE_S,
    Ticker,
    collected,
    controller_of,
    counting,
    eventually,
    open_files,
    our_threads,
    serving,
)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = open_files()
    yield
    assert eventually(lambda: open_files() <= before), f"{open_files() - before} files left open"


def in_threads(count: int, work: Callable[[int], None], patience_s: float = 30.0) -> None:
    """Run work(0) ... work(count - 1) at once; fails on the first that raises or does not come back."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
        assert not thread.is_alive(), "deadlock"
    if errors:
        raise errors[0]


def test_500_pairs_opened_and_closed_leave_no_thread_and_no_file() -> None:
    with serving(max_poolsize=8) as gateway:
        gateway.add_subroutine("count", counting)
        files, threads = open_files(), our_threads()
        controller = controller_of(gateway)

        def work(number: int) -> None:
            for turn in range(125):
                with controller.get_client() as client:
                    if turn % 5 == number:
                        assert collected(client, "count", 3) == list(counting(3))

        in_threads(4, work)
        assert eventually(lambda: our_threads() == threads)
        assert eventually(lambda: open_files() == files)
        assert not gateway.pool.live | gateway.pool.unproven | gateway.pool.stuck
        assert gateway.pool.room._value >= 15


@pytest.mark.parametrize(
    "options", [{"shared": True, "keep": "latest"}, {"shared": True}, {"keep": "latest"}, {}]
)
def test_100_subscriptions_each_from_8_threads_start_and_stop(options: dict[str, object]) -> None:
    ticker = Ticker(0.0005)
    with serving(max_poolsize=8) as gateway:
        gateway.add_subroutine("tick", ticker, **options)  # type: ignore[arg-type]
        controller = controller_of(gateway)

        def work(number: int) -> None:
            with controller.get_client() as client:
                for turn in range(100):
                    running = client.subscribe("tick", lambda *_: None)
                    if (turn + number) % 3 == 0:
                        assert eventually(lambda running=running: running.stats.items)  # type: ignore[misc]
                    running.stop()
                    assert running.has_ended
                    assert running.error is None
                assert client.connected
                assert client.ping().message == "ping"

        in_threads(8, work)
        assert eventually(lambda: ticker.running == 0)
        assert eventually(lambda: not [name for name in our_threads() if "pump" in name or "stream" in name])


def test_a_subscription_stopped_at_any_moment_leaves_the_pair_free() -> None:
    with serving() as gateway:
        gateway.add_subroutine("three", lambda: None)
        gateway.add_subroutine("tick", Ticker(0.0005), shared=True, keep="latest")
        gateway.add_subroutine("count", counting)
        with controller_of(gateway).get_client() as client:
            for turn in range(300):
                name, arguments = ("tick", []) if turn % 2 else ("count", [turn])
                running = client.subscribe(name, lambda *_: None, arguments)
                if turn % 5:
                    time.sleep(random.random() * 0.002)
                running.stop()
                assert running.error is None
                assert client.connected, f"turn {turn}"


def test_a_gateway_that_stops_while_everybody_connects_leaves_nothing_behind() -> None:
    for _ in range(10):
        gateway = Gateway(0, 50)
        gateway.add_subroutine("tick", Ticker(0.001), shared=True)
        gateway.start()
        controller = controller_of(gateway)
        stopping = threading.Event()

        def work(number: int, controller=controller, stopping=stopping, gateway=gateway) -> None:  # type: ignore[no-untyped-def]
            if number == 0:
                time.sleep(0.02)
                assert gateway.stop() == []
                stopping.set()
                return
            while not stopping.is_set():
                with contextlib.suppress(LinkError), controller.get_client(timeout_s=PATIENCE_S) as client:
                    client.get_subroutine_stream("tick", lambda *_: random.random() < 0.7)

        in_threads(8, work)
        assert not gateway.pool.live | gateway.pool.unproven | gateway.pool.stuck
        assert eventually(lambda: not our_threads())


def test_clients_aborted_at_any_moment_hang_nobody_and_free_their_places() -> None:
    with serving(max_poolsize=40) as gateway:
        gateway.add_subroutine("tick", Ticker(0.0005))
        gateway.add_subroutine("camera", Ticker(0.0005), shared=True, keep="latest")
        gateway.add_subroutine("take", lambda **_: 0)
        controller = controller_of(gateway)

        def use(client: Client, number: int) -> None:
            if number % 3 == 0:
                client.get_subroutine_stream("tick", lambda *_: None)
            elif number % 3 == 1:
                client.get_subroutine_stream("camera", lambda *_: None)
            else:
                with client.open_buffer("take") as sink:
                    while True:
                        sink.put(b"x" * 100)

        def work(number: int) -> None:
            for _ in range(25):
                client = controller.get_client()
                ending = (client.abort, client.abort, client.close)[number % 3]
                timer = threading.Timer(random.random() * 0.01, ending)
                timer.start()
                with pytest.raises(PynetError):
                    use(client, number)
                timer.join()
                client.close()

        in_threads(6, work)
        assert eventually(lambda: not gateway.pool.live)


def test_pairs_reconnecting_and_closing_in_a_storm_are_told_in_order_and_none_is_left() -> None:
    told: dict[str, list[str]] = {}

    def on_pair(peer: Peer, what: str) -> None:
        told.setdefault(peer.pair_id, []).append(what)

    with serving(max_poolsize=30, on_pair=on_pair) as gateway:
        controller = controller_of(gateway)
        pairs = [PairId() for _ in range(4)]
        lock = threading.Lock()

        def work(number: int) -> None:
            pair = pairs[number % 4]
            for _ in range(40):
                with contextlib.suppress(LinkError):
                    with lock:  # attempts of one PairId are counted by one thread at a time
                        client = controller.get_client(pair=pair)
                    client.close()

        in_threads(8, work)
        assert eventually(lambda: not gateway.pool.live)
    for history in told.values():
        assert history == ["opened", "closed"] * (len(history) // 2)
    assert sum(map(len, told.values())) >= 2 * 200


def test_subroutines_replaced_while_they_are_used_are_always_one_or_the_other() -> None:
    with serving(max_poolsize=8) as gateway:

        def offer(number: int) -> None:
            def feed() -> Iterator[tuple[int, bytes]]:
                for _ in range(5):
                    yield number, b"%d" % number

            gateway.add_subroutine("call", lambda: (number, b"%d" % number))
            gateway.add_subroutine("feed", feed, shared=True)

        offer(0)
        done = threading.Event()

        def work(number: int) -> None:
            if number == 0:
                for turn in range(200):
                    offer(turn)
                    time.sleep(0.001)
                done.set()
                return
            with controller_of(gateway).get_client() as client:
                while not done.is_set():
                    batch = client.get_subroutine_batch("call")
                    assert batch == b"%d" % batch.ident
                    assert all(body == b"%d" % ident for ident, body in collected(client, "feed"))

        in_threads(6, work)
