"""pynet_core.tls: who comes through the handshake, what each end is told, what the cipher does on the way.

The channel's contract is in test_channel.py, what a gateway makes of it in test_admission.py.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pynet_core.channel import PlainChannel
from pynet_core.clock import Deadline
from pynet_core.errors import DeadlineExceeded, LinkClosed, Refused, RemoteProtocolError
from pynet_core.keys import Identity
from pynet_core.session import Session
from pynet_core.tls import Credentials, SpeaksPlain, TlsChannel, device_credentials, given_credentials
from pynet_core.trust import Trusted, TrustStore
from pynet_core.wire import Frame, Kind, encode
from tests.core.loopback import PATIENCE_S
from tests.core.trusting import CAR, LAPTOP, STRANGER, TABLET, of_car, of_laptop, secured, trusting

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    yield ours, theirs
    ours.close()
    theirs.close()


def outcome_of(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as exc:
        return exc


def meet(ends: Ends, controller: Credentials, gateway: Credentials) -> tuple[Any, Any]:
    """What comes of a handshake and a HELLO: at the controller, at the gateway."""
    ours, theirs = TlsChannel(ends[0], Session("controller")), TlsChannel(ends[1], Session("gateway"))
    at_gateway: list[Any] = []

    def answer() -> Any:
        deadline = Deadline(PATIENCE_S, "HELLO")
        assert theirs.begins_with_tls(deadline)
        fingerprint = theirs.shake_hands(gateway, deadline, at_gateway=True)
        theirs.receive(PATIENCE_S)
        theirs.send(Frame(Kind.WELCOME))
        return fingerprint

    def ask() -> Any:
        fingerprint = ours.shake_hands(controller, Deadline(PATIENCE_S, "WELCOME"), at_gateway=False)
        ours.send(Frame(Kind.HELLO))
        ours.receive(PATIENCE_S)
        return fingerprint

    def answer_and_close() -> None:
        at_gateway.append(outcome_of(answer))
        theirs.close()

    answering = threading.Thread(target=answer_and_close)
    answering.start()
    at_controller = outcome_of(ask)
    ours.close()
    answering.join(PATIENCE_S)
    return at_controller, at_gateway[0]


def refused(outcome: Any, words: str) -> bool:
    return isinstance(outcome, Refused) and outcome.code == 401 and words in outcome.reason


# Who comes through


@pytest.mark.parametrize("role", ["viewer", "driver", "admin", "gateway+viewer"])
def test_two_devices_that_trust_each_other_know_each_other_by_fingerprint(ends: Ends, role: str) -> None:
    assert meet(ends, of_laptop(), of_car(LAPTOP=role)) == (CAR.fingerprint, LAPTOP.fingerprint)


@pytest.mark.parametrize("role", ["admin", "gateway+viewer", "gateway+driver"])
def test_a_device_that_calls_us_may_be_one_that_we_call_too(ends: Ends, role: str) -> None:
    laptop = Credentials(LAPTOP, trusting(CAR=role))
    assert meet(ends, laptop, of_car()) == (CAR.fingerprint, LAPTOP.fingerprint)


def test_a_device_is_told_that_the_gateway_does_not_know_it_and_by_which_name_it_should(ends: Ends) -> None:
    stranger = Credentials(STRANGER, trusting(CAR="gateway"))
    at_controller, at_gateway = meet(ends, stranger, of_car())
    assert refused(
        at_controller, f"this device, fingerprint {STRANGER.fingerprint}, is not trusted there: pair"
    )
    assert refused(at_gateway, "the device at the other end is not trusted here")


def test_a_gateway_that_is_not_trusted_gets_no_hello(ends: Ends) -> None:
    laptop = Credentials(LAPTOP, trusting(TABLET="gateway"))
    at_controller, at_gateway = meet(ends, laptop, of_car())
    assert refused(at_controller, "the device at the other end is not trusted here: pair the two")
    assert refused(at_gateway, f"this device, fingerprint {CAR.fingerprint}, is not trusted there")


@pytest.mark.parametrize("role", ["viewer", "driver"])
def test_a_device_that_may_call_us_is_not_believed_when_it_answers_as_a_gateway(
    ends: Ends, role: str
) -> None:
    laptop = Credentials(LAPTOP, trusting(CAR=role))
    assert refused(meet(ends, laptop, of_car())[0], "not trusted here")


def test_a_gateway_of_ours_may_not_call_us(ends: Ends) -> None:
    assert refused(meet(ends, of_laptop(), of_car(LAPTOP="gateway"))[1], "not trusted here")


def test_devices_with_one_identity_trust_each_other_without_any_list(ends: Ends) -> None:
    both = [Credentials(CAR, TrustStore()) for _ in range(2)]
    assert meet(ends, *both) == (CAR.fingerprint, CAR.fingerprint)
    found = both[0].find(CAR.fingerprint, at_gateway=True)
    assert found is not None
    assert found.role == "admin"


def test_a_list_of_a_hundred_devices_lets_each_of_them_in_and_nobody_else(ends: Ends) -> None:
    devices = [Trusted("viewer", f"d{n}", Identity.new().certificate) for n in range(100)]
    car = Credentials(CAR, TrustStore(devices=[*devices, Trusted("driver", "laptop", LAPTOP.certificate)]))
    assert meet(ends, of_laptop(), car) == (CAR.fingerprint, LAPTOP.fingerprint)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        again = socket.create_connection(listener.getsockname()), listener.accept()[0]
    assert refused(meet(again, Credentials(TABLET, trusting(CAR="gateway")), car)[1], "not trusted here")


def shakes_hands(ends: Ends, context: ssl.SSLContext) -> tuple[Any, Any]:
    """A stranger's TLS against the car's: its outcome, the car's."""
    at_gateway: list[Any] = []
    car = TlsChannel(ends[1], Session("gateway"))

    def answer() -> Any:
        deadline = Deadline(PATIENCE_S, "HELLO")
        assert car.begins_with_tls(deadline)
        return car.shake_hands(of_car(), deadline, at_gateway=True)

    answering = threading.Thread(target=lambda: at_gateway.append(outcome_of(answer)))
    answering.start()

    def ask() -> bytes:
        with context.wrap_socket(ends[0], server_hostname="car") as sock:
            return sock.recv(1)

    at_controller = outcome_of(ask)
    ends[0].close()
    answering.join(PATIENCE_S)
    return at_controller, at_gateway[0]


