"""Pairs that are lost and opened anew: when to try, what is told, and what is never done twice in silence."""

from __future__ import annotations

import functools
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pynet_core.channel import PlainChannel
from pynet_core.client import Client, Reconnection
from pynet_core.controller import Controller
from pynet_core.errors import LinkClosed, LinkError, PoolFull, Refused, RemoteProtocolError, SubroutineError
from pynet_core.exchange import RECONNECT_TIMEOUT_S
from pynet_core.gateway import Gateway
from pynet_core.redial import Redial, may_mend, pauses
from pynet_core.session import Session
from pynet_core.subroutines import caller
from pynet_core.subscription import Subscription
from pynet_core.wire import Frame, Kind
from tests.core.loopback import (
    PATIENCE_S,
    FakeGateway,
    Gate,
    Ticker,
    controller_of,
    eventually,
    serving,
)
from tests.core.relay import Relay
from tests.ports import free_port


def cut(client: Client) -> None:
    """Lose its connection, as a network does."""
    client._channel.abort()


# When to try


def test_pauses_double_from_a_tenth_to_five_seconds_and_vary_by_chance() -> None:
    longest = list(itertools.islice(pauses(lambda: 1.0), 9))
    assert longest == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
    shortest = list(itertools.islice(pauses(lambda: 0.0), 9))
    assert shortest == pytest.approx([each / 2 for each in longest])


@pytest.mark.parametrize(
    ("error", "mends"),
    [
        (LinkError("no gateway"), True),
        (LinkClosed("gone"), True),
        (PoolFull(503, "full"), True),
        (Refused(401, "who are you"), False),
        (Refused(426, "version"), False),
        (RemoteProtocolError("a web server"), False),
    ],
)
def test_a_further_try_is_made_only_where_it_may_go_better(error: Exception, mends: bool) -> None:
    assert may_mend(error) is mends


def test_a_redial_that_is_given_up_ends_at_once() -> None:
    tried = threading.Event()

    def never(_timeout_s: float) -> PlainChannel:
        tried.set()
        raise LinkError("no gateway")

    redial = Redial(never, 1.0)
    errors: list[LinkError] = []

    def dial() -> None:
        try:
            redial(None)
        except LinkError as exc:
            errors.append(exc)

    dialling = threading.Thread(target=dial)
    dialling.start()
    assert tried.wait(PATIENCE_S)
    redial.give_up()
    dialling.join(PATIENCE_S)
    assert [str(each) for each in errors] == ["given up at this end; before that: no gateway"]


def test_a_connection_that_comes_when_it_is_no_longer_wanted_is_closed() -> None:
    given: list[PlainChannel] = []
    near, far = socket.socketpair()

    def late(_timeout_s: float) -> PlainChannel:
        redial.give_up()
        given.append(PlainChannel(near, Session("controller")))
        return given[0]

    redial = Redial(late, 1.0)
    with far, pytest.raises(LinkClosed, match="given up at this end"):
        redial(None)
    assert given[0].is_closed


def test_a_redial_that_was_given_up_for_good_just_before_it_begins_makes_no_try() -> None:
    tries: list[float] = []

    def once(timeout_s: float) -> PlainChannel:
        tries.append(timeout_s)
        raise LinkError("no gateway")

    redial = Redial(once, 1.0)
    redial.give_up(for_good=True)
    with pytest.raises(LinkClosed, match="given up at this end"):
        redial(0.0)
    assert tries == []


def test_a_redial_of_no_time_is_one_try_and_raises_its_error() -> None:
    tries: list[float] = []

    def once(timeout_s: float) -> PlainChannel:
        tries.append(timeout_s)
        raise LinkError("no gateway")

    with pytest.raises(LinkError, match="no gateway"):
        Redial(once, 3.0)(0.0)
    assert tries == [3.0]


def test_a_single_try_ends_with_the_deadline_too(gateway: Gateway) -> None:
    tries: list[float] = []

    def once(timeout_s: float) -> PlainChannel:
        tries.append(timeout_s)
        raise LinkError("no gateway")

    with controller_of(gateway).get_client() as client:
        cut(client)
        client._exchange._redial = Redial(once, 3.0)
        with client.deadline(0.5), pytest.raises(LinkError, match="no gateway"):
            client.reopen()
    assert len(tries) == 1
    assert tries[0] <= 0.5


# Calls


def test_a_client_that_reconnects_has_the_same_pair_id_and_a_place_of_its_own(gateway: Gateway) -> None:
    gateway.add_subroutine("id", lambda: caller().pair_id.encode())
    with controller_of(gateway).get_client(reconnect=True) as client:
        before = client.get_subroutine_batch("id")
        cut(client)
        assert client.get_subroutine_batch("id") == before, "nothing was on its way: nothing raises"
        assert client.reconnections == 1
        assert len(gateway.pool.live) == 1


