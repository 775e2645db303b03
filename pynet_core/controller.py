"""The calling side of a swarm: opens pairs with gateways."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Sequence
from typing import Final

from pynet_core.admission import HOW_TO_OPEN, OWNER_BYTES, is_loopback
from pynet_core.channel import PlainChannel, words
from pynet_core.client import Client
from pynet_core.clock import Deadline
from pynet_core.errors import LinkClosed, LinkError, Refused, RemoteProtocolError
from pynet_core.items import CAPABILITY
from pynet_core.keys import Identity
from pynet_core.offering import Offering
from pynet_core.opening import connect, greet, prove
from pynet_core.redial import Redial
from pynet_core.session import Session
from pynet_core.swarm import Swarm, open_swarm
from pynet_core.tls import Credentials, TlsChannel, device_credentials, given_credentials
from pynet_core.traffic import PURPOSES
from pynet_core.tree_mover import TreeMover
from pynet_core.trust import TrustStore
from pynet_core.wire import MAGIC, MAX_NAME_CHARS, Frame, Hello

DEFAULT_PORT: Final = 1857
CONNECT_TIMEOUT_S: Final = 5.0


class PairId:
    """What a pair keeps over reconnects: open the next client with it to replace the last one."""

    def __init__(self) -> None:
        self.bytes = os.urandom(8)
        self.attempt = 0


class Controller(TreeMover):
    """Opens clients to one or several gateways; '' is this machine.

    Any thread may call it.  `name` is what people see of it at the gateway.
    With an `identity`, or PYNET_KEY, every connection is TLS, and `trust` lists
    the gateways that are believed; without, this device's own identity is used
    for other machines, and none on this one.  `gateway_fingerprint` says which
    device its own gateway was when last called; '' where that proved nothing.
    """

    def __init__(
        self,
        gateway_ip: str = "",
        port: int = DEFAULT_PORT,
        download_dir: str = "",
        verbose: bool = False,
        *,
        identity: Identity | None = None,
        trust: TrustStore | None = None,
        name: str = "",
    ) -> None:
        """Raises ConfigError when PYNET_KEY or the list of trusted devices is not fit for use."""
        self.gateway_ip = gateway_ip
        self.port = port
        self.download_dir = download_dir
        self.verbose = verbose
        self.name = (name or socket.gethostname())[:MAX_NAME_CHARS]
        self._trust = trust
        self._given = given_credentials(identity, trust)
        self._device: Credentials | None = None
        self.gateway_fingerprint = ""
        self._random = os.urandom(16)
        self._id = self._id_for(self._given)

    @property
    def id(self) -> str:
        """Who this controller is to its gateway since it has opened a client: `Peer.controller_id`, hex."""
        return self._id.hex()

    def get_client(
        self,
        gateway: tuple[str, int] | None = None,
        *,
        purpose: str = "stream",
        pair: PairId | None = None,
        timeout_s: float = CONNECT_TIMEOUT_S,
        reconnect: bool = False,
        elsewhere: Sequence[tuple[str, int]] = (),
    ) -> Client:
        """Open a pair, with the controller's own gateway or with ('host', port).

        `purpose`: safety, control, stream or bulk.  `pair`: of an earlier
        client, which this one then replaces at the gateway.

        With `reconnect`, a client whose pair was lost opens it anew when it is
        next used, trying for `client.reconnect_timeout_s`.  The call that was
        on its way raises, for it may have been done or not: that is the
        caller's to judge.  Subscriptions go on by themselves.  `elsewhere`:
        gateways that will do as well, when its own does not take it back.

        Raises:
            ValueError: That is no port, or no purpose.
            PoolFull: Every place in the gateway's pool is taken.
            Refused: It said no, or one end does not trust the other; `.code` and the text say why.
            ConfigError: This device's identity or its list of trusted devices is not fit for use.
            LinkError: No gateway there, or no answer within `timeout_s`.
            RemoteProtocolError: What answers there is no pynet gateway.
        """
        pair = pair or PairId()

        def open_pair(timeout_s: float) -> PlainChannel:
            return self._open_pair(gateway, purpose, pair, timeout_s)

        def open_anew(timeout_s: float) -> PlainChannel:
            try:
                return open_pair(timeout_s)
            except LinkError:
                for other in elsewhere:
                    with contextlib.suppress(LinkError):
                        return self._open_pair(other, purpose, pair, timeout_s)
                raise

        return Client(
            open_pair(timeout_s),
            purpose,
            redial=Redial(open_anew, timeout_s),
            reconnect=reconnect,
            verbose=self.verbose,
            download_dir=self.download_dir,
        )

    def _address(self, gateway: tuple[str, int] | None) -> tuple[str, int]:
        """Raises ValueError when that is none."""
        if gateway is not None and not (isinstance(gateway, tuple | list) and len(gateway) == 2):
            raise ValueError(f"a gateway is ('host', port), got {gateway!r}")
        host, port = gateway or (self.gateway_ip, self.port)
        if not isinstance(port, int) or not 0 < port <= 65535:  # getaddrinfo takes 67393 for 1857
            raise ValueError(f"port must be 1 to 65535, got {port!r}")
        return host, port

    def _open_pair(
        self,
        gateway: tuple[str, int] | None,
        purpose: str,
        pair: PairId,
        timeout_s: float,
        ahead: Frame | None = None,
    ) -> PlainChannel:
        """One try, to WELCOME; what is asked `ahead` goes out before that if it is small, else after."""
        host, port = self._address(gateway)
        if purpose not in PURPOSES:
            raise ValueError(f"purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}")
        where = f"{host or 'this machine'} port {port}"
        pair.attempt += 1
        deadline = Deadline(timeout_s, f"the gateway at {where}")
        sock = connect(host or "127.0.0.1", port, where, deadline)
        try:
            credentials = self._credentials_for(sock, where)
            channel_type = PlainChannel if credentials is None else TlsChannel
            channel = channel_type(sock, Session("controller"))
            channel.carry(purpose)
            fingerprint = "" if credentials is None else prove(channel, credentials, deadline)
            controller_id = self._id_for(credentials)
            if gateway is None:
                self._id, self.gateway_fingerprint = controller_id, fingerprint
            hello = Hello(
                magic=MAGIC,
                capabilities=(CAPABILITY,),
                controller_id=controller_id,
                pair_id=pair.bytes,
                attempt=pair.attempt,
                purpose=purpose,
                name=self.name,
            )
            greet(channel, hello, ahead, deadline)
        except RemoteProtocolError as exc:
            sock.close()
            raise RemoteProtocolError(f"no pynet gateway at {where}, something else answers: {exc}") from exc
        except LinkClosed as exc:
            sock.close()
            raise LinkClosed(f"{where} closed the connection before WELCOME, is it a gateway? {exc}") from exc
        except BaseException:
            sock.close()
            raise
        if self.verbose:
            print(f"Connected to gateway at {where}")
        return channel

    def _bulk_pair(self, gateway: tuple[str, int] | None = None, ahead: Frame | None = None) -> Client:
        pair = PairId()
        return Client(
            self._open_pair(gateway, "bulk", pair, CONNECT_TIMEOUT_S, ahead),
            "bulk",
            redial=Redial(functools.partial(self._open_pair, gateway, "bulk", pair), CONNECT_TIMEOUT_S),
        )

    def _is_near(self) -> bool:
        try:
            found = socket.getaddrinfo(self.gateway_ip or "127.0.0.1", self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # said when it is called
            return False
        return is_loopback(str(found[0][4][0]))

    def get_swarm(
        self,
        n: int,
        gateways: Sequence[tuple[str, int]] | None = None,
        *,
        at_least: int | None = None,
        purpose: str = "stream",
        timeout_s: float = CONNECT_TIMEOUT_S,
        reconnect: bool = False,
    ) -> Swarm:
        """Open `n` pairs with the controller's own gateway, or with each of `gateways`, to be used as one.

        When one cannot be opened, none stays open; with `at_least` so many, of
        all, are enough, and `len(swarm)` says how many there are.  A pair whose
        gateway is lost moves to another of `gateways` that has a place for it.

        Raises:
            PoolFull: A gateway has too few places left.
            ValueError, LinkError, PynetError: As `get_client`.
        """
        return open_swarm(
            functools.partial(self.get_client, purpose=purpose, timeout_s=timeout_s),
            n,
            gateways,
            at_least=at_least,
            reconnect=reconnect,
        )

    def list_subroutines(self, gateway: tuple[str, int] | None = None) -> list[Offering]:
        """What a gateway offers, over a pair that is opened for it.

        Raises:
            As `get_client` and `Client.list_subroutines`.
        """
        with self.get_client(gateway) as client:
            return client.list_subroutines()

    def close_gateway(self) -> None:
        """Stop the whole gateway; needs role admin.  It has stopped listening when this returns.

        Raises:
            SubroutineError: Not allowed.
            LinkError: No gateway there.
        """
        with self.get_client(purpose="control") as client:
            client.close_gateway()

    def _credentials_for(self, sock: socket.socket, where: str) -> Credentials | None:
        """What this connection takes; None when it may be plain.

        Raises:
            Refused: 401, it would be plain over the network.
            LinkClosed: It is over already.
            ConfigError: This device's identity or list is not fit for use.
        """
        try:
            ip = sock.getpeername()[0]
        except OSError as exc:
            raise LinkClosed(words(exc)) from exc
        if self._given is not None or is_loopback(ip):
            return self._given
        if self._device is None:
            self._device = device_credentials(self._trust)
        if self._device is None:
            raise Refused(401, f"{where} is another machine, and this one has no identity: {HOW_TO_OPEN}")
        return self._device

    def _id_for(self, credentials: Credentials | None) -> bytes:
        """A gateway that knows the device sees by this that no other bears its id."""
        if credentials is None:
            return self._random
        return bytes.fromhex(credentials.own.fingerprint)[:OWNER_BYTES] + self._random[OWNER_BYTES:]
