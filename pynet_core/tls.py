"""TLS 1.3 in which each end proves who it is: whom we believe, and the channel.

Python's ssl has no callback that could look at a certificate.  So the trusted
ones, self-signed as they are, are OpenSSL's only roots: who shows another does
not come through the handshake.  The list is asked once more after it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Final, cast

from pynet_core.channel import RECEIVE_BYTES, PlainChannel, words
from pynet_core.clock import Deadline
from pynet_core.errors import ConfigError, LinkClosed, PynetError, Refused, RemoteProtocolError
from pynet_core.keys import Identity, fingerprint_of, home, secret_identity
from pynet_core.rawfile import Drain, landed
from pynet_core.session import Session
from pynet_core.transfer.positions import read_at
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore
from pynet_core.wire import Frame, encode_header

WRITE_BYTES: Final = 256 * 1024  # encrypted at a time: a large item is not in memory twice
# At 256 KB the extra copies cost more in fresh pages than they save in calls.
RECEIVE_MAX_BYTES: Final = 64 * 1024
RECORD_BYTES: Final = 16 * 1024  # what TLS puts into one

# OpenSSL's words for what the other end said of our certificate, or of having seen none.
_NOT_BELIEVED: Final = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    }
)
_NO_CERTIFICATE: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


class SpeaksPlain(RemoteProtocolError):
    """The peer does not speak TLS."""


class Credentials:
    """Who we are and whom we believe.  Any thread.

    A device believes itself: whoever shows our own certificate is admin.
    PYNET_KEY needs no more, for there all ends have one identity.
    """

    def __init__(self, identity: Identity, trust: TrustStore) -> None:
        self.identity = identity
        self.trust = trust
        self.own = Trusted("admin", "itself", identity.certificate)
        self._lock = threading.Lock()
        self._made: dict[bool, tuple[int, ssl.SSLContext]] = {}

    def find(self, fingerprint: str, *, at_gateway: bool) -> Trusted | None:
        """Who this is, if by the list as it was last read it may call us, or answer us."""
        if fingerprint == self.own.fingerprint:
            return self.own
        device = self.trust.find(fingerprint)
        return device if device and _is_believed(device, at_gateway) else None

    def context(self, *, at_gateway: bool) -> ssl.SSLContext:
        """What a handshake at this end takes, by the list as it is now.

        Costs 1 ms when that has changed, else next to nothing.
        """
        self.trust.refresh()
        version = self.trust.version  # before the devices: those who come meanwhile count next time
        with self._lock:
            made = self._made.get(at_gateway)
            if made is None or made[0] != version:
                made = self._made[at_gateway] = version, self._new_context(at_gateway)
            return made[1]

    def _new_context(self, at_gateway: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if at_gateway else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # certificates name keys, not hosts
        context.verify_mode = ssl.CERT_REQUIRED
        if at_gateway:
            context.num_tickets = 0  # resuming would bring back who has been struck off meanwhile
        self.identity.put_into(context)
        roots = {self.own.certificate}
        roots.update(each.certificate for each in self.trust.devices if _is_believed(each, at_gateway))
        context.load_verify_locations(cadata=b"".join(roots))
        return context


def _is_believed(device: Trusted, at_gateway: bool) -> bool:
    return device.may_call if at_gateway else device.may_answer


def given_credentials(identity: Identity | None, trust: TrustStore | None) -> Credentials | None:
    """Of what a program has given, else of PYNET_KEY, else None.

    Raises:
        ConfigError: PYNET_KEY or the list of trusted devices is not fit for use, or a list alone was given.
    """
    if identity is not None:
        return Credentials(identity, trust or TrustStore(home() / TRUST_FILE))
    secret = secret_identity()
    if secret is not None:
        return Credentials(secret, trust or TrustStore())
    if trust is None:
        return None
    credentials = device_credentials(trust)
    if credentials is None:
        raise ConfigError("trust was given, but no identity: make one with `pynet key new`, or give that too")
    return credentials


def device_credentials(trust: TrustStore | None) -> Credentials | None:
    """Of this device's own identity and list; None when it has no identity.

    Raises:
        ConfigError: One of them is not fit for use.
    """
    folder = home()
    identity = Identity.load(folder)
    return None if identity is None else Credentials(identity, trust or TrustStore(folder / TRUST_FILE))


class TlsChannel(PlainChannel):
    """A channel that is plain until `shake_hands`.

    The cipher works on memory, the socket is ours: polls, options, deadlines
    and `abort` are those of a plain one.
    """

    def __init__(self, sock: socket.socket, session: Session) -> None:
        super().__init__(sock, session)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._ended: ssl.SSLError | None = None
        self._own = ""  # our fingerprint
        # Two threads in one OpenSSL connection crash the process, and a pair that is used wrongly has two.
        # Never held while waiting for the network.
        self._using = threading.Lock()

    def shake_hands(self, credentials: Credentials, deadline: Deadline, *, at_gateway: bool) -> str:
        """Prove each end to the other; returns the fingerprint of the peer's certificate.

        A gateway has asked `begins_with_tls` before.

        Raises:
            Refused: 401, one end does not believe the other.
            SpeaksPlain: It is no TLS; what the peer has sent can be received as frames.
            RemoteProtocolError: The peer's TLS is not ours.
            DeadlineExceeded, LinkClosed: Too slow, or gone.
        """
        self._own = credentials.own.fingerprint
        context = credentials.context(at_gateway=at_gateway)
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=at_gateway)
        try:
            if not at_gateway:
                self._step(tls)
                if not self.begins_with_tls(deadline):
                    raise SpeaksPlain("the peer does not speak TLS")
            while not self._step(tls):
                data = self._recv(RECORD_BYTES, deadline)
                if not data:
                    raise LinkClosed("the peer closed the connection in the handshake")
                self._incoming.write(data)
        except ssl.SSLError as exc:
            if at_gateway:
                self.say_last(deadline)
            raise self._translated(exc) from exc
        certificate = tls.getpeercert(binary_form=True)
        assert certificate is not None, "CERT_REQUIRED"
        self._tls, self._sealed, self.bare = tls, True, None
        self._decrypt(tls)  # what came along with the end of the handshake
        return fingerprint_of(certificate)

    def _step(self, tls: ssl.SSLObject) -> bool:
        """Go on with what has come; True when both ends have proved who they are."""
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        except ssl.SSLError:
            with contextlib.suppress(LinkClosed):
                self._put(self._outgoing.read())  # tells the peer why
            raise
        self._put(self._outgoing.read())
        return done

    def _take_tls(self, data: bytes) -> None:
        self._incoming.write(data)

    def send(self, frame: Frame) -> None:
        tls = self._tls
        if tls is None:
            super().send(frame)
            return
        header = encode_header(frame, len(frame.body))
        self.session.send(frame)
        body = memoryview(frame.body)
        self._encrypt(tls, header + body[:WRITE_BYTES])
        for start in range(WRITE_BYTES, len(body), WRITE_BYTES):
            self._encrypt(tls, body[start : start + WRITE_BYTES])

    def send_raw(self, kind: int, fd: int, offset: int, length: int) -> int:
        if self._tls is None:
            return super().send_raw(kind, fd, offset, length)
        data = read_at(fd, length, offset)
        self.send(Frame(kind, offset, data + bytes(length - len(data))))
        return len(data)

    def receive_raw(
        self, kind: int, land: Callable[[int, int], int], drain: Drain
    ) -> tuple[Frame, int, OSError | None]:
        if self._tls is None:
            return super().receive_raw(kind, land, drain)
        return landed(self.receive(), kind, land)

    def _encrypt(self, tls: ssl.SSLObject, data: bytes | memoryview) -> None:
        try:
            with self._using:
                tls.write(data)
                sealed = self._outgoing.read()
        except ssl.SSLError as exc:
            raise LinkClosed(f"connection lost while sending: {_reason(exc)}") from exc
        self._put(sealed)

    def _read(self, deadline: Deadline) -> None:
        size = RECEIVE_MAX_BYTES if self._much_comes else RECEIVE_BYTES
        data = self._recv(size, deadline)
        # A full read means that more waits.  A short one goes back to small.
        self._much_comes = len(data) >= RECEIVE_BYTES
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        if self._tls is None or not data:
            super()._feed(data)
            return
        self._incoming.write(data)
        self._decrypt(self._tls)

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        with self._using:
            try:
                while self._ended is None and (self._incoming.pending or tls.pending()):
                    space = self.decoder.space()
                    if count := cast(int, tls.read(len(space), space)):  # so it is, given a buffer
                        self.decoder.filled(count)
                    else:
                        self._ended = ssl.SSLZeroReturnError()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as exc:
                self._ended = exc
            reply = self._outgoing.read()  # to a key update
        if reply:
            self._put(reply)

    def _next(self) -> Frame | None:
        frame = super()._next()
        if frame is None and self._ended is not None:  # only now: what came before it counts
            if isinstance(self._ended, ssl.SSLZeroReturnError):
                super()._feed(b"")
            raise self._translated(self._ended)
        return frame

    def _put(self, sealed: bytes) -> None:
        send = self._sock.sendall if self._pacer is None else self._pacer.send
        try:
            send(sealed)
        except OSError as exc:
            raise LinkClosed(f"connection lost while sending: {words(exc)}") from exc

    def _translated(self, exc: ssl.SSLError) -> PynetError:
        if isinstance(exc, ssl.SSLCertVerificationError) or exc.reason == _NO_CERTIFICATE:
            return Refused(401, "the device at the other end is not trusted here: pair the two")
        if exc.reason in _NOT_BELIEVED:
            return Refused(401, f"this device, fingerprint {self._own}, is not trusted there: pair the two")
        return RemoteProtocolError(f"the peer broke TLS: {_reason(exc)}")


def _reason(exc: ssl.SSLError) -> str:
    return (exc.reason or str(exc)).replace("_", " ").lower()
