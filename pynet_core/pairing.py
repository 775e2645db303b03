"""Pairing: two devices that share a short code come to trust each other.  No sockets, no clock.

The guest asks, the host has shown the code.  Four messages:

    guest -> host   Introduction   the guest's certificate and name
    host -> guest   Invitation     the host's, what the guest may be there, SPAKE2's first half
    guest -> host   Attempt        SPAKE2's second half, and a proof of its key
    host -> guest   Outcome        the host's proof

SPAKE2 makes one key of the code and both fingerprints.  Who does not know the
code, or has put a certificate of his own in between, has another key; all he
learns from an attempt is that this one code was wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from spake2 import SPAKE2_A, SPAKE2_B

from pynet_core.certificate import check_certificate
from pynet_core.errors import LinkError
from pynet_core.keys import Identity, fingerprint_of
from pynet_core.trust import Trusted, TrustStore

MAGIC: Final = "pynet pair 1"
CODE_DIGITS: Final = 8  # one guess in 10^8, and three guesses at most
MAX_MESSAGE_BYTES: Final = 2 * 1024  # a certificate is 276 B
GUEST: Final = b"guest"
HOST: Final = b"host"


class PairingFailed(LinkError):
    """The two do not trust each other; the text says why."""


class WrongCode(PairingFailed):
    """The proof of the other end is not of our code.  The code is used up.

    `answer` is for the other end, b'' when there is none.
    """

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.answer = answer


class Introduction(Struct, frozen=True, kw_only=True):
    magic: str
    certificate: bytes
    name: str


class Invitation(Struct, frozen=True, kw_only=True):
    certificate: bytes
    name: str
    role: str  # of the guest, at the host
    half: bytes


class Attempt(Struct, frozen=True, kw_only=True):
    half: bytes
    proof: bytes


class Outcome(Struct, frozen=True, kw_only=True):
    proof: bytes  # empty: the code was wrong


@dataclass(frozen=True, slots=True)
class Paired:
    """Whom a guest may trust now, and as what the host trusts it."""

    gateway: Trusted
    role: str


class PairingHost:
    """The end that shows the code; good for one attempt."""

    def __init__(self, code: str, identity: Identity, name: str, role: str) -> None:
        self._code = code
        self._identity = identity
        self._name = name
        self._role = role
        self._said: list[bytes] = []

    def invite(self, introduction: bytes) -> bytes:
        """The Invitation that answers it.

        Raises:
            PairingFailed: It is no Introduction; the code is still good.
        """
        guest = _decoded(introduction, Introduction)
        if guest.magic != MAGIC:
            raise PairingFailed("the other end speaks another version of pairing")
        self._guest = Trusted(self._role, one_word(guest.name), _checked(guest.certificate, self._identity))
        self._spake = SPAKE2_B(self._code.encode(), *_ends(guest.certificate, self._identity.certificate))
        invitation = _encode(
            Invitation(
                certificate=self._identity.certificate,
                name=self._name,
                role=self._role,
                half=self._spake.start(),
            )
        )
        self._said = [introduction, invitation]
        return invitation

    def judge(self, attempt: bytes) -> tuple[Trusted, bytes]:
        """The guest, who has shown that it knows the code, and the Outcome for it.

        Raises:
            WrongCode: It does not, or somebody stands in between.
            PairingFailed: It is no Attempt; nothing has been learned from us.
        """
        guest = _decoded(attempt, Attempt)
        key = _key(self._spake, guest.half)
        said = [*self._said, guest.half]
        if not hmac.compare_digest(guest.proof, _proof(key, GUEST, said)):
            raise WrongCode("somebody tried a wrong code, or stands in between", _encode(Outcome(proof=b"")))
        return self._guest, _encode(Outcome(proof=_proof(key, HOST, said)))


class PairingGuest:
    """The end where the code is typed; good for one attempt."""

    def __init__(self, code: str, identity: Identity, name: str) -> None:
        self._code = clean_code(code)
        self._identity = identity
        self._introduction = _encode(
            Introduction(magic=MAGIC, certificate=identity.certificate, name=one_word(name))
        )

    def introduce(self) -> bytes:
        return self._introduction

    def attempt(self, invitation: bytes) -> bytes:
        """The Attempt that answers it.

        Raises:
            PairingFailed: It is no Invitation.
        """
        self._host = host = _decoded(invitation, Invitation)
        certificate = _checked(host.certificate, self._identity)
        spake = SPAKE2_A(self._code.encode(), *_ends(self._identity.certificate, certificate))
        half = spake.start()
        self._key = _key(spake, host.half)
        self._said = [self._introduction, invitation, half]
        return _encode(Attempt(half=half, proof=_proof(self._key, GUEST, self._said)))

    def conclude(self, outcome: bytes) -> Paired:
        """Whom to trust from now on.

        Raises:
            WrongCode: The host does not know our code, or somebody stands in between.
            PairingFailed: It is no Outcome.
        """
        if not hmac.compare_digest(_decoded(outcome, Outcome).proof, _proof(self._key, HOST, self._said)):
            raise WrongCode("wrong code, or somebody stands in between; it is used up, ask for a new one")
        host = self._host
        return Paired(Trusted("gateway", one_word(host.name), host.certificate), host.role)


def new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


def spoken(code: str) -> str:
    """The code as people read it: 4821 7730."""
    return f"{code[: CODE_DIGITS // 2]} {code[CODE_DIGITS // 2 :]}"


def clean_code(typed: str) -> str:
    """The code in what somebody has typed.

    Raises:
        ValueError: That is none.
    """
    code = re.sub(r"[\s-]", "", typed)
    if not re.fullmatch(rf"[0-9]{{{CODE_DIGITS}}}", code):
        raise ValueError(f"a code is {CODE_DIGITS} digits, got {typed!r}")
    return code


def one_word(name: str) -> str:
    """A name as lists of trusted devices take it."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")[:56] or "device"


