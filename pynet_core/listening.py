"""A listening socket: open it, or say what stands in the way; wake who waits in it."""

from __future__ import annotations

import contextlib
import socket

from pynet_core.errors import LinkError


def listen(host: str, port: int) -> socket.socket:
    """Listen there; port 0 takes a free one, "::" is every address, of IPv4 too.

    Raises:
        LinkError: It cannot be listened on.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::" and socket.has_dualstack_ipv6():
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # whatever this system's default
        listener.bind((host, port))
        listener.listen(128)
    except OSError as exc:
        listener.close()
        raise LinkError(
            f"cannot listen on {host} port {port}: {exc.strerror}; choose another port or stop who has it"
        ) from exc
    return listener


def wake_and_close(listener: socket.socket) -> None:
    """Close it, and end the `accept` that another thread waits in."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept() on Linux
    listener.close()
