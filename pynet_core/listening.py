"""A listening socket: open it, or say what stands in the way; wake who waits in it."""

from __future__ import annotations

import contextlib
import errno
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
    except (OSError, UnicodeError) as exc:  # the last: a host that is no name
        listener.close()
        raise LinkError(f"cannot listen on {host} port {port}: {_why(exc)}") from exc
    return listener


def _why(exc: OSError | UnicodeError) -> str:
    said = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
    # A name that nobody knows is no address of this machine either.
    match errno.EADDRNOTAVAIL if isinstance(exc, UnicodeError | socket.gaierror) else exc.errno:
        case errno.EADDRINUSE:
            return f"{said}; choose another port or stop who has it"
        case errno.EADDRNOTAVAIL:
            return f"{said}; a host is an address of this machine, or a name of it"
        case errno.EACCES:
            return f"{said}; ports below 1024 are for root, choose another one"
    return said


def wake_and_close(listener: socket.socket) -> None:
    """Close it, and end the `accept` that another thread waits in."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept() on Linux
    listener.close()