def any_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_peer_without_a_certificate_is_refused(ends: Ends) -> None:
    at_controller, at_gateway = shakes_hands(ends, any_context())
    assert refused(at_gateway, "not trusted here")
    assert "certificate required" in str(at_controller)


def test_a_certificate_signed_by_a_trusted_device_is_not_that_device(ends: Ends, tmp_path: Path) -> None:
    forged = _signed_by(LAPTOP)
    context = any_context()
    (tmp_path / "forged.pem").write_text(forged)
    context.load_cert_chain(tmp_path / "forged.pem")
    assert refused(shakes_hands(ends, context)[1], "not trusted here")


def test_tls_1_2_is_not_spoken(ends: Ends) -> None:
    context = any_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    LAPTOP.put_into(context)
    assert isinstance(shakes_hands(ends, context)[1], RemoteProtocolError)


def test_strangers_do_not_learn_whom_a_gateway_trusts() -> None:
    """It could name them when it asks for a certificate: what it says would grow with the list."""
    said_bytes = []
    for count in (0, 30):
        devices = [Trusted("viewer", f"d{n}", Identity.new().certificate) for n in range(count)]
        context = Credentials(CAR, TrustStore(devices=devices)).context(at_gateway=True)
        hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            any_context().wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
        with pytest.raises(ssl.SSLWantReadError):
            context.wrap_bio(hello, answer, server_side=True).do_handshake()
        said_bytes.append(answer.pending)
    assert said_bytes[0] == said_bytes[1] > 500


# Changes of the list


def test_who_is_struck_off_does_not_come_in_again_and_who_is_added_does(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "trusted")
    car = Credentials(CAR, store)
    context = car.context(at_gateway=True)
    assert car.context(at_gateway=True) is context
    TrustStore(tmp_path / "trusted").add(Trusted("driver", "laptop", LAPTOP.certificate))
    assert car.context(at_gateway=True) is not context
    for listed in (True, False):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ends = socket.create_connection(listener.getsockname()), listener.accept()[0]
        at_controller, at_gateway = meet(ends, of_laptop(), car)
        assert (at_gateway == LAPTOP.fingerprint) is listed
        assert refused(at_controller, "is not trusted there") is not listed
        if listed:
            TrustStore(tmp_path / "trusted").remove("laptop")


