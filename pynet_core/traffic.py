"""What kind of traffic a connection carries, said to kernels and networks; what TCP says of the way.

Options of sockets that not every system has live here.  What is missing is
skipped and never an error: then the traffic is as any other.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pynet_core.pacing import Window

if sys.platform == "linux":
    import fcntl

PURPOSES: Final = ("safety", "control", "stream", "bulk")  # from the most urgent to the least
IMPATIENT: Final = frozenset({"safety", "control"})  # few bytes, for which 4 s without an answer are the end
LATEST_SNDBUF_BYTES: Final = 64 * 1024  # a stale item waits in the mailbox, not in the kernel
IMPATIENT_MS: Final = 4000
KEEPALIVE_S: Final = 1  # idle, and between probes
KEEPALIVE_PROBES: Final = 3
SOON_US: Final = 60_000  # over the round trip; a peer may sit on an acknowledgement for 40 ms
USUAL_RTO_US: Final = 200_000
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
UNPACED: Final = b"cubic"  # there bbr's pacing only costs; other links keep what the host has chosen
LEAST_WAIT_S: Final = 0.0001  # for bytes of bulk to arrive: it is how long a way without a queue takes
MOST_WAIT_S: Final = 0.005

_SO_BUF_LOCK: Final = 72  # Linux 5.14: 0 lets the kernel size the buffers by itself again
_TCP_THIN_LINEAR_TIMEOUTS: Final = 16  # Linux: the timer of a few lone packets is not doubled each time
_TCP_RTO_MIN_US: Final = 45  # Linux 6.18
_SO_MAX_PACING_RATE: Final = 47  # Linux
_SIOCOUTQNSD: Final = 0x894B  # Linux: of those that follow, the ones that have not been sent yet
_SIOCOUTQ: Final = 0x5411  # Linux: bytes in the send queue that the peer has not acknowledged
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_INFO: Final = struct.Struct("=B67xI68xII")  # as _Heard: Linux 4.6
_TRAVELS: Final = frozenset({1, 8})  # ESTABLISHED, CLOSE_WAIT: what is sent may still be acknowledged


@dataclass(frozen=True, slots=True)
class _Marks:
    """`tos` is for routers and access points, `priority` for queues of this machine."""

    tos: int
    priority: int


# Wi-Fi sends CS6 and EF as voice, AF41 as video, CS1 as background.  Linux's priorities are names, no ranks:
# 6 is interactive and goes first, 4 goes with the rest and 2 last; 5 would go with 2, and 7 needs root.
_MARKS: Final = {
    "safety": _Marks(0xC0, 6),  # CS6
    "control": _Marks(0xB8, 6),  # EF
    "stream": _Marks(0x88, 4),  # AF41
    "bulk": _Marks(0x20, 2),  # CS1
}


def tune(sock: socket.socket) -> None:
    """What every connection needs: no waiting to send, and the news when its peer has gone."""
    sock.settimeout(None)
    _set(sock, socket.IPPROTO_TCP, "TCP_NODELAY", 1)
    _set(sock, socket.SOL_SOCKET, "SO_KEEPALIVE", 1)
    _set(sock, socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEPALIVE_S)
    _set(sock, socket.IPPROTO_TCP, "TCP_KEEPINTVL", KEEPALIVE_S)
    _set(sock, socket.IPPROTO_TCP, "TCP_KEEPCNT", KEEPALIVE_PROBES)
    if _is_loopback(sock):
        _set(sock, socket.IPPROTO_TCP, "TCP_CONGESTION", UNPACED)


def _is_loopback(sock: socket.socket) -> bool:
    try:
        address = sock.getpeername()
    except OSError:  # it has gone already
        return False
    return isinstance(address, tuple) and str(address[0]).removeprefix("::ffff:") in LOOPBACK


def mark(sock: socket.socket, purpose: str) -> None:
    """From now on its packets say what they are for."""
    marks = _MARKS[purpose]
    # Both: a socket of IPv6 may have a peer of IPv4.
    _set(sock, socket.IPPROTO_IP, "IP_TOS", marks.tos)
    _set(sock, socket.IPPROTO_IPV6, "IPV6_TCLASS", marks.tos)
    _set(sock, socket.SOL_SOCKET, "SO_PRIORITY", marks.priority)  # last: IP_TOS sets it too


def repeat(sock: socket.socket, *, soon: bool) -> None:
    """Whether what was lost is sent again soon although nothing follows it that would show that it was."""
    if sys.platform == "linux":
        rto_us = SOON_US if soon else USUAL_RTO_US
        for option, value in ((_TCP_THIN_LINEAR_TIMEOUTS, int(soon)), (_TCP_RTO_MIN_US, rto_us)):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def give_up(sock: socket.socket, *, soon: bool) -> None:
    """Whether 4 s without an acknowledgement end the connection.

    Not for who sends to a reader that may pause: it would be cut.
    """
    _set(sock, socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", IMPATIENT_MS if soon else 0)


def hold_little(sock: socket.socket) -> None:
    """Hold only the newest items in the kernel."""
    _set(sock, socket.SOL_SOCKET, "SO_SNDBUF", LATEST_SNDBUF_BYTES)


def hold_as_needed(sock: socket.socket) -> None:
    """The kernel sizes its buffers again."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK, 0)


