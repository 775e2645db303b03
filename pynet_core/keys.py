"""Who this device is: its identity, and the files that trust hangs on.

Whom it trusts, and with what, stands in `trust`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import ssl
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from pynet_core.errors import ConfigError

HOME_VARIABLE: Final = "PYNET_HOME"  # a folder, in place of the platform's own for settings
SECRET_VARIABLE: Final = "PYNET_KEY"  # one secret for all ends, in place of an identity for each
IDENTITY_FILE: Final = "identity.pem"
MIN_SECRET_CHARS: Final = 16

# Who has seen the certificate can try secrets on it at home: this makes each try cost 0.1 s and 32 MB.
_SCRYPT_COST: Final = 2**15
_SCRYPT_BYTES: Final = 64 * 1024 * 1024  # allowed; it takes half
_SALT: Final = b"pynet identity 1"


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and its certificate.  Whoever has `pem` is this device."""

    pem: str = field(repr=False)  # both, as in the file
    certificate: bytes  # DER

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.certificate)

    @classmethod
    def new(cls) -> Self:
        """A random one."""
        return cls._from_seed(os.urandom(32))

    @classmethod
    def from_secret(cls, secret: str) -> Self:
        """The one that everybody gets who has this secret.  Takes 0.1 s and more.

        Raises:
            ConfigError: It is too short to keep anybody out.
        """
        if len(secret) < MIN_SECRET_CHARS:
            raise ConfigError(
                f"{SECRET_VARIABLE} has {len(secret)} characters, below {MIN_SECRET_CHARS} it is guessed; "
                "take random ones:  python3 -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        seed = hashlib.scrypt(
            os.fsencode(secret), salt=_SALT, n=_SCRYPT_COST, r=8, p=1, maxmem=_SCRYPT_BYTES, dklen=32
        )
        return cls._from_seed(seed)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The one kept in this folder; None when there is none.

        Raises:
            ConfigError: It cannot be read, others can read it, or it is damaged.
        """
        path = folder / IDENTITY_FILE
        text = read_guarded(path, forbidden=0o077)
        if text is None:
            return None
        try:
            identity = cls(text, ssl.PEM_cert_to_DER_cert(text[text.index(ssl.PEM_HEADER) :].strip()))
            identity.put_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # do key and certificate fit?
        except (ValueError, ssl.SSLError) as exc:
            raise ConfigError(f"{path}: damaged, holds no key with its certificate: {exc}") from exc
        return identity

    def save(self, folder: Path) -> Path:
        """Keep it in this folder, for its owner's eyes only.

        Raises:
            ConfigError: There is one already, or the folder cannot be written.
        """
        path = folder / IDENTITY_FILE
        if path.exists():
            raise ConfigError(f"{path}: there is one already, and others may trust it; move it away first")
        write_guarded(path, self.pem)
        return path

    def put_into(self, context: ssl.SSLContext) -> None:
        """Let what uses this context show it."""
        with _as_file(self.pem) as path:
            context.load_cert_chain(path, password=b"")  # an encrypted key: an error, not a question

    @classmethod
    def _from_seed(cls, seed: bytes) -> Self:
        # Here: cryptography takes longer to import than all of pynet, and only who makes a key needs it.
        from pynet_core.certificate import make_certificate

        return cls(*make_certificate(seed))


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of the certificate (DER), 64 hex digits: what people compare and lists name."""
    return hashlib.sha256(certificate).hexdigest()


def home() -> Path:
    """The folder for this device's identity and the list of those it trusts.

    Raises:
        ConfigError: This user has no home, and PYNET_HOME names no folder.
    """
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given)
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("APPDATA") or Path.home() / "AppData/Roaming") / "pynet"
        if sys.platform == "darwin":
            return Path.home() / "Library/Application Support/pynet"
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "pynet"
    except RuntimeError as exc:
        raise ConfigError(f"this user has no home folder; name one in {HOME_VARIABLE}") from exc


def secret_identity() -> Identity | None:
    """The identity that PYNET_KEY gives; None without one.

    Raises:
        ConfigError: It is too short.
    """
    secret = os.environ.get(SECRET_VARIABLE)
    return _of_secret(secret) if secret else None


_of_secret = functools.lru_cache(maxsize=4)(Identity.from_secret)


def read_guarded(path: Path, *, forbidden: int) -> str | None:
    """The text of a file that trust hangs on; None when there is none.

    `forbidden`: mode bits that would let others at it.

    Raises:
        ConfigError: It cannot be read, or others may do what they should not.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & forbidden and os.name == "posix":
                what = "read" if forbidden & mode & 0o044 else "changed"
                raise ConfigError(f"{path}: can be {what} by others (mode {mode:o}): chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None
    except ConfigError:
        raise
    except (OSError, ValueError) as exc:  # ValueError: not UTF-8, or a path with a null byte
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc


def write_guarded(path: Path, text: str) -> None:
    """Write a file that only its folder's owner can read: all of it, or nothing if anything fails.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 600
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                if sys.platform != "win32" and os.geteuid() == 0:
                    # Root mends a daemon's file: it must stay readable to the daemon.
                    owner = path.parent.stat()
                    os.fchown(number, owner.st_uid, owner.st_gid)
                os.fsync(number)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc}") from exc


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path under which OpenSSL can read this: it takes keys from files only.  On Linux it is on no disk."""
    if sys.platform == "linux" and Path("/proc/self/fd").is_dir():
        number = os.memfd_create("pynet")
        try:
            os.write(number, text.encode())
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
    else:
        with tempfile.TemporaryDirectory() as folder:  # mode 700
            path = Path(folder, IDENTITY_FILE)
            path.write_text(text, "utf-8")
            yield str(path)
