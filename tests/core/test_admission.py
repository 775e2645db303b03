"""pynet_core.admission, and what gateways make of it: who gets in, as what, and who is told what."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynet_core.admission import Admission, NotAdmitted, is_crowded
from pynet_core.client import Client
from pynet_core.controller import Controller, PairId
from pynet_core.decoder import FrameDecoder
from pynet_core.errors import LinkClosed, LinkError, PoolFull, Refused, SubroutineError
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity
from pynet_core.subroutines import Peer, caller
from pynet_core.tls import Credentials
from pynet_core.trust import Trusted, TrustStore
from pynet_core.wire import WIRE_VERSION, Frame, Kind, encode
from tests.core.loopback import (
    PATIENCE_S,
    Gate,
    RawPeer,
    Ticker,
    collected,
    counting,
    eventually,
    hello,
    our_threads,
    serving,
)
from tests.core.trusting import CAR, LAPTOP, STRANGER, TABLET, trusting


def car(**roles: str) -> dict[str, Any]:
    """What makes a gateway the car, trusting these."""
    return {"host": "127.0.0.1", "identity": CAR, "trust": trusting(**roles or {"LAPTOP": "admin"})}


def laptop(gateway: Gateway, identity: Identity = LAPTOP) -> Controller:
    return Controller(port=gateway.port, identity=identity, trust=trusting(CAR="gateway"))


@contextlib.contextmanager
def told_within_two_seconds() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 2.0


# All of it, under TLS


def test_everything_a_pair_can_do_it_does_under_tls(tmp_path: Path) -> None:
    taken: list[bytes] = []
    (tmp_path / "file").write_bytes(bytes(range(256)) * 5000)
    with serving(**car(), download_dir=str(tmp_path / "in"), roots=[tmp_path]) as gateway:
        gateway.add_subroutine("count", counting)
        gateway.add_subroutine("tick", Ticker(), keep="latest", shared=True)
        gateway.add_subroutine("big", lambda: bytes(3_000_000))
        gateway.add_subroutine("take", lambda buffer: taken.append(buffer))
        controller = laptop(gateway)
        controller.download_dir = str(tmp_path / "out")
        with controller.get_client() as client:
            assert client.ping("hello").message == "hello"
            assert collected(client, "count", 1000) == list(counting(1000))
            assert client.get_subroutine_batch("big") == bytes(3_000_000)
            client.send_subroutine_batch("take", b"x" * 1_000_000)
            with client.open_buffer("take") as sink:
                assert sink.put(b"y")
            assert [len(each) for each in taken] == [1_000_000, 1]
            subscription = client.subscribe("tick")
            got = [ident for (ident, _), _ in zip(subscription, range(20), strict=False)]
            subscription.stop()
            assert got == sorted(set(got))
            assert len(got) == 20
            arrived = client.get_files_from_gateway(files=[str(tmp_path / "file")])
            assert Path(arrived[0]).read_bytes() == (tmp_path / "file").read_bytes()


def test_a_subroutine_sees_the_device_under_the_name_and_role_it_is_trusted_with() -> None:
    seen: list[Peer] = []
    with serving(**car(LAPTOP="driver")) as gateway:
        gateway.add_subroutine("who", lambda: seen.append(caller()))
        controller = Controller(
            port=gateway.port, identity=LAPTOP, trust=trusting(CAR="gateway"), name="somebody else"
        )
        with controller.get_client() as client:
            client.send_subroutine_batch("who")
        assert (seen[0].name, seen[0].role, seen[0].fingerprint) == ("LAPTOP", "driver", LAPTOP.fingerprint)
        assert seen[0].controller_id == controller.id


@pytest.mark.parametrize(
    ("role", "may"),
    [("viewer", ["look"]), ("driver", ["look", "drive"]), ("admin", ["look", "drive", "all"])],
)
def test_a_role_may_what_it_may_and_nothing_above(role: str, may: list[str]) -> None:
    with serving(**car(LAPTOP=role)) as gateway:
        gateway.add_subroutine("look", lambda: b"", role="viewer")
        gateway.add_subroutine("drive", lambda **_: b"", role="driver")
        gateway.add_subroutine("all", lambda: b"", role="admin")
        with laptop(gateway).get_client() as client:
            for name in ("look", "drive", "all"):
                if name in may:
                    assert client.get_subroutine_batch(name) == b""
                    continue
                for ask in (client.get_subroutine_batch, client.send_subroutine_batch, client.open_buffer):
                    with pytest.raises(SubroutineError, match=f"LAPTOP is {role}") as caught:
                        ask(name)
                    assert caught.value.code == 403
            if role != "admin":
                with pytest.raises(SubroutineError, match="closing the gateway needs role admin") as caught:
                    client.close_gateway()
                assert caught.value.code == 403
                assert gateway.is_running


# Who is refused, and told why


def test_an_unknown_device_is_told_to_pair() -> None:
    with serving(**car()) as gateway, told_within_two_seconds():
        with pytest.raises(Refused, match=f"{STRANGER.fingerprint}, is not trusted there: pair") as caught:
            laptop(gateway, STRANGER).get_client()
        assert caught.value.code == 401
    assert not gateway.pool.live


def test_a_gateway_that_this_device_does_not_know_is_not_used() -> None:
    with serving(**car()) as gateway, told_within_two_seconds():
        with pytest.raises(Refused, match="not trusted here: pair") as caught:
            Controller(port=gateway.port, identity=LAPTOP, trust=trusting(TABLET="gateway")).get_client()
        assert caught.value.code == 401


def test_without_tls_a_controller_is_told_that_it_needs_it() -> None:
    with serving(**car()) as gateway, told_within_two_seconds():
        with pytest.raises(Refused, match="this gateway speaks TLS only: set PYNET_KEY to one secret") as e:
            Controller(port=gateway.port).get_client()
        assert e.value.code == 401


def test_with_tls_a_controller_is_told_that_the_gateway_has_none() -> None:
    with serving() as gateway, told_within_two_seconds():
        with pytest.raises(Refused, match="started without PYNET_KEY and without an identity") as caught:
            laptop(gateway).get_client()
        assert caught.value.code == 426


def raw_tls(gateway: Gateway, identity: Identity = LAPTOP) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    identity.put_into(context)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.port), PATIENCE_S))


def test_another_wire_version_is_refused_under_tls_too() -> None:
    with serving(**car()) as gateway, raw_tls(gateway) as sock, told_within_two_seconds():
        peer = RawPeer(sock)
        peer.send(Frame(Kind.HELLO, WIRE_VERSION + 1, hello().body))
        refusal = peer.receive()
        assert (refusal.kind, refusal.ident) == (Kind.REFUSAL, 426)


@pytest.mark.slow
def test_who_has_proved_itself_and_says_nothing_is_refused_with_401() -> None:
    with serving(**car()) as gateway, raw_tls(gateway) as sock, told_within_two_seconds():
        refusal = RawPeer(sock).receive()
        assert (refusal.kind, refusal.ident) == (Kind.REFUSAL, 401)
        assert b"LAPTOP has proved who it is, but said no HELLO" in refusal.body


def heard_by_who_goes_on_talking(sock: socket.socket, words: bytes) -> bytes:
    """All that comes back; fails on a reset, which could have overtaken and undone it."""
    sock.sendall(words)
    heard = b""
    while data := sock.recv(65536):
        heard += data
    return heard


def test_a_refusal_reaches_even_who_goes_on_talking() -> None:
    with serving(**car()) as gateway, socket.create_connection(("127.0.0.1", gateway.port), 5) as sock:
        heard = heard_by_who_goes_on_talking(sock, encode(hello()) + encode(Frame(Kind.PING)) * 20_000)
    (refusal,) = FrameDecoder().feed(heard)
    assert (refusal.kind, refusal.ident) == (Kind.REFUSAL, 401)


def test_the_alert_reaches_even_a_stranger_who_goes_on_talking() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    STRANGER.put_into(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stranger = context.wrap_bio(incoming, outgoing)
    with serving(**car()) as gateway, socket.create_connection(("127.0.0.1", gateway.port), 5) as sock:
        with pytest.raises(ssl.SSLWantReadError):
            stranger.do_handshake()
        sock.sendall(outgoing.read())
        incoming.write(sock.recv(65536))
        stranger.do_handshake()
        incoming.write(heard_by_who_goes_on_talking(sock, outgoing.read() + bytes(300_000)))
        with pytest.raises(ssl.SSLError, match="unknown ca"):
            stranger.read()


def client_hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["nothing", "a byte", "half a hello", "a hello, and no certificate"])
def test_who_stops_in_the_handshake_is_cut_within_two_seconds(what: str) -> None:
    words = {"nothing": b"", "a byte": b"\x16", "half a hello": client_hello()[:99]}.get(what, client_hello())
    with serving(**car()) as gateway, told_within_two_seconds(), RawPeer.connect(gateway.port) as peer:
        peer.sock.sendall(words)
        assert peer.hears_the_end()


@pytest.mark.slow
def test_who_drips_its_handshake_is_cut_within_two_seconds() -> None:
    with serving(**car()) as gateway, told_within_two_seconds(), RawPeer.connect(gateway.port) as peer:
        enough = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                for byte in client_hello():
                    peer.sock.sendall(bytes([byte]))
                    if enough.wait(0.02):
                        return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert peer.hears_the_end()
        enough.set()
        dripping.join()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: car\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 5000])
def test_garbage_on_a_tls_port_is_refused_or_closed(garbage: bytes) -> None:
    with serving(**car()) as gateway, told_within_two_seconds():
        with RawPeer.connect(gateway.port) as peer:
            with contextlib.suppress(OSError):  # closed by then
                peer.sock.sendall(garbage)
                peer.sock.shutdown(socket.SHUT_WR)
            assert peer.hears_the_end()
        with laptop(gateway).get_client() as client:
            client.ping()


def test_the_controller_id_of_another_device_cannot_be_borne() -> None:
    """Who could bear it would have that device's lease."""
    with serving(**car(LAPTOP="admin", TABLET="admin")) as gateway, laptop(gateway).get_client() as client:
        ids = [handler.hello.controller_id for handler in gateway.pool.live if handler.hello]
        with raw_tls(gateway, TABLET) as sock:
            peer = RawPeer(sock)
            peer.send(hello(controller_id=ids[0]))
            refusal = peer.receive()
        assert (refusal.kind, refusal.ident) == (Kind.REFUSAL, 401)
        client.ping()