def watch(sock: socket.socket) -> Callable[[int], object]:
    """What says whether anything can be read within so many ms: bytes, the end, an error."""
    if not hasattr(select, "poll"):
        return lambda timeout_ms: select.select([sock], [], [], timeout_ms / 1000)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll


def unsent_bytes(sock: socket.socket) -> int:
    """Bytes that wait in the kernel for the link; 0 where it cannot be told.

    Raises:
        OSError, ValueError: It was closed.
    """
    return _asked(sock, _SIOCOUTQNSD) if sys.platform == "linux" else 0


def has_gone(sock: socket.socket) -> bool:
    """The peer has closed, even if bytes of it are still unread.  Any thread; never blocks."""
    gone = getattr(select, "POLLRDHUP", 0)
    try:
        if gone:
            poll = select.poll()
            poll.register(sock, gone)
            return bool(poll.poll(0))
        if not select.select([sock], [], [], 0)[0]:
            return False
        return not sock.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True


def _asked(sock: socket.socket, question: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(sock, question, b"\0\0\0\0"))[0]
    return count


def _set(sock: socket.socket, level: int, option: str, value: int | bytes) -> None:
    number = getattr(socket, option, None)
    if number is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(level, number, value)


def _set_rate(sock: socket.socket, rate: float) -> None:
    """At most so many bytes a second; 0 is no limit."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("=Q", int(rate) or 2**64 - 1))


class Pacer:
    """Sends bulk no faster than leaves room for what is more urgent.

    TCP itself measures the round trip, with each acknowledgement and in the
    kernel: no pair of its own, and no busy Python at the other end, which
    pings would take for a busy link.  Belongs to the thread that sends.
    """

    def __init__(self, sock: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._clock = clock
        self._sent = 0
        self._rate = 0.0  # that the kernel was told, bytes a second
        self.window = Window()

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it; raises OSError as the socket does."""
        left = memoryview(data)
        while left:
            size = self.admit(len(left))
            self._sock.sendall(left[:size])
            left = left[size:]

    def admit(self, length: int) -> int:
        """Of so many bytes, how many may be sent now; waits until some may.  They count as sent."""
        size = min(length, self.window.slice_bytes)
        self._wait_for(size)
        self._sent += size
        return size

    def end(self) -> None:
        """What follows goes as fast as it likes."""
        self._tell_rate(0.0)

    def _wait_for(self, size: int) -> None:
        """Until so much may be sent: most of what was sent before has arrived."""
        was_full = False
        while True:
            heard = _heard_by_tcp(self._sock)
            if heard.state not in _TRAVELS:
                return  # nothing will arrive: sending says why
            under_way = self._under_way()
            self.window.heard(
                heard.rtt_us / 1e6,
                self._clock(),
                acks=heard.acks,
                sent=self._sent,
                under_way=under_way,
                was_full=was_full,
            )
            if under_way + size <= self.window.bytes:
                self._tell_rate(self.window.bytes_per_s)
                return
            # What waits in the kernel waits for something else: a larger window would change nothing.
            was_full = heard.unsent_bytes < self.window.bytes // 2
            time.sleep(min(max(LEAST_WAIT_S, heard.rtt_us / 8e6), MOST_WAIT_S))

    def _tell_rate(self, rate: float) -> None:
        """The kernel spaces packets out; not every little change is worth a call."""
        if abs(rate - self._rate) > self._rate / 16:
            self._rate = rate
            _set_rate(self._sock, rate)

    def _under_way(self) -> int:
        return _asked(self._sock, _SIOCOUTQ)


def pacer_for(sock: socket.socket) -> Pacer | None:
    """None where TCP does not say how the way is, or there is none: there bulk goes like anything else."""
    if _TCP_INFO is None or _is_loopback(sock):
        return None
    try:
        _heard_by_tcp(sock)
    except (OSError, struct.error):  # no TCP, gone, or an old kernel that says less
        return None
    return Pacer(sock)


class _Heard(NamedTuple):
    """What TCP says of a connection."""

    state: int
    rtt_us: int  # smoothed
    acks: int  # packets that have come
    unsent_bytes: int


def _heard_by_tcp(sock: socket.socket) -> _Heard:
    assert _TCP_INFO is not None
    return _Heard(*_INFO.unpack(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO.size)))