def test_a_call_that_was_on_its_way_raises_and_the_next_one_reconnects(gateway: Gateway) -> None:
    gate = Gate()
    calls: list[int] = []

    def f() -> bytes:
        calls.append(1)
        return gate() if len(calls) == 1 else b"again"

    gateway.add_subroutine("f", f)
    with controller_of(gateway).get_client(reconnect=True) as client:

        def cut_in_the_middle() -> None:
            assert gate.entered.acquire(timeout=PATIENCE_S)
            cut(client)

        cutting = threading.Thread(target=cut_in_the_middle)
        cutting.start()
        with pytest.raises(LinkClosed):
            client.get_subroutine_batch("f")
        cutting.join()
        assert client.get_subroutine_batch("f") == b"again"
        assert len(calls) == 2, "it was not repeated behind the caller's back"
        gate.open()


def test_every_kind_of_call_reconnects(gateway: Gateway, tmp_path: Path) -> None:
    gateway.add_subroutine("f", lambda **_: 5)
    gateway.add_subroutine("g", lambda: iter([b"x"]))
    gateway.add_subroutine("stream", Ticker())
    controller = Controller(port=gateway.port, download_dir=str(tmp_path))
    with controller.get_client(reconnect=True) as client:
        cut(client)
        assert client.ping().message == "ping"
        cut(client)
        assert client.send_subroutine_batch("f", b"x") == 5
        cut(client)
        client.get_subroutine_stream("stream", lambda *_: False)
        cut(client)
        with client.open_buffer("f") as sink:
            sink.put(b"x")
        cut(client)
        assert client.get_files_from_gateway(files=[__file__])
        assert client.reconnections == 5


def test_a_gateway_that_is_started_anew_gets_its_controllers_back() -> None:
    port = free_port()
    with serving(port) as gateway:
        gateway.add_subroutine("f", lambda: b"1")
        client = controller_of(gateway).get_client(reconnect=True)
        assert client.get_subroutine_batch("f") == b"1"
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(client.get_subroutine_batch("f")))
    asking.start()
    time.sleep(0.15)
    with serving(port) as gateway:
        gateway.add_subroutine("f", lambda: b"2")
        asking.join(PATIENCE_S)
        assert answers == [b"2"]
        client.close()


def test_a_client_whose_gateway_is_lost_goes_to_one_that_will_do_as_well(gateway: Gateway) -> None:
    gateway.add_subroutine("f", lambda: b"other")
    with serving() as own:
        own.add_subroutine("f", lambda: b"own")
        elsewhere = [("127.0.0.1", free_port()), ("127.0.0.1", gateway.port)]
        client = controller_of(own).get_client(reconnect=True, elsewhere=elsewhere)
        assert client.get_subroutine_batch("f") == b"own"
    assert client.get_subroutine_batch("f") == b"other"
    client.close()


def test_a_client_gives_up_when_its_time_has_passed_and_tries_again_when_asked_again() -> None:
    with serving() as gateway:
        client = controller_of(gateway).get_client(reconnect=True)
    client.reconnect_timeout_s = 0.2
    for _ in range(2):
        with pytest.raises(LinkError, match="no gateway at this machine port"):
            client.ping()
    client.close()


def test_a_deadline_ends_reconnecting_too() -> None:
    with serving() as gateway:
        client = controller_of(gateway).get_client(reconnect=True)
    began = time.monotonic()
    with client.deadline(0.2), pytest.raises(LinkError):
        client.ping()
    assert time.monotonic() - began < RECONNECT_TIMEOUT_S / 2
    client.close()


def test_a_client_that_was_closed_does_not_reconnect(gateway: Gateway) -> None:
    client = controller_of(gateway).get_client(reconnect=True)
    client.close()
    with pytest.raises(LinkClosed, match="this pair is closed; get another client"):
        client.ping()
    with pytest.raises(LinkClosed, match="this pair is closed; get another client"):
        client.reopen()


def test_without_the_option_a_lost_pair_stays_lost_until_it_is_reopened(gateway: Gateway) -> None:
    with controller_of(gateway).get_client() as client:
        cut(client)
        for _ in range(2):
            with pytest.raises(LinkClosed):
                client.ping()
        assert not client.connected
        client.reopen()
        assert client.connected
        assert client.ping().message == "ping"
        client.reopen()
        assert client.reconnections == 1, "an open pair stays as it is"


# Subscriptions


def is_longer(told: list[Reconnection], count: int) -> bool:
    return len(told) > count


def more_items_of(running: Subscription) -> bool:
    seen = running.stats.items
    return eventually(lambda: running.stats.items > seen + 3)


