"""A free port is nobody else's, though nothing listens there."""

from __future__ import annotations

import socket

import pytest

from tests.ports import free_port


def test_one_listens_on_it_again_and_again_and_no_connection_goes_out_by_it() -> None:
    port = free_port()
    for host in ("127.0.0.1", ""):
        with (
            socket.create_server((host, port)) as listener,
            socket.create_connection(("127.0.0.1", port)) as client,
            listener.accept()[0],
        ):
            assert client.getsockname()[1] != port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))  # as the system looks when it chooses
