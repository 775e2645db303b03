"""The certificate of a key: made, and told from anything else.

It is self-signed, never expires and says nothing but "the holder of this key":
who that is stands in the lists of those who trust it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

# No expiry (RFC 5280): a Pi without a clock battery boots in the past.  Trust ends by striking a name out.
_FROM: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SIGNED_BY: Final = bytes.fromhex("30 05 06 03 2b 65 70 03 41 00")  # DER: Ed25519, 64 bytes follow


def make_certificate(seed: bytes) -> tuple[str, bytes]:
    """The Ed25519 key of these 32 bytes with its certificate (PEM), and the certificate alone (DER).

    The same seed gives the same bytes everywhere: two scripts that share a secret trust each other by them.
    """
    key = Ed25519PrivateKey.from_private_bytes(seed)
    name = _name_of(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .sign(key, None)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (pem + certificate.public_bytes(Encoding.PEM)).decode(), certificate.public_bytes(Encoding.DER)


def check_certificate(certificate: bytes) -> None:
    """Make sure that this (DER) is a certificate as `make_certificate` makes it.

    Raises:
        ValueError: It is something else.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.public_key()
        names = {parsed.subject, parsed.issuer}
    except Exception as exc:  # not our code, and it has no common base for what it raises
        raise ValueError(f"it cannot be read: {exc}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"its key is {type(key).__name__}, not Ed25519")
    # OpenSSL looks certificates up by name: of two that bear the same one, neither is let in any more.
    if names != {_name_of(key)}:
        raise ValueError("it does not bear the name of its key")
    if certificate[: -len(parsed.signature)][-len(_SIGNED_BY) :] != _SIGNED_BY:  # no signature covers this
        raise ValueError("it does not say that Ed25519 has signed it")
    try:
        key.verify(parsed.signature, parsed.tbs_certificate_bytes)
    except InvalidSignature as exc:
        raise ValueError("its key has not signed it") from exc


def _name_of(key: Ed25519PublicKey) -> x509.Name:
    digits = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"pynet {digits}")])
