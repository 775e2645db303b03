"""The calling end of a pair that begins: connect, prove who both ends are, HELLO and WELCOME."""

from __future__ import annotations

import contextlib
import socket

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import DeadlineExceeded, LinkClosed, LinkError, PoolFull, Refused
from pynet_core.tls import Credentials, SpeaksPlain, TlsChannel
from pynet_core.wire import (
    MAX_OPENING_BYTES,
    WIRE_VERSION,
    Failure,
    Frame,
    Hello,
    Kind,
    Welcome,
    pack_body,
    unpack_body,
)


def connect(host: str, port: int, where: str, deadline: Deadline) -> socket.socket:
    """A connection to the first address of the host that answers; `where` is what messages call it.

    Raises:
        LinkError: There is none, or nobody listens.
        DeadlineExceeded: No answer in time.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = socket.socket(family, kind, protocol)
            try:
                left_s = deadline.remaining_s()
                # Who does not answer under the one address leaves time for the next.
                sock.settimeout(None if left_s is None else left_s / (len(addresses) - number))
                sock.connect(address)
                return sock
            except BaseException as exc:
                sock.close()
                if number == len(addresses) - 1 or not isinstance(exc, OSError):
                    raise
        raise OSError("it has no address")
    except TimeoutError as exc:
        raise DeadlineExceeded(f"no answer from {where} within {deadline.timeout_s:g} s") from exc
    except ConnectionRefusedError as exc:
        raise LinkError(f"no gateway at {where}: is it started, and is this its port?") from exc
    except (OSError, UnicodeError) as exc:  # the last: a host that is no name
        raise LinkError(f"cannot reach {where}: {exc}") from exc


def prove(channel: PlainChannel, credentials: Credentials, deadline: Deadline) -> str:
    """Make the channel secure, with a gateway that is trusted; returns its fingerprint.

    Raises:
        Refused: 401, one end does not trust the other, or what the gateway says in plain words.
        RemoteProtocolError, LinkError: As the channel.
    """
    assert isinstance(channel, TlsChannel)
    try:
        fingerprint = channel.shake_hands(credentials, deadline, at_gateway=False)
    except SpeaksPlain:  # and says why
        _check_welcome(channel.receive_by(deadline))
        raise
    if credentials.find(fingerprint, at_gateway=False) is None:
        raise Refused(401, "this gateway has just been struck off the list here")
    return fingerprint


def greet(channel: PlainChannel, hello: Hello, ahead: Frame | None, deadline: Deadline) -> None:
    """Say who calls, and hear that there is a place; what is asked `ahead` goes before that if it is small.

    Raises:
        Refused: There is none (PoolFull), or it said no.
        RemoteProtocolError, LinkError: As the channel.
    """
    frames = [Frame(Kind.HELLO, WIRE_VERSION, pack_body(hello))]
    if ahead is not None and len(ahead.body) <= MAX_OPENING_BYTES:
        frames, ahead = [*frames, ahead], None
    with contextlib.suppress(LinkClosed):  # a gateway that has refused us says so below
        for frame in frames:
            channel.send(frame)
    _check_welcome(channel.receive_by(deadline))
    channel.opened()
    if ahead is not None:
        channel.send(ahead)


def _check_welcome(answer: Frame) -> None:
    if answer.kind == Kind.REFUSAL:
        reason = unpack_body(answer.body, Failure).reason
        raise (PoolFull if answer.ident == 503 else Refused)(answer.ident, reason)
    unpack_body(answer.body, Welcome)