def test_a_subscription_goes_on_over_a_new_connection_and_tells_how_long_it_was_away(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.add_subroutine("tick", Ticker(), shared=True, keep="latest")
    told: list[Reconnection] = []
    with Relay(gateway.port) as relay, controller_of(relay).get_client(reconnect=True) as client:
        running = client.subscribe("tick", lambda *_: None, on_reconnect=told.append)
        for lost in (0, 1):
            assert more_items_of(running)
            relay.cut_all()
            assert eventually(functools.partial(is_longer, told, lost))
        assert more_items_of(running)
        running.stop()
        assert running.error is None
        assert client.ping().message == "ping"
    assert all(isinstance(each.error, LinkClosed) and each.away_s < PATIENCE_S for each in told)
    assert "stream 'tick' begins anew, its pair was lost for" in caplog.text


def test_a_subscription_ends_with_the_reason_when_its_gateway_does_not_come_back() -> None:
    ends: list[BaseException | None] = []
    with serving() as gateway:
        gateway.add_subroutine("tick", Ticker())
        client = controller_of(gateway).get_client(reconnect=True)
        client.reconnect_timeout_s = 0.2
        running = client.subscribe("tick", lambda *_: None, on_end=ends.append)
        assert eventually(lambda: running.stats.items)
    assert running.wait(PATIENCE_S)
    (error,) = ends
    assert isinstance(error, LinkError)
    assert "no gateway at this machine" in str(error)
    assert isinstance(error.__cause__, LinkClosed), "how it was lost"
    client.close()


def test_a_subscription_that_tries_to_reconnect_can_be_stopped(caplog: pytest.LogCaptureFixture) -> None:
    with serving() as gateway:
        gateway.add_subroutine("tick", Ticker())
        client = controller_of(gateway).get_client(reconnect=True)
        running = client.subscribe("tick", lambda *_: None)
        assert eventually(lambda: running.stats.items)
    assert eventually(lambda: not client.connected)
    running.stop()
    assert running.has_ended
    assert running.error is None
    client.close()
    assert "does not return" not in caplog.text


def test_a_stream_that_costs_its_pair_each_time_is_not_asked_for_in_a_rush(gateway: Gateway) -> None:
    starts: list[int] = []
    with Relay(gateway.port) as relay, controller_of(relay).get_client(reconnect=True) as client:

        def deadly() -> Iterator[bytes]:
            starts.append(1)
            relay.cut_all()
            yield b""

        gateway.add_subroutine("deadly", deadly)
        running = client.subscribe("deadly", lambda *_: None)
        assert eventually(lambda: len(starts) == 3)
        began = time.monotonic()
        assert eventually(lambda: len(starts) == 5)
        assert time.monotonic() - began > 0.4, "the pauses are 0.2 to 0.8 s by now"
        running.stop()
        assert running.has_ended


def test_a_callback_that_raises_a_link_error_of_another_pair_ends_the_subscription(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker())
    with controller_of(gateway).get_client(reconnect=True) as client:

        def callback(*_: object) -> None:
            raise LinkClosed("another pair's")

        running = client.subscribe("tick", callback)
        assert running.wait(PATIENCE_S)
        assert str(running.error) == "another pair's"
        assert client.reconnections == 0


def test_a_stream_that_its_callback_has_ended_is_not_asked_for_again_if_its_pair_is_lost_then() -> None:
    got: list[int] = []

    def callback(_name: str, ident: int, _body: bytes) -> bool:
        got.append(ident)
        return False

    with FakeGateway() as fake, ThreadPoolExecutor() as other:

        def begin() -> tuple[Client, Subscription]:
            client = controller_of(fake).get_client(reconnect=True)
            return client, client.subscribe("one", callback)

        begun = other.submit(begin)
        with fake.accept_stream() as peer:
            client, running = begun.result(PATIENCE_S)
            peer.send(Frame(Kind.ITEM, 7))
            assert peer.receive().kind == Kind.CANCEL
            peer.reset()
            assert running.wait(PATIENCE_S)
    assert got == [7]
    assert client.reconnections == 0
    client.close()


def test_a_stream_that_blocks_its_caller_raises_when_its_pair_is_lost(gateway: Gateway) -> None:
    gateway.add_subroutine("tick", Ticker())
    with controller_of(gateway).get_client(reconnect=True) as client:
        with pytest.raises(LinkClosed):
            client.get_subroutine_stream("tick", lambda *_: cut(client))
        assert client.ping().message == "ping"


def test_a_subscription_asks_again_for_what_it_asked_for(gateway: Gateway) -> None:
    asked: list[tuple[int, str]] = []

    def numbers(first: int, unit: str) -> Iterator[tuple[int, bytes]]:
        asked.append((first, unit))
        yield from Ticker()()

    gateway.add_subroutine("numbers", numbers)
    with controller_of(gateway).get_client(reconnect=True) as client:
        running = client.subscribe("numbers", lambda *_: None, [5], unit="m")
        assert eventually(lambda: running.stats.items)
        cut(client)
        assert eventually(lambda: len(asked) == 2)
        running.stop()
    assert asked == [(5, "m")] * 2


def test_a_subroutine_that_has_gone_meanwhile_ends_the_subscription_and_says_so() -> None:
    port = free_port()
    with serving(port) as gateway:
        gateway.add_subroutine("tick", Ticker())
        client = Controller(port=port).get_client(reconnect=True)
        running = client.subscribe("tick", lambda *_: None)
        assert eventually(lambda: running.stats.items)
    with serving(port):
        assert running.wait(PATIENCE_S)
        assert isinstance(running.error, SubroutineError)
        assert running.error.code == 404
        client.close()
