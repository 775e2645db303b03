"""The listening end: places, pairs that come back, who hears of them, and stopping."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.controller import Controller, PairId
from pynet_core.errors import DeadlineExceeded, LinkClosed, LinkError, PoolFull, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.listening import listen
from pynet_core.pool import MAX_STUCK
from pynet_core.subroutines import Peer, caller
from pynet_core.transfer.messages import Tree
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body
from tests.core.loopback import (
    PATIENCE_S,
    Gate,
    RawPeer,
    Ticker,
    collected,
    controller_of,
    counting,
    eventually,
    hello,
    our_threads,
    request,
    serving,
)
from tests.ports import free_port


class Diary:
    """An on_pair that writes down what it hears, and whether two calls ever ran at once."""

    def __init__(self, slow_s: float = 0.0) -> None:
        self.entries: list[tuple[str, str]] = []
        self.overlapped = False
        self._slow_s = slow_s
        self._inside = threading.Lock()

    def __call__(self, peer: Peer, what: str) -> None:
        if not self._inside.acquire(blocking=False):
            self.overlapped = True
            return
        self.entries.append((peer.pair_id, what))
        time.sleep(self._slow_s)
        self._inside.release()

    def of(self, pair_id: str) -> list[str]:
        return [what for pair, what in self.entries if pair == pair_id]


def id_of(client: Client) -> str:
    return client.get_subroutine_batch("id").decode()


def own_pair_id() -> bytes:
    return caller().pair_id.encode()


# Places


def test_the_pool_holds_five_pairs_and_the_sixth_is_refused_with_503() -> None:
    with serving() as gateway:
        controller = controller_of(gateway)
        clients = [controller.get_client() for _ in range(5)]
        with pytest.raises(
            PoolFull, match="refused with 503: the pool of 5 is full; close a pair or"
        ) as caught:
            controller.get_client()
        assert caught.value.code == 503
        assert all(client.ping().message == "ping" for client in clients)
        for client in clients:
            client.close()


def test_who_asks_before_welcome_hears_of_a_full_pool_all_the_same() -> None:
    """Closing at once, with a request unread, resets the connection: a refusal still under way is lost."""
    with serving(max_poolsize=1) as gateway, RawPeer.greeted(gateway.port):
        peer = RawPeer.connect(gateway.port)
        ask = Frame(Kind.TREE, 0, pack_body(Tree(sources=[b"/"])))
        peer.send(hello(), ask)
        assert peer.receive().ident == 503
        assert peer.hears_the_end()
        for _ in range(20):
            peer.send(ask)
        peer.sock.close()


def test_a_closed_handler_has_freed_its_place_for_the_very_next_client() -> None:
    with serving(max_poolsize=1) as gateway:
        controller = controller_of(gateway)
        for _ in range(100):
            controller.get_client().close_handler()


def test_a_pair_left_in_the_middle_of_a_stream_frees_its_place() -> None:
    with serving(max_poolsize=1) as gateway:
        gateway.add_subroutine("tick", Ticker())
        for _ in range(5):
            client = RawPeer.greeted(gateway.port)
            client.send(request(Kind.STREAM, "tick"))
            client.receive()
            client.close()
            assert eventually(lambda: not gateway.pool.live)


@pytest.mark.parametrize("size", [0, -1])
def test_a_pool_without_a_place_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"max_poolsize must be at least 1, got {size}"):
        Gateway(0, size)


@pytest.mark.parametrize("port", [-1, 65536, "1857", None, 1.5])
def test_a_port_that_is_none_is_refused(port: Any) -> None:
    with pytest.raises(ValueError, match="port must be 0 to 65535"):
        Gateway(port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])
def test_without_an_identity_it_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match="is not loopback: without an identity anybody could call"):
        Gateway(0, host=host)
    with serving(host="localhost") as gateway:
        assert gateway.host == "127.0.0.1"


# Swarms


def test_many_controllers_use_one_gateway_at_once() -> None:
    with serving(max_poolsize=24) as gateway:
        gateway.add_subroutine("count", counting)
        gateway.add_subroutine("double", lambda number: (number, b"%d" % (2 * number)))
        wrong: list[Any] = []

        def work(number: int) -> None:
            with controller_of(gateway).get_client() as client:
                for turn in range(20):
                    batch = client.get_subroutine_batch("double", [number + turn])
                    if (batch.ident, batch) != (number + turn, b"%d" % (2 * (number + turn))):
                        wrong.append(batch)
                if collected(client, "count", 100) != list(counting(100)):
                    wrong.append(number)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(24)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert wrong == []


def test_one_controller_talks_to_several_gateways() -> None:
    with serving() as one, serving() as two:
        one.add_subroutine("name", lambda: b"one")
        two.add_subroutine("name", lambda: b"two")
        controller = controller_of(one)
        with controller.get_client() as first, controller.get_client(("127.0.0.1", two.port)) as second:
            assert first.get_subroutine_batch("name") == b"one"
            assert second.get_subroutine_batch("name") == b"two"


# Who hears of pairs


def test_on_pair_hears_each_pair_open_and_close_once() -> None:
    diary = Diary()
    with serving(on_pair=diary) as gateway:
        gateway.add_subroutine("id", own_pair_id)
        with controller_of(gateway).get_client() as client:
            pair = id_of(client)
            assert diary.entries == [(pair, "opened")], "before the controller can use the pair"
        assert diary.entries == [(pair, "opened"), (pair, "closed")]


def test_pairs_that_are_open_when_the_gateway_stops_are_told_closed() -> None:
    diary = Diary()
    with serving(on_pair=diary) as gateway:
        clients = [controller_of(gateway).get_client() for _ in range(3)]
    assert sorted(what for _, what in diary.entries) == ["closed"] * 3 + ["opened"] * 3
    for client in clients:
        client.close()


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_an_on_pair_that_raises_is_logged_and_the_pair_opens_and_closes(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def on_pair(_peer: Peer, what: str) -> None:
        raise error(what)

    with serving(on_pair=on_pair) as gateway, controller_of(gateway).get_client() as client:
        assert client.ping().message == "ping"
        with RawPeer.greeted(gateway.port) as peer:
            peer.send(Frame(Kind.CLOSE_HANDLER))
            assert peer.hears_the_end()
    assert "'opened') failed" in caplog.text
    assert "'closed') failed" in caplog.text


def test_a_later_attempt_takes_the_place_of_the_same_pair_closed_before_opened() -> None:
    diary = Diary()
    with serving(max_poolsize=1, on_pair=diary) as gateway:
        gateway.add_subroutine("id", own_pair_id)
        controller, pair = controller_of(gateway), PairId()
        first = controller.get_client(pair=pair)
        second = controller.get_client(pair=pair)
        assert id_of(second) == pair.bytes.hex()
        assert diary.of(pair.bytes.hex()) == ["opened", "closed", "opened"]
        with pytest.raises(LinkClosed):
            first.ping()
        second.close()
    assert diary.of(pair.bytes.hex()) == ["opened", "closed", "opened", "closed"]


def test_an_attempt_that_is_not_newer_is_refused_and_the_open_one_stays() -> None:
    with serving() as gateway, RawPeer.connect(gateway.port) as newer, RawPeer.connect(gateway.port) as older:
        pair_id = os.urandom(8)
        newer.send(hello(pair_id=pair_id, attempt=2))
        assert newer.receive().kind == Kind.WELCOME
        for attempt in (1, 2):
            with RawPeer.connect(gateway.port) as older:
                older.send(hello(pair_id=pair_id, attempt=attempt))
                refusal = older.receive()
                assert (refusal.kind, refusal.ident) == (Kind.REFUSAL, 500)
                assert b"is not newer than the open one" in refusal.body
        newer.send(Frame(Kind.PING))
        assert newer.receive().kind == Kind.PONG


def test_the_same_pair_id_of_another_controller_is_another_pair() -> None:
    with serving() as gateway, RawPeer.connect(gateway.port) as one, RawPeer.connect(gateway.port) as two:
        one.send(hello(pair_id=bytes(8), controller_id=bytes(16)))
        two.send(hello(pair_id=bytes(8), controller_id=bytes(15) + b"1"))
        for peer in (one, two):
            assert peer.receive().kind == Kind.WELCOME
            peer.send(Frame(Kind.PING))
            assert peer.receive().kind == Kind.PONG


def test_nothing_more_of_an_evicted_pair_runs() -> None:
    gate = Gate()
    ran: list[bytes] = []

    def take(buffer: bytes) -> None:
        ran.append(buffer)
        gate()

    with serving() as gateway:
        gateway.add_subroutine("take", take)
        controller, pair = controller_of(gateway), PairId()
        first = controller.get_client(pair=pair)
        sink = first.open_buffer("take")
        for number in range(5):
            sink.put(b"%d" % number)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        second = controller.get_client(pair=pair)
        gate.open()
        assert eventually(lambda: not gateway.pool.stuck)
        assert ran == [b"0"]
        for client in (first, second):
            client.close()


def test_attempts_that_race_leave_one_pair_open_and_on_pair_hears_them_in_order() -> None:
    diary = Diary(slow_s=0.0005)
    with serving(max_poolsize=3, on_pair=diary) as gateway:
        pair_id = os.urandom(8)

        def attempt(number: int) -> None:
            with RawPeer.connect(gateway.port) as peer:
                peer.send(hello(pair_id=pair_id, attempt=number))
                with contextlib.suppress(EOFError, ConnectionError):  # evicted before its WELCOME
                    peer.receive()
                if number % 3:
                    time.sleep(0.001)

        for turn in range(15):
            racing = [threading.Thread(target=attempt, args=(turn * 8 + n + 1,)) for n in range(8)]
            for each in racing:
                each.start()
            for each in racing:
                each.join()
            assert len(gateway.pool.live) <= 1
        assert eventually(lambda: not gateway.pool.live)
        assert not diary.overlapped
        told = diary.of(pair_id.hex())
        assert told == ["opened", "closed"] * (len(told) // 2)
        assert len(told) >= 30


def test_a_reconnecting_pair_never_loses_its_place_to_a_newcomer() -> None:
    with serving(max_poolsize=1) as gateway:
        controller, pair = controller_of(gateway), PairId()
        client = controller.get_client(pair=pair)
        done = threading.Event()
        stolen: list[Client] = []

        def crowd() -> None:
            while not done.is_set():
                try:
                    stolen.append(controller.get_client())
                except PoolFull:
                    continue

        crowding = [threading.Thread(target=crowd) for _ in range(2)]
        for each in crowding:
            each.start()
        for _ in range(30):
            again = controller.get_client(pair=pair)
            client.close()
            client = again
        done.set()
        for each in crowding:
            each.join()
        assert stolen == []
        client.close()


# HELLO


@pytest.mark.parametrize("purpose", ["safety", "control", "stream", "bulk"])
def test_every_purpose_opens_a_pair(purpose: str) -> None:
    with serving() as gateway:
        gateway.add_subroutine("purpose", lambda: caller().purpose.encode())
        with controller_of(gateway).get_client(purpose=purpose) as client:
            assert client.get_subroutine_batch("purpose") == purpose.encode()


def test_a_purpose_that_is_none_is_refused_with_those_there_are() -> None:
    words = "purpose must be one of safety, control, stream, bulk, got 'fun'"
    with serving() as gateway:
        with RawPeer.connect(gateway.port) as peer:
            peer.send(hello(purpose="fun"))
            refusal = peer.receive()
        assert refusal.ident == 500
        assert words in unpack_body(refusal.body, Failure).reason
        with pytest.raises(ValueError, match=words):
            controller_of(gateway).get_client(purpose="fun")
        assert not gateway.pool.live


def test_names_longer_than_64_characters_are_cut_and_keep_nobody_out() -> None:
    with serving(name="g" * 5000) as gateway:
        gateway.add_subroutine("name", lambda: caller().name.encode())
        with Controller(port=gateway.port, name="c" * 5000).get_client() as client:
            assert client.get_subroutine_batch("name") == b"c" * 64


def test_requests_sent_along_with_hello_are_served_after_welcome() -> None:
    with serving() as gateway, RawPeer.connect(gateway.port) as peer:
        peer.send(hello(), Frame(Kind.PING, 0, b"early"))
        assert peer.receive().kind == Kind.WELCOME
        assert peer.receive().body == b"early"


@pytest.mark.slow
def test_half_open_connections_hold_up_a_client_for_their_two_seconds_at_most() -> None:
    with serving() as gateway:
        mute = [RawPeer.connect(gateway.port) for _ in range(20)]
        began = time.monotonic()
        with controller_of(gateway).get_client(timeout_s=2 * PATIENCE_S) as client:
            assert client.ping().message == "ping"
        assert time.monotonic() - began < PATIENCE_S
        assert mute[0].hears_the_end()
        for peer in mute:
            peer.close()
        assert eventually(lambda: not gateway.pool.unproven)
        assert gateway.pool.room._value >= 15, "their room is free again"


# Subroutines that do not come back


@pytest.mark.slow
def test_a_stuck_subroutine_whose_peer_has_gone_gives_its_place_back_and_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, diary = Gate(), Diary()

    def said(words: str) -> bool:
        return words in caplog.text

    def stuck() -> Iterator[bytes]:
        yield gate()

    with serving(max_poolsize=1, on_pair=diary) as gateway:
        gateway.add_subroutine("stuck", stuck)
        for number in (1, 2):
            with RawPeer.greeted(gateway.port) as peer:
                peer.send(request(Kind.STREAM, "stuck"))
                assert gate.entered.acquire(timeout=PATIENCE_S)
            gone_at = time.monotonic()
            assert eventually(lambda: not gateway.pool.live)
            assert time.monotonic() - gone_at < 3, "its peer has gone for 1 to 1.5 s"
            assert eventually(functools.partial(said, f"place freed, thread kept ({number} of {MAX_STUCK})"))
            assert "subroutine 'stuck' does not return" in caplog.text
        controller_of(gateway).get_client().close()
        gate.open()
        assert eventually(lambda: not gateway.pool.stuck)
    assert sorted(what for _, what in diary.entries) == ["closed"] * 3 + ["opened"] * 3


@pytest.mark.parametrize(
    "options", [{"keep": "latest"}, {"shared": True}, {"shared": True, "keep": "latest"}]
)
def test_a_pumped_generator_that_is_stuck_costs_no_place_when_its_peer_has_gone(options: Any) -> None:
    gate = Gate()

    def stuck() -> Iterator[bytes]:
        yield gate()

    with serving(max_poolsize=1) as gateway:
        gateway.add_subroutine("stuck", stuck, **options)
        for _ in range(3):
            with RawPeer.greeted(gateway.port) as peer:
                peer.send(request(Kind.STREAM, "stuck"))
                assert eventually(lambda: any(name == "pynet pump stuck" for name in our_threads()))
            assert eventually(lambda: not gateway.pool.live)
        assert not gateway.pool.stuck
        gate.open()


@pytest.mark.slow
def test_no_more_than_16_stuck_threads_are_left_behind() -> None:
    gate = Gate()
    with serving(max_poolsize=MAX_STUCK + 2) as gateway:
        gateway.add_subroutine("stuck", gate)
        for _ in range(MAX_STUCK + 2):
            with RawPeer.greeted(gateway.port) as peer:
                peer.send(request(Kind.BATCH, "stuck"))
                assert gate.entered.acquire(timeout=PATIENCE_S)
        assert eventually(lambda: len(gateway.pool.stuck) == MAX_STUCK)
        assert len(gateway.pool.live) == 2
        gate.open()
        assert eventually(lambda: not gateway.pool.live | gateway.pool.stuck)


@pytest.mark.slow
def test_a_dead_peers_buffers_are_all_taken_however_slowly_before_its_pair_is_told_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran: list[bytes] = []

    def take(buffer: bytes) -> None:
        time.sleep(0.4)
        ran.append(buffer)

    diary = Diary()
    with serving(on_pair=diary) as gateway:
        gateway.add_subroutine("take", take)
        with RawPeer.greeted(gateway.port) as peer:
            peer.send(request(Kind.SINK, "take"))
            assert peer.receive().kind == Kind.REPLY
            peer.send(*[Frame(Kind.PUT, 0, b"%d" % number) for number in range(5)])
        assert eventually(lambda: not gateway.pool.live)
        assert ran == [b"0", b"1", b"2", b"3", b"4"]
        assert "does not return" not in caplog.text


@pytest.mark.slow
def test_a_long_call_whose_peer_waits_is_not_taken_for_stuck() -> None:
    def long() -> bytes:
        time.sleep(1.1)
        return b"done"

    with serving() as gateway:
        gateway.add_subroutine("long", long)
        with controller_of(gateway).get_client() as client:
            assert client.get_subroutine_batch("long") == b"done"


# Stopping


def test_stop_ends_every_thread_and_every_client_hears_of_it() -> None:
    before = our_threads()
    with serving(max_poolsize=20) as gateway:
        gateway.add_subroutine("tick", Ticker())
        gateway.add_subroutine("shared", Ticker(), shared=True, keep="latest")
        gateway.add_subroutine("all", Ticker(), shared=True)
        gateway.add_subroutine("take", lambda **_: None)
        controller = controller_of(gateway)
        clients = [controller.get_client() for _ in range(9)]
        running = [
            client.subscribe(name, lambda *_: None)
            for client, name in zip(clients, ["tick", "shared", "all"] * 2, strict=False)
        ]
        sink = clients[6].open_buffer("take")
        mute = RawPeer.connect(gateway.port)
        assert eventually(lambda: all(each.stats.items for each in running))
        assert gateway.stop() == []
        assert not gateway.is_running
        assert not [name for name in our_threads() if "stream" not in name and name not in before]
        assert all(each.wait(PATIENCE_S) for each in running)
        for each in running:
            assert isinstance(each.error, LinkClosed), "a stop is no natural end"
        with pytest.raises(LinkError):
            clients[7].ping()
        assert eventually(lambda: _fails(sink))
        for client in clients:
            client.close()
        mute.close()


def _fails(sink: Any) -> bool:
    try:
        sink.put(b"x")
    except LinkError:
        return True
    return False


def test_a_stop_is_never_told_as_a_natural_end() -> None:
    for _ in range(15):
        ends: list[str] = []
        with serving() as gateway:
            gateway.add_subroutine("tick", Ticker(0.0005), shared=True)
            client = controller_of(gateway).get_client()
            stopping = threading.Thread(target=gateway.stop)

            def callback(_name: str, ident: int, _body: bytes, stopping: threading.Thread = stopping) -> None:
                if ident == 5:
                    stopping.start()

            with pytest.raises(LinkError):
                client.get_subroutine_stream("tick", callback, ends.append)
            stopping.join()
        assert ends == []


@pytest.mark.slow
def test_stop_names_the_subroutines_that_are_stuck(caplog: pytest.LogCaptureFixture) -> None:
    call, pumped = Gate(), Gate()

    def feed() -> Iterator[bytes]:
        yield pumped()

    gateway = Gateway(0)
    gateway.add_subroutine("call", call)
    gateway.add_subroutine("feed", feed, shared=True)
    gateway.start()
    with RawPeer.greeted(gateway.port) as one, RawPeer.greeted(gateway.port) as two:
        one.send(request(Kind.BATCH, "call"))
        two.send(request(Kind.STREAM, "feed"))
        assert call.entered.acquire(timeout=PATIENCE_S)
        assert pumped.entered.acquire(timeout=PATIENCE_S)
        assert gateway.stop() == ["call", "feed"]
    assert "gateway stopped, but subroutine 'call' is stuck and keeps its thread" in caplog.text
    call.open()
    pumped.open()


def test_a_stopped_gateway_can_start_again_on_its_port() -> None:
    gateway = Gateway(0)
    gateway.add_subroutine("f", lambda: b"x")
    ports = set()
    for _ in range(3):
        with gateway:
            ports.add(gateway.port)
            with controller_of(gateway).get_client() as client:
                assert client.get_subroutine_batch("f") == b"x"
        assert not gateway.is_running
    assert len(ports) == 1


def test_stop_before_start_and_twice_is_nothing() -> None:
    gateway = Gateway(0)
    assert gateway.stop() == []
    gateway.start()
    assert gateway.stop() == gateway.stop() == []


def test_a_subroutine_may_stop_the_gateway_it_runs_in() -> None:
    before = our_threads()
    gateway = Gateway(0)
    gateway.add_subroutine("stop", lambda: gateway.stop() or b"")
    gateway.start()
    with controller_of(gateway).get_client() as client, pytest.raises(LinkClosed):
        client.get_subroutine_batch("stop")
    assert eventually(lambda: our_threads() == before)
    assert not gateway.is_running


def test_an_on_pair_may_stop_the_gateway_that_tells_it() -> None:
    gateway = Gateway(0, on_pair=lambda _, what: gateway.stop() if what == "closed" else None)
    gateway.start()
    controller_of(gateway).get_client().close()
    assert eventually(lambda: not our_threads())
    assert not gateway.is_running


def test_a_stop_in_on_pair_waits_for_nobody_who_waits_for_on_pair(caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway(0, on_pair=lambda _, what: gateway.stop() if what == "closed" else None)
    gateway.start()
    with controller_of(gateway).get_client():
        controller_of(gateway).get_client().close()
        assert eventually(lambda: not our_threads())
    assert not gateway.is_running
    assert "is stuck" not in caplog.text


def test_many_threads_may_stop_it_at_once() -> None:
    gateway = Gateway(0)
    gateway.start()
    answers: list[list[str]] = []
    stopping = [threading.Thread(target=lambda: answers.append(gateway.stop())) for _ in range(8)]
    for each in stopping:
        each.start()
    for each in stopping:
        each.join(PATIENCE_S)
    assert answers == [[]] * 8


@pytest.mark.parametrize("host", ["203.0.113.1", "a" * 99])
def test_a_host_that_is_none_of_this_machine_s_is_told_as_that(host: str) -> None:
    with pytest.raises(LinkError, match=f"^cannot listen on {host} port 0: .*; a host is an address of this"):
        listen(host, 0)


def test_starting_twice_and_taking_a_port_that_is_taken_are_clear_errors() -> None:
    with serving() as gateway:
        with pytest.raises(LinkError, match=f"this gateway already listens on port {gateway.port}"):
            gateway.start()
        other = Gateway(gateway.port)
        with pytest.raises(LinkError, match=f"port {gateway.port}: Address already in use; choose another"):
            other.start()
        assert not other.is_running


def test_close_gateway_stops_it_and_its_port_is_free_when_that_returns() -> None:
    for close in ("client", "controller"):
        with serving() as gateway:
            controller = controller_of(gateway)
            other = controller.get_client()
            if close == "client":
                client = controller.get_client()
                client.close_gateway()
                assert not client.connected
                client.close()
            else:
                controller.close_gateway()
            with pytest.raises(LinkError, match="no gateway at this machine port"):
                controller.get_client()
            assert eventually(lambda: not gateway.is_running)
            with pytest.raises(LinkError):
                other.ping()


def test_a_blocking_start_returns_when_a_client_closes_the_gateway() -> None:
    gateway = Gateway(free_port())
    blocking = threading.Thread(target=gateway.start, args=(True,))
    blocking.start()
    assert eventually(lambda: gateway.is_running)
    controller_of(gateway).close_gateway()
    blocking.join(PATIENCE_S)
    assert not blocking.is_alive()
    assert not gateway.is_running


@pytest.mark.slow
def test_ctrl_c_ends_a_blocking_start_and_the_script_goes_on() -> None:
    script = """