def test_no_session_can_be_resumed_for_that_would_bring_back_the_revoked(ends: Ends) -> None:
    context = any_context()
    LAPTOP.put_into(context)
    gateway = TlsChannel(ends[1], Session("gateway"))

    def answer() -> None:
        gateway.begins_with_tls(Deadline(PATIENCE_S, ""))
        gateway.shake_hands(of_car(), Deadline(PATIENCE_S, ""), at_gateway=True)
        gateway._encrypt(gateway._tls, b"x")  # type: ignore[arg-type]

    answering = threading.Thread(target=answer)
    answering.start()
    with context.wrap_socket(ends[0]) as sock:
        assert sock.recv(1) == b"x", "tickets would have come before it"
        answering.join()
        session = sock.session
        assert session is None or not session.has_ticket


# No TLS, no answer, no end


def test_a_frame_is_told_from_tls_and_can_be_received(ends: Ends) -> None:
    for channel in (PlainChannel(ends[1], Session("gateway")), TlsChannel(ends[1], Session("gateway"))):
        ends[0].sendall(encode(Frame(Kind.HELLO, 1, bytes(790))))  # a length of 0x316: looks most like TLS
        assert not channel.begins_with_tls(Deadline(PATIENCE_S, "HELLO"))
        assert channel.receive(PATIENCE_S) == Frame(Kind.HELLO, 1, bytes(790))


def test_a_controller_hears_what_a_gateway_without_tls_answers(ends: Ends) -> None:
    controller = TlsChannel(ends[0], Session("controller"))
    ends[1].sendall(encode(Frame(Kind.REFUSAL, 426)))
    with pytest.raises(SpeaksPlain):
        controller.shake_hands(of_laptop(), Deadline(PATIENCE_S, "WELCOME"), at_gateway=False)
    assert controller.receive(PATIENCE_S).ident == 426


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03", b"\x16\x03\x01\x02\x00\x01"])
def test_a_peer_that_stops_in_the_handshake_costs_the_deadline_and_no_more(ends: Ends, first: bytes) -> None:
    gateway = TlsChannel(ends[1], Session("gateway"))
    ends[0].sendall(first)
    began = time.monotonic()

    def answer() -> None:
        deadline = Deadline(0.2, "HELLO")
        if gateway.begins_with_tls(deadline):
            gateway.shake_hands(of_car(), deadline, at_gateway=True)

    with pytest.raises(DeadlineExceeded, match=r"HELLO: nothing within 0\.2 s"):
        answer()
    assert time.monotonic() - began < PATIENCE_S


