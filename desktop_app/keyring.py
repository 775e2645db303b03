"""This computer's identity and the robots that it trusts, in one folder.  No Qt."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from pynet_core.errors import ConfigError
from pynet_core.keys import Identity, home, secret_identity
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore


class Keys(NamedTuple):
    """What one connection is made with."""

    identity: Identity
    trust: TrustStore


class _Only(TrustStore):
    """Of a list no more than one robot."""

    def __init__(self, fingerprint: str, path: Path) -> None:
        self._only = fingerprint
        super().__init__(path)

    @property
    def devices(self) -> tuple[Trusted, ...]:
        return tuple(device for device in super().devices if device.fingerprint == self._only)

    def find(self, fingerprint: str) -> Trusted | None:
        return super().find(fingerprint) if fingerprint == self._only else None


class Keyring:
    """Any thread; what reads or writes the folder takes a moment and is not for the GUI's.

    By default the folder is that of `pynet key`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._known: frozenset[str] = frozenset()  # fingerprints, as last read

    def is_known(self, fingerprint: str) -> bool:
        """Whether the robot with this key is trusted, as of the last look into the folder.  Reads nothing."""
        return fingerprint in self._known

    def look(self) -> None:
        """Read the list, for `is_known`; one that is not fit for use changes nothing."""
        with contextlib.suppress(ConfigError):
            self._list()

    def _list(self) -> TrustStore:
        trust = TrustStore(self._path / TRUST_FILE)
        known = {device.fingerprint for device in trust.devices if device.may_answer}
        secret = secret_identity()
        self._known = frozenset(known | ({secret.fingerprint} if secret else set()))
        return trust

    def load(self, only: str = "") -> Keys | None:
        """The identity and the list; None where there is no identity yet.

        `only`: no more of the list than the robot with this fingerprint.

        Raises:
            ConfigError: One of them is not fit for use.
        """
        secret = secret_identity()
        if secret is not None and only == secret.fingerprint:
            return Keys(secret, TrustStore())
        trust = self._list()
        identity = Identity.load(self._path)
        if identity is None:
            return None
        return Keys(identity, _Only(only, self._path / TRUST_FILE) if only else trust)

    def load_or_make(self) -> Keys:
        """The same; makes the identity where there is none.

        Raises:
            ConfigError: One of them is not fit for use, or cannot be written.
        """
        if (keys := self.load()) is not None:
            return keys
        identity = Identity.new()
        identity.save(self._path)
        return Keys(identity, self._list())

    def forget(self, fingerprint: str) -> None:
        """Trust this robot no longer; one that may also call us stays on the list.

        Raises:
            ConfigError: The list cannot be read or written.
        """
        trust = self._list()
        device = trust.find(fingerprint)
        if device is not None and device.role == "gateway":
            trust.remove(device.name)
            self._list()

    @property
    def _path(self) -> Path:
        """Raises ConfigError when this user has no home."""
        return self._folder if self._folder is not None else home()