def welcome(store: TrustStore, device: Trusted) -> Trusted:
    """Add a device that has been paired with; its name and role as they are on the list now.

    A name that another device bears gets a number.  A device that we call and
    that may call us keeps being both.

    Raises:
        ConfigError: The list cannot be read or written.
    """
    store.refresh()
    known = store.find(device.fingerprint)
    role = device.role
    if known is not None and role == "gateway":
        role = known.role if known.may_answer else f"gateway+{known.role}"
    elif known is not None and known.may_answer and role != "admin":
        role = f"gateway+{role}"
    others = {other.name for other in store.devices if other.certificate != device.certificate}
    name, number = known.name if known else device.name, 1
    while name in others:
        number += 1
        name = f"{device.name}-{number}"
    added = Trusted(role, name, device.certificate)
    store.add(added)
    return added


_T = TypeVar("_T", bound=Struct)
_encode: Final = msgspec.msgpack.Encoder().encode


def _decoded(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise PairingFailed(f"the other end does not speak pairing: {exc}") from exc


def _checked(certificate: bytes, ours: Identity) -> bytes:
    if certificate == ours.certificate:
        raise PairingFailed("the other end is this device itself")
    try:
        check_certificate(certificate)
    except ValueError as exc:
        raise PairingFailed(f"the other end has no certificate of pynet's: {exc}") from exc
    return certificate


def _ends(guest: bytes, host: bytes) -> tuple[bytes, bytes]:
    return fingerprint_of(guest).encode(), fingerprint_of(host).encode()


def _key(spake: SPAKE2_A | SPAKE2_B, half: bytes) -> bytes:
    try:
        key: bytes = spake.finish(half)
    except Exception as exc:  # not our code, and it has no common base for what it raises
        raise PairingFailed(f"the other end breaks SPAKE2: {exc}") from exc
    return key


def _proof(key: bytes, whose: bytes, said: list[bytes]) -> bytes:
    """That its maker has this key and has heard and said all this."""
    digest = hashlib.sha256(whose)
    for message in said:
        digest.update(hashlib.sha256(message).digest())
    return hmac.digest(key, digest.digest(), "sha256")
