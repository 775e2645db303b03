"""pynet_core.keys and certificate: an identity is made, kept, read back, and never shown to others."""

from __future__ import annotations

import hashlib
import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from pynet_core import keys
from pynet_core.certificate import check_certificate
from pynet_core.errors import ConfigError
from pynet_core.keys import IDENTITY_FILE, Identity, home, secret_identity

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes")
SECRET = "correct horse battery staple"
# Of SECRET.  Scripts on two machines trust each other by it: another pynet, or another version of the
# cryptography package, must make the same certificate to the last byte.
FINGERPRINT = "d2eabc2b90ff282f195722398fd14b01988814a261a439836e9e3d10dcc3874e"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.new()


# Making


def test_two_identities_are_never_the_same_and_never_bear_the_same_name(identity: Identity) -> None:
    other = Identity.new()
    assert other.fingerprint != identity.fingerprint
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2)]
    for each, context in zip((identity, other), contexts, strict=True):
        each.put_into(context)
        check_certificate(each.certificate)
    assert b"pynet" in identity.certificate


def test_a_fingerprint_is_the_sha256_of_the_certificate(identity: Identity) -> None:
    assert identity.fingerprint == hashlib.sha256(identity.certificate).hexdigest()


def test_the_key_is_not_in_what_logs_and_tracebacks_show(identity: Identity) -> None:
    assert "PRIVATE" in identity.pem
    assert "PRIVATE" not in repr(identity)
    assert identity.pem.split()[3] not in repr(identity)


def test_one_secret_makes_one_certificate_on_every_machine_and_in_every_version() -> None:
    assert Identity.from_secret(SECRET).fingerprint == FINGERPRINT
    assert Identity.from_secret(SECRET + "!").fingerprint != FINGERPRINT


@pytest.mark.parametrize("secret", ["", "x", "fifteen letters"])
def test_a_secret_that_can_be_guessed_is_refused_with_a_way_to_a_better_one(secret: str) -> None:
    with pytest.raises(ConfigError, match=f"PYNET_KEY has {len(secret)} characters.*secrets.token_urlsafe"):
        Identity.from_secret(secret)


def test_pynet_key_gives_an_identity_and_its_absence_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYNET_KEY", raising=False)
    assert secret_identity() is None
    monkeypatch.setenv("PYNET_KEY", "")
    assert secret_identity() is None
    monkeypatch.setenv("PYNET_KEY", SECRET)
    given = secret_identity()
    assert given is not None
    assert given.fingerprint == FINGERPRINT
    assert secret_identity() is given, "worked out once"


# Keeping


def test_what_was_saved_is_loaded(identity: Identity, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    assert Identity.load(folder) is None
    assert identity.save(folder) == folder / IDENTITY_FILE
    assert Identity.load(folder) == identity


@posix_only
def test_only_the_owner_can_read_it(identity: Identity, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    before = os.umask(0)
    try:
        path = identity.save(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_identity_that_others_may_trust_is_not_overwritten(identity: Identity, tmp_path: Path) -> None:
    identity.save(tmp_path)
    with pytest.raises(ConfigError, match=f"{IDENTITY_FILE}: there is one already"):
        Identity.new().save(tmp_path)
    assert Identity.load(tmp_path) == identity


def test_a_folder_that_cannot_be_written_is_a_clear_error(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=f"{IDENTITY_FILE}: cannot be written: "):
        identity.save(tmp_path / "file")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.write_guarded(tmp_path / "a", "old")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"a: cannot be written: .*No space left"):
        keys.write_guarded(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(
    identity: Identity, tmp_path: Path, mode: int
) -> None:
    path = identity.save(tmp_path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"can be read by others \(mode {mode:o}\): chmod 600 {path}"):
        Identity.load(tmp_path)


def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).mkdir()
    with pytest.raises(ConfigError, match=f"{IDENTITY_FILE}: cannot be read: "):
        Identity.load(tmp_path)


@pytest.mark.parametrize(
    "damage", ["empty", "cut", "no key", "no certificate", "another's key", "not text", "encrypted"]
)
def test_a_damaged_file_is_a_clear_error(identity: Identity, tmp_path: Path, damage: str) -> None:
    path = identity.save(tmp_path)
    start = identity.pem.index(ssl.PEM_HEADER)
    damaged = {
        "empty": b"",
        "cut": identity.pem[:-40].encode(),
        "no key": identity.pem[start:].encode(),
        "no certificate": identity.pem[:start].encode(),
        "another's key": Identity.new().pem[:start].encode() + identity.pem[start:].encode(),
        "not text": b"\xff\xfe",
        "encrypted": _encrypted(identity.pem[:start]) + identity.pem[start:].encode(),
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(ConfigError, match=f"{IDENTITY_FILE}: (damaged|cannot be read)"):
        Identity.load(tmp_path)


def _encrypted(pem: str) -> bytes:
    key = serialization.load_pem_private_key(pem.encode(), None)
    password = serialization.BestAvailableEncryption(b"password")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, password)


# Where


def test_pynet_home_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path / "x"))
    assert home() == tmp_path / "x"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the XDG folders")
def test_without_it_the_folder_is_where_settings_belong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYNET_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".config" / "pynet"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert home() == tmp_path / "config" / "pynet"


# Certificates of others


def test_garbage_is_no_certificate() -> None:
    for garbage in (b"", b"x" * 300):
        with pytest.raises(ValueError):
            check_certificate(garbage)


def test_a_certificate_that_bears_the_name_of_another_key_is_refused(identity: Identity) -> None:
    digits = identity.certificate[identity.certificate.index(b"pynet ") :][:38]
    forged = Identity.new().certificate
    own = forged[forged.index(b"pynet ") :][:38]
    with pytest.raises(ValueError, match="does not bear the name of its key"):
        check_certificate(forged.replace(own, digits))


def test_a_certificate_that_its_key_has_not_signed_is_refused(identity: Identity) -> None:
    with pytest.raises(ValueError, match="its key has not signed it"):
        check_certificate(identity.certificate[:-1] + bytes([identity.certificate[-1] ^ 1]))


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_certificate_with_any_byte_changed_is_refused(identity: Identity, mask: int) -> None:
    for at in range(len(identity.certificate)):
        certificate = bytearray(identity.certificate)
        certificate[at] ^= mask
        with pytest.raises(ValueError, match=r"^it"):
            check_certificate(bytes(certificate))


@pytest.mark.slow
def test_importing_pynet_does_not_import_what_only_makers_of_keys_need() -> None:
    program = "import sys, pynet; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
