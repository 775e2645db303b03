"""Whom this device trusts, and with what: a text file with one device a line.

    driver   laptop   8f1c...   MIIBEDCBw6ADAgEC...

role, name, fingerprint (SHA-256 of the certificate), certificate (DER, base64).
`gateway` is a device that we call and that may not call us; `viewer`, `driver`
and `admin` may call us; `gateway+viewer` and `gateway+driver` are both, and so
is `admin`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import os
import re
import ssl
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pynet_core.errors import ConfigError
from pynet_core.keys import fingerprint_of, read_guarded, write_guarded

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)

TRUST_FILE: Final = "trusted"
CALLER_ROLES: Final = ("viewer", "driver", "admin")  # each may do all that the one before it may
ROLES: Final = ("gateway", *CALLER_ROLES, "gateway+viewer", "gateway+driver")
_NAME: Final = re.compile(r"[^\s#]{1,64}")
_HEAD: Final = """\
# Devices that this one trusts: role, name, fingerprint, certificate.  `pynet key list` shows them.
# gateway: we call it.  viewer, driver, admin: may call us.  gateway+viewer, gateway+driver, admin: both.
# Delete a line and that device is out within 2 s.
"""


@dataclass(frozen=True, slots=True)
class Trusted:
    """One device that is trusted."""

    role: str  # one of ROLES
    name: str  # for people; one word
    certificate: bytes = field(repr=False)  # DER

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, got {self.role!r}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a name is one word of 1 to 64 characters without #, got {self.name!r}")

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.certificate)

    @property
    def may_call(self) -> bool:
        return self.role != "gateway"

    @property
    def may_answer(self) -> bool:
        """Whether it is believed when it answers as a gateway."""
        return self.role.startswith("gateway") or self.role == "admin"

    @property
    def caller_role(self) -> str:
        """viewer, driver or admin, for one that may call."""
        return self.role.removeprefix("gateway+")


class TrustStore:
    """The devices trusted now.  Any thread; `refresh` reads the file again when it has changed.

    Without a path it keeps what it was given and has no file.
    """

    def __init__(self, path: Path | None = None, devices: Iterable[Trusted] = ()) -> None:
        """Read the file; a missing one trusts nobody.

        Raises:
            ConfigError: It cannot be read, others can change it, or a line is wrong.
        """
        self.path = path
        self._lock = threading.Lock()
        self._stamp: object = None
        self._devices = {device.fingerprint: device for device in devices}
        self.version = 0  # grows with each change
        if path is not None:
            self._stamp = _stamp(path)
            self._devices = {device.fingerprint: device for device in _read(path)}

    @property
    def devices(self) -> tuple[Trusted, ...]:
        return tuple(self._devices.values())

    def find(self, fingerprint: str) -> Trusted | None:
        """The device with this fingerprint, if it is trusted."""
        return self._devices.get(fingerprint)

    def refresh(self) -> None:
        """Look at the file.  One that has become unreadable is logged once; what was read last holds."""
        if self.path is None:
            return
        with self._lock:
            stamp = _stamp(self.path)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._take(_read(self.path))
            except ConfigError as exc:
                _log.error("%s; going by what it said before", exc)

    def add(self, device: Trusted) -> None:
        """Trust a device; one of the same name or certificate is replaced.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        with self._changing() as devices:
            devices[:] = [
                other
                for other in devices
                if other.name != device.name and other.certificate != device.certificate
            ] + [device]

    def remove(self, name: str) -> Trusted:
        """Trust it no longer; gateways close its connections within 2 s.

        Raises:
            ConfigError: Nobody of that name, or the file cannot be read or written.
        """
        with self._changing() as devices:
            for device in devices:
                if device.name == name:
                    devices.remove(device)
                    return device
            known = ", ".join(device.name for device in devices) or "nobody"
            raise ConfigError(f"no trusted device is called {name!r}; known: {known}")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Trusted]]:
        """The devices to change; written and taken over when the block ends without an error."""
        with self._lock, contextlib.ExitStack() as ending:
            if self.path is None:
                devices = list(self.devices)
                yield devices
            else:
                ending.enter_context(_alone(self.path))  # from here on the file is ours
                devices = list(_read(self.path))
                yield devices
                write_guarded(self.path, _HEAD + "".join(map(_line, devices)))
                self._stamp = _stamp(self.path)
            self._take(tuple(devices))

    def _take(self, devices: tuple[Trusted, ...]) -> None:
        if devices != self.devices:
            self._devices = {device.fingerprint: device for device in devices}
            self.version += 1


def _read(path: Path) -> tuple[Trusted, ...]:
    text = read_guarded(path, forbidden=0o022) or ""
    devices: list[Trusted] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            device = _parse(line)
            for other in devices:
                if other.name == device.name or other.certificate == device.certificate:
                    raise ValueError(f"the same name or certificate as {other.name!r}")
        except ValueError as exc:
            raise ConfigError(f"{path}:{number}: {exc}") from exc
        devices.append(device)
    return tuple(devices)


def _parse(line: str) -> Trusted:
    words = line.split()
    if len(words) != 4:
        raise ValueError(f"a line is role, name, fingerprint and certificate, found {len(words)} words")
    role, name, fingerprint, encoded = words
    device = Trusted(role, name, decode_certificate(encoded))
    if device.fingerprint != fingerprint:
        raise ValueError(f"{name!r} has fingerprint {device.fingerprint}, the line says {fingerprint}")
    return device


def _line(device: Trusted) -> str:
    encoded = encode_certificate(device.certificate)
    return f"{device.role:8} {device.name:16} {device.fingerprint} {encoded}\n"


def encode_certificate(certificate: bytes) -> str:
    """A certificate (DER) as one word, to be copied from one screen to another."""
    return base64.b64encode(certificate).decode()


def decode_certificate(word: str) -> bytes:
    """The certificate (DER) in such a word.

    Raises:
        ValueError: There is none.
    """
    try:
        certificate = base64.b64decode(word, validate=True)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except (binascii.Error, ValueError, ssl.SSLError) as exc:
        raise ValueError(f"this is no certificate: {exc}") from exc
    return certificate


def _stamp(path: Path) -> object:
    """Differs when the file has changed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file meanwhile: a lost change could be a revocation."""
    if sys.platform == "win32":
        yield
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path.parent, os.O_RDONLY)  # the folder: whoever may write in it may lock it
    except OSError as exc:
        raise ConfigError(f"{path.parent}: cannot be used: {exc}") from exc
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
