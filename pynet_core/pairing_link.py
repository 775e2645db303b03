"""Pairing over TCP, on a port of its own: one short conversation at a time, for two minutes."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from pynet_core.clock import Deadline
from pynet_core.errors import LinkClosed, LinkError
from pynet_core.keys import Identity
from pynet_core.pairing import (
    MAX_MESSAGE_BYTES,
    Paired,
    PairingFailed,
    PairingGuest,
    PairingHost,
    WrongCode,
    new_code,
    welcome,
)
from pynet_core.trust import Trusted, TrustStore

_log = logging.getLogger(__name__)

PAIRING_PORT: Final = 1858
OPEN_S: Final = 120.0
TALK_S: Final = 5.0  # four messages, and SPAKE2 in Python at both ends: 20 ms here, 0.5 s on a Pi Zero
MAX_GUESSES: Final = 3  # wrong codes, each wrong for a new one, before the door is locked
AGAIN_S: Final = 0.05  # until the next try where there is no descriptor left

_LENGTH: Final = struct.Struct(">H")


def host_pairing(
    identity: Identity,
    trust: TrustStore,
    on_code: Callable[[str, int], object],
    *,
    name: str,
    role: str,
    host: str = "",
    port: int = PAIRING_PORT,
    timeout_s: float = OPEN_S,
) -> Trusted:
    """Wait for the device on which somebody types our code, and trust it as `role`.

    `on_code(code, port)` shows the code, and a new one after each wrong guess.
    `port` 0 takes a free one.

    Raises:
        DeadlineExceeded: Nobody came within `timeout_s`.
        PairingFailed: Three wrong guesses.
        LinkError: The port cannot be listened on.
        ConfigError: The list of trusted devices cannot be written.
    """
    deadline = Deadline(timeout_s, "pairing")
    try:
        # Without a host: whatever address of this machine somebody types.
        dual = not host and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, dualstack_ipv6=dual)
    except OSError as exc:
        raise LinkError(f"cannot listen for pairing on port {port}: {exc.strerror}") from exc
    with listener:
        for _ in range(MAX_GUESSES):
            code = new_code()
            on_code(code, listener.getsockname()[1])
            try:
                return _await_guest(
                    listener, partial(PairingHost, code, identity, name, role), trust, deadline
                )
            except WrongCode as exc:
                _log.warning("pairing: %s; that code is used up", exc)
    raise PairingFailed(f"{MAX_GUESSES} wrong codes: pairing is closed, start it again")


def _await_guest(
    listener: socket.socket, talk: Callable[[], PairingHost], trust: TrustStore, deadline: Deadline
) -> Trusted:
    """The first who has talked to the end; raises WrongCode where that was the wrong one."""
    while True:
        with _accept(listener, deadline) as sock:
            try:
                return _host(sock, talk(), trust)
            except WrongCode:
                raise
            except LinkError as exc:  # it has learned nothing from us: the code stays good
                _log.info("pairing: %s", exc)


def _host(sock: socket.socket, talk: PairingHost, trust: TrustStore) -> Trusted:
    deadline = Deadline(TALK_S, "pairing")
    _send(sock, talk.invite(_receive(sock, deadline)))
    try:
        device, outcome = talk.judge(_receive(sock, deadline))
    except WrongCode as exc:
        _send(sock, exc.answer)
        raise
    device = welcome(trust, device)  # first: the guest may call as soon as it has heard
    with contextlib.suppress(LinkClosed):  # the code is used up all the same
        _send(sock, outcome)
    return device


def ask_pairing(
    identity: Identity,
    trust: TrustStore,
    host: str,
    code: str,
    *,
    name: str,
    port: int = PAIRING_PORT,
) -> Paired:
    """Pair with the gateway that shows this code, and trust it.

    Raises:
        ValueError: That is no code.
        WrongCode: It is not the one shown there, or somebody stands in between.
        LinkError: Nobody pairs there.
        ConfigError: The list of trusted devices cannot be written.
    """
    talk = PairingGuest(code, identity, name)
    deadline = Deadline(TALK_S, f"pairing with {host or 'this machine'}")
    try:
        sock = socket.create_connection((host or "127.0.0.1", port), TALK_S)
    except (OSError, UnicodeError) as exc:
        raise LinkError(f"nobody pairs at {host or 'this machine'} port {port}: {exc}") from exc
    with sock:
        _send(sock, talk.introduce())
        _send(sock, talk.attempt(_receive(sock, deadline)))
        paired = talk.conclude(_receive(sock, deadline))
    return Paired(welcome(trust, paired.gateway), paired.role)


def _accept(listener: socket.socket, deadline: Deadline) -> socket.socket:
    while True:
        listener.settimeout(deadline.remaining_s())
        try:
            return listener.accept()[0]
        except TimeoutError:  # which the deadline says
            continue
        except OSError:  # the peer has given up; or too many files are open, and later there may be fewer
            time.sleep(AGAIN_S)


def _send(sock: socket.socket, message: bytes) -> None:
    try:
        sock.sendall(_LENGTH.pack(len(message)) + message)
    except OSError as exc:
        raise LinkClosed(f"the other end has gone: {exc}") from exc


def _receive(sock: socket.socket, deadline: Deadline) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size, deadline))
    if length > MAX_MESSAGE_BYTES:
        raise PairingFailed(f"the other end announced {length} B, limit {MAX_MESSAGE_BYTES} B")
    return _exactly(sock, length, deadline)


def _exactly(sock: socket.socket, count: int, deadline: Deadline) -> bytes:
    data = b""
    while len(data) < count:
        sock.settimeout(deadline.remaining_s())
        try:
            part = sock.recv(count - len(data))
        except TimeoutError:
            continue
        except OSError as exc:
            raise LinkClosed(f"the other end has gone: {exc}") from exc
        if not part:
            raise LinkClosed("the other end has gone")
        data += part
    return data
