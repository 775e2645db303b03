"""What kernels and networks are told about each kind of pair, asked of the sockets themselves."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pynet_core import traffic
from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import LinkClosed
from pynet_core.gateway import Gateway
from pynet_core.traffic import IMPATIENT_MS, LATEST_SNDBUF_BYTES, PURPOSES, Pacer, mark, pacer_for, tune
from pynet_core.transfer.meter import Progress
from tests.core.loopback import FakeGateway, RawPeer, Ticker, controller_of, eventually, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux socket options")

TOS = {"safety": 0xC0, "control": 0xB8, "stream": 0x88, "bulk": 0x20}
PRIORITY = {"safety": 6, "control": 6, "stream": 4, "bulk": 2}


def tos(sock: socket.socket) -> int:
    if sock.family == socket.AF_INET6:
        return sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
    return sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)


def priority(sock: socket.socket) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY)


def user_timeout_ms(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def send_buffer_bytes(sock: socket.socket) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


def ends(gateway: Gateway, client: Client) -> tuple[socket.socket, socket.socket]:
    """The sockets of the only pair there is."""
    (handler,) = gateway.pool.live
    return client._channel._sock, handler._channel._sock


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_both_ends_say_what_a_pair_is_for(host: str, purpose: str) -> None:
    with serving(host=host) as gateway, Controller(host, gateway.port).get_client(purpose=purpose) as client:
        for sock in ends(gateway, client):
            assert tos(sock) & ~3 == TOS[purpose]  # the lowest two bits are ECN's
            assert priority(sock) == PRIORITY[purpose]


def test_an_ipv6_socket_whose_peer_is_ipv4_marks_its_packets_too() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])),
        listener.accept()[0] as sock,
    ):
        mark(sock, "control")
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == TOS["control"]


def test_what_a_system_lacks_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in ("IP_TOS", "IPV6_TCLASS", "SO_PRIORITY", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE"):
        monkeypatch.delattr(socket, option)
    monkeypatch.setattr(traffic, "_TCP_INFO", None)
    with serving() as gateway, controller_of(gateway).get_client(purpose="bulk") as client:
        gateway.add_subroutine("take", lambda buffer: len(buffer))
        assert client.send_subroutine_batch("take", bytes(500_000)) == 500_000


def test_an_option_that_the_kernel_refuses_is_skipped() -> None:
    ours, theirs = socket.socketpair()  # no TCP at all
    with ours, theirs:
        tune(ours)
        mark(ours, "bulk")
        assert pacer_for(ours) is None


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_connection_is_probed_each_second_and_sends_at_once(purpose: str) -> None:
    with serving() as gateway, controller_of(gateway).get_client(purpose=purpose) as client:
        for sock in ends(gateway, client):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_urgent_pairs_give_up_after_4_s(purpose: str) -> None:
    with serving() as gateway, controller_of(gateway).get_client(purpose=purpose) as client:
        expected = IMPATIENT_MS if purpose in ("safety", "control") else 0
        assert [user_timeout_ms(sock) for sock in ends(gateway, client)] == [expected, expected]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_an_urgent_pair_has_lost_is_sent_again_soon(purpose: str) -> None:
    is_urgent = purpose in ("safety", "control")
    with serving() as gateway, controller_of(gateway).get_client(purpose=purpose) as client:
        for sock in ends(gateway, client):
            thin = sock.getsockopt(socket.IPPROTO_TCP, 16)  # TCP_THIN_LINEAR_TIMEOUTS
            assert thin == is_urgent
            with contextlib.suppress(OSError):  # before Linux 6.18
                rto_min_us = sock.getsockopt(socket.IPPROTO_TCP, 45)  # TCP_RTO_MIN_US
                assert rto_min_us == (60_000 if is_urgent else 200_000)


@pytest.mark.parametrize("purpose", ["control", "stream"])
def test_a_newest_only_stream_gives_up_after_4_s_and_what_follows_it_only_where_it_should(
    purpose: str,
) -> None:
    with serving() as gateway, controller_of(gateway).get_client(purpose=purpose) as client:
        gateway.add_subroutine("tick", Ticker(), keep="latest")
        gateway.add_subroutine("every", Ticker())
        usual = IMPATIENT_MS if purpose == "control" else 0
        for name, expected in (("tick", IMPATIENT_MS), ("every", usual)):
            running = client.subscribe(name, lambda *_: None)
            assert eventually(lambda running=running: running.stats.items > 2)  # type: ignore[misc]
            sockets = ends(gateway, client)
            assert [user_timeout_ms(sock) for sock in sockets] == [expected, expected], name
            if name == "tick":
                assert send_buffer_bytes(sockets[1]) == 2 * LATEST_SNDBUF_BYTES
            running.stop()
        assert [user_timeout_ms(sock) for sock in ends(gateway, client)] == [usual, usual]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_files_are_bulk_on_any_pair_and_only_while_they_move(purpose: str, tmp_path: Path) -> None:
    there = tmp_path / "there.bin"
    there.write_bytes(bytes(2_000_000))
    seen: list[tuple[int, int]] = []
    with serving(download_dir=str(tmp_path / "up")) as gateway:
        controller = Controller(port=gateway.port, download_dir=str(tmp_path / "down"))
        with controller.get_client(purpose=purpose) as client:

            def look(progress: Progress) -> None:
                if progress.bytes_done == progress.bytes:
                    return  # the gateway may have ended already
                for sock in ends(gateway, client):
                    seen.append((tos(sock) & ~3, user_timeout_ms(sock)))

            client.get_files_from_gateway(files=[there], on_progress=look)
            client.send_files_to_gateway(files=[there], on_progress=look)
            assert len(seen) >= 6
            assert set(seen) == {(TOS["bulk"], 0)}
            usual = IMPATIENT_MS if purpose in ("safety", "control") else 0
            assert eventually(
                lambda: (
                    {(tos(sock) & ~3, user_timeout_ms(sock)) for sock in ends(gateway, client)}
                    == {(TOS[purpose], usual)}
                )
            )


# Bulk


@contextlib.contextmanager
def tcp_sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
    ):
        yield ours, theirs


def test_all_that_a_pacer_sends_arrives_in_order() -> None:
    data = bytes(range(256)) * 40_000
    with tcp_sockets() as (ours, theirs):
        sender = threading.Thread(target=Pacer(ours).send, args=(data,))
        sender.start()
        came = bytearray()
        while len(came) < len(data):
            came += theirs.recv(1 << 20)
        sender.join()
        assert came == data


def test_no_more_is_under_way_than_the_window_lets() -> None:
    with tcp_sockets() as (ours, theirs):
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pacer = Pacer(ours)
        sender = threading.Thread(target=_send_or_end, args=(lambda: pacer.send(bytes(3_000_000)),))
        sender.start()
        under_way = []
        for _ in range(50):
            under_way.append((pacer._under_way(), pacer.window.bytes))
            time.sleep(0.001)
        assert max(count for count, _ in under_way) > 0
        assert all(count <= window for count, window in under_way)
        ours.shutdown(socket.SHUT_RDWR)
        sender.join(5)
        assert not sender.is_alive()


def _send_or_end(send: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        send()


@pytest.mark.parametrize("how", ["cut here", "reset there"])
def test_whoever_waits_to_send_bulk_is_woken_when_the_pair_ends(how: str) -> None:
    """The reader pauses, so nothing gets room; the wait ends with the connection."""
    with FakeGateway() as fake:
        peers: list[RawPeer] = []
        welcoming = threading.Thread(target=lambda: peers.append(fake.accept_and_welcome()))
        welcoming.start()
        client = controller_of(fake).get_client(purpose="bulk")
        welcoming.join()
        ended = threading.Event()

        def send() -> None:
            with pytest.raises(LinkClosed):
                client.send_subroutine_batch("take", bytes(30_000_000))
            ended.set()

        threading.Thread(target=send, daemon=True).start()
        assert not ended.wait(0.3)
        if how == "cut here":
            client.abort()
        else:
            peers[0].reset()
        assert ended.wait(5)
        peers[0].close()
