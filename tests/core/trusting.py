"""Devices that trust each other, for tests: making keys takes longer than most of them."""

from __future__ import annotations

import socket
import threading
from typing import Final

from pynet_core.clock import Deadline
from pynet_core.keys import Identity
from pynet_core.session import Session
from pynet_core.tls import Credentials, TlsChannel
from pynet_core.trust import Trusted, TrustStore
from tests.core.loopback import PATIENCE_S

CAR: Final = Identity.new()
LAPTOP: Final = Identity.new()
TABLET: Final = Identity.new()
STRANGER: Final = Identity.new()


def trusting(**roles: str) -> TrustStore:
    """A list without a file: trusting(LAPTOP="admin")."""
    known = {"CAR": CAR, "LAPTOP": LAPTOP, "TABLET": TABLET}
    return TrustStore(devices=[Trusted(role, name, known[name].certificate) for name, role in roles.items()])


def of_car(**roles: str) -> Credentials:
    return Credentials(CAR, trusting(**roles or {"LAPTOP": "driver"}))


def of_laptop() -> Credentials:
    return Credentials(LAPTOP, trusting(CAR="gateway"))


def secured(ours: socket.socket, theirs: socket.socket) -> tuple[TlsChannel, TlsChannel]:
    """The laptop's and the car's channel, after the handshake."""
    controller, gateway = TlsChannel(ours, Session("controller")), TlsChannel(theirs, Session("gateway"))

    def answer() -> None:
        deadline = Deadline(PATIENCE_S, "handshake")
        assert gateway.begins_with_tls(deadline)
        gateway.shake_hands(of_car(), deadline, at_gateway=True)

    answering = threading.Thread(target=answer)
    answering.start()
    controller.shake_hands(of_laptop(), Deadline(PATIENCE_S, "handshake"), at_gateway=False)
    answering.join()
    return controller, gateway