def test_a_pair_comes_back_under_tls_and_takes_its_own_place() -> None:
    with serving(max_poolsize=1, **car()) as gateway:
        controller, pair = laptop(gateway), PairId()
        first = controller.get_client(pair=pair)
        second = controller.get_client(pair=pair)
        second.ping()
        with pytest.raises(LinkError):
            first.ping()
        second.close()


# Struck off


def listed(tmp_path: Path, role: str = "driver") -> TrustStore:
    store = TrustStore(tmp_path / "trusted")
    store.add(Trusted(role, "LAPTOP", LAPTOP.certificate))
    return TrustStore(tmp_path / "trusted")  # what another process sees


def test_who_is_struck_off_is_cut_within_two_seconds_and_refused_from_then_on(tmp_path: Path) -> None:
    closed = threading.Event()

    def on_pair(peer: Peer, what: str) -> None:
        if what == "closed":
            closed.set()

    with serving(host="127.0.0.1", identity=CAR, trust=listed(tmp_path), on_pair=on_pair) as gateway:
        gateway.add_subroutine("tick", Ticker())
        client = laptop(gateway).get_client()
        subscription = client.subscribe("tick", lambda *_: None)
        TrustStore(tmp_path / "trusted").remove("LAPTOP")
        assert closed.wait(2.0)
        assert subscription.wait(PATIENCE_S)
        assert isinstance(subscription.error, LinkClosed)
        with told_within_two_seconds(), pytest.raises(Refused, match="is not trusted there"):
            laptop(gateway).get_client()
        client.close()


