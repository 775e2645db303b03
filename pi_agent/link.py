"""What guardian and worker say to each other, and the socket they say it over.

Worker to guardian: a `Request` is an event: each has an id, all are applied in
order and each is answered by a `Result`.  All else is newest-of-a-kind: only
the last one in a tick counts.  Guardian to worker: Results, and Status at 50 Hz.
The socket is a SEQPACKET pair, so a message arrives whole or not at all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import UnionType
from typing import Final

import msgspec
from msgspec import Struct

from pynet_car.messages import (
    Arm,
    Command,
    Disarm,
    EStop,
    Event,
    Lease,
    Odometry,
    Release,
    Reset,
    Scan,
    Status,
    Verdict,
)
from pynet_core.errors import LinkClosed

MAX_MESSAGE: Final = 16 * 1024  # bytes; a Scan of 64 heads is about 6 KB


class PeerGone(Struct, frozen=True, tag=True):
    """The last drive pair of this peer has closed."""


class Request(Struct, frozen=True, kw_only=True, tag=True):
    """An event, labelled by the worker with who sent it."""

    id: int
    peer: str  # controller id, hex
    peer_name: str
    event: Lease | Release | Arm | Disarm | EStop | Reset | PeerGone


class Labelled(Struct, frozen=True, kw_only=True, tag=True):
    """A command or a path as it came, labelled by the worker with who sent it."""

    peer: str
    command: Command


class CameraSeen(Struct, frozen=True, kw_only=True, tag=True):
    """The worker's newest camera frame: the guardian limits speed when it grows old."""

    captured_ns: int


class WorkerReady(Struct, frozen=True, kw_only=True, tag=True):
    """The worker's gateway listens: said once, and the guardian tells systemd."""

    port: int


class WorkerAlive(Struct, frozen=True, tag=True):
    """The worker's main thread goes round: said four times a second, for a worker that hangs is replaced."""


class Result(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to the Request of the same id."""

    id: int
    code: Verdict
    reason: str


ToGuardian = Request | Labelled | Scan | Odometry | CameraSeen | WorkerReady | WorkerAlive
ToWorker = Result | Status | Event


class GuardianLink:
    """One end of the SEQPACKET pair; never blocks.

    `receives` is ToGuardian or ToWorker, whichever this end takes.

    `send` may be called by any thread (the kernel keeps messages whole);
    `receive` belongs to one thread.
    """

    def __init__(self, sock: socket.socket, receives: UnionType) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode: Callable[[bytes], Struct] = msgspec.msgpack.Decoder(receives).decode

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Struct) -> bool:
        """Hand over one message; False when the far side's mailbox is full.

        Raises:
            LinkClosed: The far process has died.
        """
        try:
            self._sock.send(self._encode(message))
        except BlockingIOError:
            return False
        except OSError as exc:  # EPIPE, ECONNRESET, EBADF: all mean the same
            raise LinkClosed(f"the other process is gone: {exc}") from exc
        return True

    def receive(self) -> Struct | None:
        """The next message; None when none waits.

        Raises:
            LinkClosed: The far process has died.
            msgspec.ValidationError, msgspec.DecodeError: It sent nonsense; the next one may be good.
        """
        try:
            data = self._sock.recv(MAX_MESSAGE)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise LinkClosed(f"the other process is gone: {exc}") from exc
        if not data:
            raise LinkClosed("the other process has closed its end")
        return self._decode(data)

    def close(self) -> None:
        self._sock.close()
