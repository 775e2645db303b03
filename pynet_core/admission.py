"""Who gets into a gateway, as what, and how many places each may take: rules, no threads."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterable
from typing import Final, Protocol, TypeVar

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.keys import Identity
from pynet_core.subroutines import Peer
from pynet_core.tls import Credentials, TlsChannel, device_credentials, given_credentials
from pynet_core.traffic import PURPOSES
from pynet_core.trust import Trusted, TrustStore
from pynet_core.wire import MAX_NAME_CHARS, Hello

MAX_UNPROVEN: Final = 16  # connections that are not open yet; each lives 2 s at most
MAX_UNPROVEN_PER_ADDRESS: Final = 4  # so that one machine cannot take them all; not of this machine's own
OWNER_BYTES: Final = 8  # of a controller id: the beginning of its device's fingerprint
ALL_ADDRESSES: Final = ("0.0.0.0", "::")
EVERYWHERE: Final = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # both kinds, where there are
HOW_TO_OPEN: Final = (
    "set PYNET_KEY to one secret at both ends, or give this device an identity with `pynet key new`"
)


class _Pair(Protocol):
    hello: Hello | None


_AnyPair = TypeVar("_AnyPair", bound=_Pair)


class NotAdmitted(Exception):
    """This peer gets no place; `code` and text go back in a REFUSAL."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Admission:
    """The rules of one gateway.  Any thread.

    Without credentials every peer is admin: it listens on this machine only.
    """

    def __init__(
        self,
        credentials: Credentials | None,
        *,
        max_poolsize: int,
        max_per_identity: int | None,
        safety_places: int,
    ) -> None:
        if max_poolsize < 1:
            raise ValueError(f"max_poolsize must be at least 1, got {max_poolsize}")
        if max_per_identity is not None and max_per_identity < 1:
            raise ValueError(f"max_per_identity must be at least 1, got {max_per_identity}")
        if not 0 <= safety_places < max_poolsize:
            raise ValueError(f"safety_places must be 0 to {max_poolsize - 1}, got {safety_places}")
        self.credentials = credentials
        self._max_poolsize = max_poolsize
        self._max_per_identity = max_per_identity
        self._safety_places = safety_places

    def __str__(self) -> str:
        if self.credentials is None:
            return f"this machine only; to open it, {HOW_TO_OPEN}"
        return f"TLS only, to itself and {len(self.credentials.trust.devices)} trusted devices"

    def prove(self, channel: PlainChannel, deadline: Deadline) -> Trusted | None:
        """Who is at the other end; None where nobody has to prove it.  The channel is secure then.

        Raises:
            NotAdmitted: 401 it must prove who it is, 426 it wants to where nobody can.
            LinkError, RemoteProtocolError: It could not prove it, and knows.
        """
        speaks_tls = channel.begins_with_tls(deadline)
        if self.credentials is None:
            if speaks_tls:
                raise NotAdmitted(
                    426,
                    "this gateway was started without PYNET_KEY and without an identity: it speaks no TLS; "
                    "start it with one, or call it without",
                )
            return None
        if not speaks_tls:
            raise NotAdmitted(401, f"this gateway speaks TLS only: {HOW_TO_OPEN} and pair the two")
        assert isinstance(channel, TlsChannel)
        fingerprint = channel.shake_hands(self.credentials, deadline, at_gateway=True)
        device = self.credentials.find(fingerprint, at_gateway=True)
        if device is None:
            raise NotAdmitted(401, "this device has just been struck off the list")
        return device

    def identify(self, hello: Hello, device: Trusted | None) -> Peer:
        """The peer as subroutines will see it.

        Raises:
            NotAdmitted: 401 its controller id is another device's, 500 its purpose is none.
        """
        if hello.purpose not in PURPOSES:
            raise NotAdmitted(
                500, f"purpose must be one of {', '.join(PURPOSES)}, got {hello.purpose[:32]!r}"
            )
        name, role, fingerprint = hello.name[:MAX_NAME_CHARS], "admin", ""
        if device is not None:
            role, fingerprint = device.caller_role, device.fingerprint
            # Leases hang on controller ids: none may bear another device's.
            if hello.controller_id[:OWNER_BYTES] != bytes.fromhex(fingerprint)[:OWNER_BYTES]:
                raise NotAdmitted(401, "this controller id does not belong to the device that shows it")
            if self.credentials is None or device != self.credentials.own:  # ours may be shared by many
                name = device.name
        return Peer(
            controller_id=hello.controller_id.hex(),
            pair_id=hello.pair_id.hex(),
            purpose=hello.purpose,
            name=name,
            role=role,
            fingerprint=fingerprint,
        )

    def check_room(self, peer: Peer, others: Collection[Peer]) -> None:
        """Make sure that there is a place for one more.

        Some are kept for purpose safety.  One identity may have only so many
        safety pairs, and as many others.

        Raises:
            NotAdmitted: 503
        """
        is_safety = peer.purpose == "safety"
        like = [other for other in others if (other.purpose == "safety") == is_safety]
        kept = 0 if is_safety else self._safety_places
        if len(others) >= self._max_poolsize or len(like) >= self._max_poolsize - kept:
            but = f", but for {kept} safety pairs" if kept else ""
            raise NotAdmitted(
                503, f"the pool of {self._max_poolsize} is full{but}; close a pair or raise max_poolsize"
            )
        limit = self._max_per_identity
        if limit is not None and peer.fingerprint:
            own = sum(other.fingerprint == peer.fingerprint for other in like)
            if own >= limit:
                raise NotAdmitted(
                    503, f"{peer.name} has {own} pairs open, one device may have {limit}; close one"
                )

    def refresh(self) -> None:
        """Look whether the list of trusted devices has changed."""
        if self.credentials is not None:
            self.credentials.trust.refresh()

    def stands_by(self, peer: Peer) -> bool:
        """Whether a peer that was admitted may still do what it might then."""
        if self.credentials is None:
            return True
        device = self.credentials.find(peer.fingerprint, at_gateway=True)
        return device is not None and device.caller_role == peer.role