def test_a_peer_that_drips_its_handshake_does_not_outlast_the_deadline(ends: Ends) -> None:
    gateway = TlsChannel(ends[1], Session("gateway"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        any_context().wrap_bio(incoming, outgoing).do_handshake()
    words, enough = outgoing.read(), threading.Event()

    def drip() -> None:
        for at in range(len(words)):
            if enough.wait(0.01):
                return
            ends[0].sendall(words[at : at + 1])

    dripping = threading.Thread(target=drip)
    dripping.start()
    deadline = Deadline(0.3, "HELLO")
    with pytest.raises(DeadlineExceeded):
        gateway.begins_with_tls(deadline)
        gateway.shake_hands(of_car(), deadline, at_gateway=True)
    enough.set()
    dripping.join()


@pytest.mark.parametrize("cut", [0, 2, 3, 100])
def test_a_peer_that_closes_in_the_handshake_is_gone(ends: Ends, cut: int) -> None:
    gateway = TlsChannel(ends[1], Session("gateway"))
    ends[0].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".ljust(200, b"x")[:cut])
    ends[0].close()

    def answer() -> None:
        deadline = Deadline(PATIENCE_S, "HELLO")
        if gateway.begins_with_tls(deadline):
            gateway.shake_hands(of_car(), deadline, at_gateway=True)

    with pytest.raises((LinkClosed, RemoteProtocolError)):
        answer()


# Under the cipher


def test_hello_that_comes_in_one_segment_with_the_end_of_the_handshake_is_received(ends: Ends) -> None:
    gateway = TlsChannel(ends[1], Session("gateway"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    controller = of_laptop().context(at_gateway=False).wrap_bio(incoming, outgoing)
    answering = threading.Thread(
        target=lambda: (
            gateway.begins_with_tls(Deadline(PATIENCE_S, "")),
            gateway.shake_hands(of_car(), Deadline(PATIENCE_S, ""), at_gateway=True),
        )
    )
    answering.start()
    with pytest.raises(ssl.SSLWantReadError):
        controller.do_handshake()
    ends[0].sendall(outgoing.read())
    while True:
        incoming.write(ends[0].recv(65536))
        try:
            controller.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    controller.write(encode(Frame(Kind.HELLO, 1, b"at once")))
    ends[0].sendall(outgoing.read())
    answering.join(PATIENCE_S)
    assert gateway.receive(PATIENCE_S).body == b"at once"


def test_nothing_of_a_frame_can_be_read_on_the_wire(ends: Ends) -> None:
    controller, _ = secured(*ends)
    seen: list[bytes] = []

    class Tap:
        def sendall(self, data: bytes) -> None:
            seen.append(data)

    controller._sock = Tap()  # type: ignore[assignment]
    controller.send(Frame(Kind.HELLO, 1, b"find this" * 5000))
    assert len(b"".join(seen)) > 45_000
    assert b"find this" not in b"".join(seen)


@pytest.mark.parametrize("at", [0, 5, 40, -1])
def test_a_byte_changed_on_the_way_ends_the_connection_and_is_never_taken(ends: Ends, at: int) -> None:
    controller, gateway = secured(*ends)
    sealed: list[bytes] = []

    class Tap:
        def sendall(self, data: bytes) -> None:
            sealed.append(data)

    controller._sock, sock = Tap(), controller._sock  # type: ignore[assignment]
    controller.send(Frame(Kind.HELLO, 1, bytes(100)))
    data = bytearray(sealed[0])
    data[at] ^= 1
    sock.sendall(bytes(data))
    sock.close()
    with pytest.raises((RemoteProtocolError, LinkClosed)):
        gateway.receive(PATIENCE_S)


def test_the_end_of_tls_without_the_end_of_tcp_is_the_end(ends: Ends) -> None:
    controller, gateway = secured(*ends)
    assert controller._tls is not None
    controller.send(Frame(Kind.HELLO))
    with pytest.raises(ssl.SSLWantReadError):
        controller._tls.unwrap()
    controller._put(controller._outgoing.read())
    assert gateway.receive(PATIENCE_S).kind == Kind.HELLO
    with pytest.raises(LinkClosed, match="the peer closed the connection"):
        gateway.receive(PATIENCE_S)


def test_two_threads_in_one_connection_do_not_crash_the_process(ends: Ends) -> None:
    controller, gateway = secured(*ends)
    controller.send(Frame(Kind.HELLO))
    gateway.receive(PATIENCE_S)
    gateway.opened()
    gateway.send(Frame(Kind.WELCOME))
    controller.receive(PATIENCE_S)
    controller.opened()
    controller.send(Frame(Kind.STREAM))
    gateway.receive(PATIENCE_S)

    def flood() -> None:
        for ident in range(3000):
            gateway.send(Frame(Kind.ITEM, ident, bytes(100)))
        gateway.send(Frame(Kind.END))

    flooding = threading.Thread(target=flood)
    flooding.start()
    puts = 0
    while controller.receive(PATIENCE_S).kind != Kind.END:
        if gateway.poll() is not None:  # the flooding thread's channel, in this one
            puts += 1
    flooding.join(PATIENCE_S)
    assert not flooding.is_alive()
    assert puts == 0


# Which credentials


def test_a_program_s_own_identity_goes_before_pynet_key_and_that_before_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path))
    monkeypatch.delenv("PYNET_KEY", raising=False)
    assert given_credentials(None, None) is None
    monkeypatch.setenv("PYNET_KEY", "a secret of many letters")
    shared = given_credentials(None, None)
    assert shared is not None
    assert shared.trust.devices == ()
    given = given_credentials(LAPTOP, None)
    assert given is not None
    assert given.identity is LAPTOP
    assert given.trust.path == tmp_path / "trusted"


def test_a_device_s_credentials_are_what_its_folder_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path))
    assert device_credentials(None) is None
    LAPTOP.save(tmp_path)
    TrustStore(tmp_path / "trusted").add(Trusted("gateway", "car", CAR.certificate))
    found = device_credentials(None)
    assert found is not None
    assert (found.identity, found.trust.devices[0].name) == (LAPTOP, "car")


def _signed_by(identity: Identity) -> str:
    """Another key's certificate, with the trusted device as its issuer."""
    issuer_key = serialization.load_pem_private_key(identity.pem.encode(), None)
    assert isinstance(issuer_key, Ed25519PrivateKey)
    key = Ed25519PrivateKey.generate()
    issuer = x509.load_der_x509_certificate(identity.certificate)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "forged")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(1970, 1, 1))
        .not_valid_after(datetime.datetime(2900, 1, 1))
        .sign(issuer_key, None)
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (pem + certificate.public_bytes(serialization.Encoding.PEM)).decode() + ssl.DER_cert_to_PEM_cert(
        identity.certificate
    )