def test_who_is_trusted_with_another_role_comes_back_with_it(tmp_path: Path) -> None:
    with serving(host="127.0.0.1", identity=CAR, trust=listed(tmp_path)) as gateway:
        gateway.add_subroutine("drive", lambda: b"", role="driver")
        client = laptop(gateway).get_client()
        assert client.get_subroutine_batch("drive") == b""
        TrustStore(tmp_path / "trusted").add(Trusted("viewer", "LAPTOP", LAPTOP.certificate))
        assert eventually(lambda: not gateway.pool.live, 2.0)
        client = laptop(gateway).get_client()
        with pytest.raises(SubroutineError, match="'drive' needs role driver, LAPTOP is viewer"):
            client.get_subroutine_batch("drive")
        client.close()


def test_a_pair_that_stays_trusted_notices_nothing_of_changes_to_others(tmp_path: Path) -> None:
    store = listed(tmp_path)
    with (
        serving(host="127.0.0.1", identity=CAR, trust=store) as gateway,
        laptop(gateway).get_client() as client,
    ):
        TrustStore(tmp_path / "trusted").add(Trusted("viewer", "TABLET", TABLET.certificate))
        assert eventually(lambda: len(store.devices) == 2)
        with laptop(gateway, TABLET).get_client():
            client.ping()


def test_a_stuck_subroutine_keeps_no_place_for_who_was_struck_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate()
    with serving(max_poolsize=1, host="127.0.0.1", identity=CAR, trust=listed(tmp_path)) as gateway:
        gateway.add_subroutine("stuck", gate)
        client = laptop(gateway).get_client()

        def wait() -> None:
            with pytest.raises(LinkError):
                client.get_subroutine_batch("stuck")

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert gate.entered.acquire(timeout=PATIENCE_S)
        TrustStore(tmp_path / "trusted").remove("LAPTOP")
        assert eventually(lambda: not gateway.pool.live)
        assert caplog.text.count("it is trusted no longer") == 1
        waiting.join(PATIENCE_S)
        gate.open()
        assert eventually(lambda: not gateway.pool.stuck)


