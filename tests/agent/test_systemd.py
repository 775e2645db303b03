from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_agent.systemd import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def heard(sock: socket.socket) -> list[str]:
    lines = []
    while True:
        try:
            lines.append(sock.recv(4096).decode())
        except BlockingIOError:
            return lines


def notifier(sock: socket.socket) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": sock.getsockname()})


def test_says_what_systemd_understands(systemd: socket.socket) -> None:
    ours = notifier(systemd)
    ours.ready()
    ours.alive()
    ours.status("two\nlines")
    ours.stopping()
    assert heard(systemd) == ["READY=1", "WATCHDOG=1", "STATUS=two lines", "STOPPING=1"]
    ours.close()


def test_a_status_is_sent_when_it_changes_only(systemd: socket.socket) -> None:
    ours = notifier(systemd)
    for text in ("a", "a", "b", "b", "a"):
        ours.status(text)
    assert heard(systemd) == ["STATUS=a", "STATUS=b", "STATUS=a"]
    ours.close()


def test_finds_systemd_in_the_abstract_namespace() -> None:
    name = f"pynet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.setblocking(False)
        ours = Notifier({"NOTIFY_SOCKET": f"@{name}"})
        ours.alive()
        assert heard(sock) == ["WATCHDOG=1"]
        ours.close()


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "relative", "/" + "x" * 200])
def test_says_nothing_where_nobody_listens(address: str) -> None:
    ours = Notifier({"NOTIFY_SOCKET": address})
    ours.ready()
    ours.status("x")
    ours.close()


def test_neither_a_full_nor_a_gone_listener_holds_us_up(systemd: socket.socket) -> None:
    ours = notifier(systemd)
    for _ in range(2000):
        ours.alive()
    systemd.close()
    ours.alive()
    ours.close()
    ours.close()
    ours.alive()
