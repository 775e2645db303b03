"""The calling side of a swarm: opens pairs with gateways."""

from __future__ import annotations

import os
import socket
from typing import Final

from pynet_core.channel import PlainChannel
from pynet_core.client import Client
from pynet_core.errors import (
    DeadlineExceeded,
    LinkClosed,
    LinkError,
    PoolFull,
    Refused,
    RemoteProtocolError,
)
from pynet_core.session import Session
from pynet_core.wire import (
    MAGIC,
    MAX_NAME_CHARS,
    WIRE_VERSION,
    Failure,
    Frame,
    Hello,
    Kind,
    Welcome,
    pack_body,
    unpack_body,
)

DEFAULT_PORT: Final = 1857
CONNECT_TIMEOUT_S: Final = 5.0


class PairId:
    """What a pair keeps over reconnects: open the next client with it to replace the last one."""

    def __init__(self) -> None:
        self.bytes = os.urandom(8)
        self.attempt = 0


class Controller:
    """Opens clients to one or several gateways; '' is this machine.

    Any thread may call it.  `name` is what people see of it at the gateway.
    """

    def __init__(
        self,
        gateway_ip: str = "",
        port: int = DEFAULT_PORT,
        download_dir: str = "",
        verbose: bool = False,
        *,
        name: str = "",
    ) -> None:
        self.gateway_ip = gateway_ip
        self.port = port
        self.download_dir = download_dir
        self.verbose = verbose
        self.name = (name or socket.gethostname())[:MAX_NAME_CHARS]
        self._id = os.urandom(16)

    @property
    def id(self) -> str:
        """Who this controller is to gateways: `Peer.controller_id`, hex."""
        return self._id.hex()

    def get_client(
        self,
        gateway: tuple[str, int] | None = None,
        *,
        purpose: str = "stream",
        pair: PairId | None = None,
        timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> Client:
        """Open a pair, with the controller's own gateway or with ('host', port).

        `purpose`: safety, control, stream or bulk.  `pair`: of an earlier
        client, which this one then replaces at the gateway.

        Raises:
            ValueError: That is no port.
            PoolFull: Every place in the gateway's pool is taken.
            Refused: It said no; `.code` and the text say why.
            LinkError: No gateway there, or no answer within `timeout_s`.
            RemoteProtocolError: What answers there is no pynet gateway.
        """
        host, port = gateway or (self.gateway_ip, self.port)
        if not isinstance(port, int) or not 0 < port <= 65535:  # getaddrinfo takes 67393 for 1857
            raise ValueError(f"port must be 1 to 65535, got {port!r}")
        where = f"{host or 'this machine'} port {port}"
        pair = pair or PairId()
        pair.attempt += 1
        hello = Hello(
            magic=MAGIC,
            capabilities=(),
            controller_id=self._id,
            pair_id=pair.bytes,
            attempt=pair.attempt,
            purpose=purpose,
            name=self.name,
        )
        channel = PlainChannel(_connect(host or "127.0.0.1", port, where, timeout_s), Session("controller"))
        try:
            channel.send(Frame(Kind.HELLO, WIRE_VERSION, pack_body(hello)))
            answer = channel.receive(timeout_s, f"the gateway at {where}")
            if answer.kind == Kind.REFUSAL:
                raise _refusal(answer)
            unpack_body(answer.body, Welcome)
        except RemoteProtocolError as exc:
            channel.close()
            raise RemoteProtocolError(f"no pynet gateway at {where}, something else answers: {exc}") from exc
        except LinkClosed as exc:
            channel.close()
            raise LinkClosed(f"{where} closed the connection before WELCOME, is it a gateway? {exc}") from exc
        except BaseException:
            channel.close()
            raise
        channel.opened()
        if purpose in ("safety", "control"):
            channel.give_up_soon()
        if self.verbose:
            print(f"Connected to gateway at {where}")
        return Client(channel, purpose, verbose=self.verbose, download_dir=self.download_dir)

    def close_gateway(self) -> None:
        """Stop the whole gateway; needs role admin.  It has stopped listening when this returns.

        Raises:
            SubroutineError: Not allowed.
            LinkError: No gateway there.
        """
        with self.get_client(purpose="control") as client:
            client.close_gateway()


def _connect(host: str, port: int, where: str, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout_s)
    except TimeoutError as exc:
        raise DeadlineExceeded(f"no answer from {where} within {timeout_s:g} s") from exc
    except ConnectionRefusedError as exc:
        raise LinkError(f"no gateway at {where}: is it started, and is this its port?") from exc
    except (OSError, UnicodeError) as exc:  # the last: a host that is no name
        raise LinkError(f"cannot reach {where}: {exc}") from exc


def _refusal(answer: Frame) -> Refused:
    reason = unpack_body(answer.body, Failure).reason
    return (PoolFull if answer.ident == 503 else Refused)(answer.ident, reason)