def same_pair(hello: Hello, others: Iterable[_AnyPair]) -> _AnyPair | None:
    """The open pair that this one would replace.

    Raises:
        NotAdmitted: 500, this attempt is not newer than that pair's.
    """
    for other in others:
        known = other.hello
        if known and (known.controller_id, known.pair_id) == (hello.controller_id, hello.pair_id):
            if hello.attempt <= known.attempt:
                raise NotAdmitted(500, f"attempt {hello.attempt} of this pair is not newer than the open one")
            return other
    return None


def choose_host(
    host: str | None, identity: Identity | None, trust: TrustStore | None
) -> tuple[str, Credentials | None]:
    """The address to listen on, and the credentials for it: what is open to others has some.

    Raises:
        ValueError: It would be open to others, and there are none.
        ConfigError: An identity or a list is not fit for use.
    """
    credentials = given_credentials(identity, trust)
    if host == "localhost":
        host = "127.0.0.1"
    if credentials is not None:
        return host or EVERYWHERE, credentials
    if not host or is_loopback(host):
        return host or "127.0.0.1", None
    credentials = device_credentials(trust)
    if credentials is None:
        raise ValueError(
            f"host {host!r} is not loopback: without an identity anybody could call; {HOW_TO_OPEN}, "
            "or leave host out to listen on this machine only"
        )
    return host, credentials


def is_crowded(ip: str, unproven: Collection[str]) -> bool:
    """Whether so many unproven connections come from this address that one more must wait outside."""
    return sum(other == ip for other in unproven) >= MAX_UNPROVEN_PER_ADDRESS and not is_loopback(ip)


def plain_ip(ip: str) -> str:
    """An address of IPv4 as such, also where it came to a socket of IPv6."""
    return ip.removeprefix("::ffff:") if "." in ip else ip


def is_loopback(host: str) -> bool:
    """Whether this address is this machine's own; False for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
