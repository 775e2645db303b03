"""Pairing from the window: asked in a thread of its own, the outcome as a signal."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from PyQt5.QtCore import QObject, pyqtSignal

from desktop_app.keyring import Keyring
from desktop_app.words import pairing_words
from pynet_core.errors import PynetError
from pynet_core.pairing import Paired, WrongCode
from pynet_core.pairing_link import ask_pairing

_MAY: Final = {"viewer": "watch and press E-STOP", "driver": "drive", "admin": "drive and do everything else"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PairingOutcome:
    """How one attempt went: `paired`, or why not, in words for a person."""

    host: str
    paired: Paired | None = None
    error: str = ""

    @property
    def words(self) -> str:
        """That it went well, and what that means."""
        if self.paired is None:
            return ""
        may = _MAY.get(self.paired.role, self.paired.role)
        return f"Paired with {self.paired.gateway.name}: this laptop may {may}."


class Pairing(QObject):
    """Belongs to the GUI thread."""

    finished = pyqtSignal(object)  # a PairingOutcome

    def __init__(self, keyring: Keyring, name: str) -> None:
        """`name` is what the robot is to call this computer."""
        super().__init__()
        self._keyring = keyring
        self._name = name
        self._wrong_codes = 0  # one after another, at one robot
        self._host = ""

    def start(self, host: str, port: int, code: str) -> None:
        """Show the robot there that we know its code; `finished` says how that went, within 10 s."""
        if host != self._host:
            self._host, self._wrong_codes = host, 0
        threading.Thread(target=self._run, args=(host, port, code), name="pynet pairing", daemon=True).start()

    def _run(self, host: str, port: int, code: str) -> None:
        try:
            identity, trust = self._keyring.load_or_make()
            paired = ask_pairing(identity, trust, host, code, name=self._name, port=port)
            self._keyring.look()
            self._wrong_codes = 0
            outcome = PairingOutcome(host, paired)
        except (PynetError, ValueError) as exc:
            _log.info("pairing with %s: %s", host, exc)
            self._wrong_codes = self._wrong_codes + 1 if isinstance(exc, WrongCode) else 0
            outcome = PairingOutcome(host, error=pairing_words(exc, host, self._wrong_codes))
        self.finished.emit(outcome)