import threading, time
from pynet import Gateway
def forever():
    while True:
        yield b"x"
        time.sleep(0.01)
gateway = Gateway(0)
gateway.add_subroutine("forever", forever, shared=True)
threading.Thread(target=lambda: (time.sleep(0.1), print("port", gateway.port, flush=True))).start()
gateway.start(blocking=True)
print("threads", [t.name for t in threading.enumerate() if t.name.startswith("pynet ")], flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        with Controller(port=port).get_client() as client:
            running = client.subscribe("forever", lambda *_: None)
            assert eventually(lambda: running.stats.items > 3)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "threads []\n"
            assert process.wait(PATIENCE_S) == 0
            assert running.wait(PATIENCE_S)


def test_a_gateway_whose_machine_has_no_thread_left_turns_the_peer_away_and_serves_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def no_thread_left(thread: threading.Thread) -> None:
        if "handler" in thread.name:
            monkeypatch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")
        start(thread)

    with serving() as gateway:
        monkeypatch.setattr(threading.Thread, "start", no_thread_left)
        with pytest.raises(LinkClosed):
            controller_of(gateway).get_client()
        assert eventually(lambda: "turned away: can't start new thread" in caplog.text)
        controller_of(gateway).get_client().close()
        assert not gateway.pool.unproven


def test_a_gateway_without_descriptors_says_so_once_and_takes_the_peer_when_there_are_some(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept, refused = socket.socket.accept, threading.Semaphore(0)

    def none_left(listener: socket.socket) -> Any:
        refused.release()
        raise OSError(errno.EMFILE, "Too many open files")

    with serving() as gateway:
        controller_of(gateway).get_client().close()
        monkeypatch.setattr(socket.socket, "accept", none_left)
        with contextlib.suppress(LinkError):
            controller_of(gateway).get_client(timeout_s=0.1)  # wakes the accept that runs
        with contextlib.suppress(LinkError):
            controller_of(gateway).get_client(timeout_s=1.2)
        assert refused.acquire(timeout=PATIENCE_S)
        assert refused.acquire(timeout=PATIENCE_S)
        monkeypatch.setattr(socket.socket, "accept", accept)
        controller_of(gateway).get_client().close()
    assert caplog.text.count("accept failed") == 1


@pytest.mark.parametrize("lacking", ["watch", "accept"])
def test_a_gateway_that_cannot_start_for_want_of_a_thread_leaves_its_port_to_others(
    lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def no_thread_left(thread: threading.Thread) -> None:
        if lacking in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    gateway = Gateway(0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread_left)
        with pytest.raises(LinkError, match="cannot start: can't start new thread"):
            gateway.start()
    assert not gateway.is_running
    with gateway, controller_of(gateway).get_client() as client:
        assert client.ping().message == "ping"


@pytest.mark.parametrize("options", [{}, {"shared": True}, {"keep": "latest"}])
def test_a_stream_for_which_no_thread_is_left_costs_no_pair(
    gateway: Gateway, client: Client, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def no_thread_left(thread: threading.Thread) -> None:
        if "flusher" in thread.name or "pump" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    gateway.add_subroutine("count", counting, **options)
    monkeypatch.setattr(threading.Thread, "start", no_thread_left)
    if options:  # it needs one
        with pytest.raises(SubroutineError, match="'count' cannot run now: can't start new thread"):
            collected(client, "count")
    else:  # many items go in one frame with the help of one, and fewer without
        assert collected(client, "count", 1000) == list(counting(1000))
    assert client.ping().message == "ping"


# The controller


def test_a_silent_listener_costs_the_timeout_and_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(DeadlineExceeded, match=rf"this machine port {port}: nothing within 0\.1 s"):
            Controller(port=port).get_client(timeout_s=0.1)


def test_nothing_is_logged_above_info_while_all_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    with serving() as gateway:
        gateway.add_subroutine("tick", Ticker(), shared=True, keep="latest")
        gateway.add_subroutine("f", lambda: b"")
        with controller_of(gateway).get_client() as client:
            client.get_subroutine_batch("f")
            running = client.subscribe("tick", lambda *_: None)
            assert eventually(lambda: running.stats.items > 3)
            running.stop()
            with pytest.raises(SubroutineError):
                client.get_subroutine_batch("none")
    loud = [record.message for record in caplog.records if record.levelno > logging.INFO]
    assert loud == ["subroutine 'none' failed: UnknownSubroutine: no subroutine 'none' is registered"]


def test_whoever_is_let_in_first_may_stop_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the stop found a thread that was to be started, and died of it."""
    starts: list[str] = []
    start = threading.Thread.start

    def told(thread: threading.Thread) -> None:
        starts.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", told)
    with serving():
        assert starts.index("pynet accept") > starts.index("pynet watch")