# Places


def admission(**limits: Any) -> Admission:
    return Admission(
        Credentials(CAR, TrustStore()),
        **{"max_poolsize": 8, "max_per_identity": 3, "safety_places": 2, **limits},
    )


def peer(device: str, purpose: str = "stream") -> Peer:
    return Peer("c", "p", purpose, device, "driver", device)


def has_room(rules: Admission, newcomer: Peer, others: list[Peer]) -> bool:
    try:
        rules.check_room(newcomer, others)
    except NotAdmitted as exc:
        assert exc.code == 503
        return False
    return True


def test_two_places_are_kept_for_safety_when_all_else_is_full() -> None:
    rules = admission(max_per_identity=None)
    crowd = [peer(f"d{n}") for n in range(6)]
    assert not has_room(rules, peer("a"), crowd)
    assert has_room(rules, peer("a", "safety"), crowd)
    crowd.append(peer("a", "safety"))
    assert not has_room(rules, peer("b"), crowd)
    assert has_room(rules, peer("b", "safety"), crowd)
    crowd.append(peer("b", "safety"))
    assert not has_room(rules, peer("c", "safety"), crowd)


def test_a_device_has_its_share_and_a_safety_pair_beside_it() -> None:
    rules = admission()
    own = [peer("a") for _ in range(3)]
    assert not has_room(rules, peer("a", "control"), own)
    assert has_room(rules, peer("a", "safety"), own)
    assert has_room(rules, peer("b"), own)
    assert not has_room(rules, peer("a", "safety"), [peer("a", "safety")] * 3)


def test_where_nobody_has_an_identity_nobody_has_a_share() -> None:
    rules = admission(safety_places=0)
    assert has_room(rules, peer(""), [peer("")] * 7)
    assert not has_room(rules, peer(""), [peer("")] * 8)


@pytest.mark.parametrize(
    "limits", [{"max_per_identity": 0}, {"safety_places": -1}, {"safety_places": 8}, {"max_poolsize": 0}]
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        admission(**limits)


def test_an_e_stop_gets_through_when_one_device_has_filled_its_share_and_others_the_rest() -> None:
    pressed = threading.Event()
    both = car(LAPTOP="driver", TABLET="viewer")
    with serving(max_poolsize=6, max_per_identity=3, safety_places=2, **both) as gateway:
        gateway.add_subroutine("e_stop", lambda: pressed.set())
        clients: list[Client] = []
        tablet = laptop(gateway, TABLET)
        for controller in (laptop(gateway), tablet):
            with pytest.raises(PoolFull):
                for _ in range(4):
                    clients.append(controller.get_client())
        assert len(clients) == 4
        with tablet.get_client(purpose="safety") as client:
            client.send_subroutine_batch("e_stop")
        assert pressed.is_set()
        for client in clients:
            client.close()


# Crowds


def test_one_machine_may_have_four_connections_in_the_door_and_this_one_any() -> None:
    assert not is_crowded("192.0.2.9", ["192.0.2.9"] * 3 + ["192.0.2.8"] * 9)
    assert is_crowded("192.0.2.9", ["192.0.2.9"] * 4)
    assert not is_crowded("127.0.0.1", ["127.0.0.1"] * 15)


def test_a_fifth_connection_from_one_machine_is_closed_at_once(own_address: str) -> None:
    with serving(host=own_address, identity=CAR, trust=trusting(LAPTOP="viewer")) as gateway:
        mute = [socket.create_connection((own_address, gateway.port), PATIENCE_S) for _ in range(4)]
        assert eventually(lambda: len(gateway.pool.unproven) == 4)
        with told_within_two_seconds(), socket.create_connection((own_address, gateway.port), 1.0) as fifth:
            assert RawPeer(fifth).hears_the_end()
        assert len(gateway.pool.unproven) == 4, "and was the only one to be closed"
        for sock in mute:
            sock.close()


@pytest.mark.parametrize("options", [{}, car()])
def test_five_hundred_half_open_connections_take_nothing_from_a_connected_client(options: Any) -> None:
    words = client_hello()[:50] if options else b"\x99"
    with serving(**options) as gateway, contextlib.ExitStack() as crowd:
        controller = laptop(gateway) if options else Controller(port=gateway.port)
        with controller.get_client() as client:
            client.timeout_s = PATIENCE_S
            for number in range(500):
                sock = crowd.enter_context(socket.socket())
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", gateway.port))
                if number % 2:
                    with contextlib.suppress(OSError):
                        sock.send(words)
                assert client.ping(str(number)).message == str(number)
            assert eventually(lambda: len(gateway.pool.unproven) == 16)
            assert len([name for name in our_threads() if "handler" in name]) <= 17
