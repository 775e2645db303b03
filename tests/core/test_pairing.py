"""pynet_core.pairing and pairing_link: who knows the code is trusted, nobody else, whoever is in between."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_core.cli import pynet
from pynet_core.controller import Controller
from pynet_core.errors import ConfigError, DeadlineExceeded, LinkError
from pynet_core.keys import Identity
from pynet_core.pairing import (
    Paired,
    PairingFailed,
    PairingGuest,
    PairingHost,
    WrongCode,
    clean_code,
    new_code,
    one_word,
    spoken,
    welcome,
)
from pynet_core.pairing_link import MAX_GUESSES, ask_pairing, host_pairing
from pynet_core.trust import Trusted, TrustStore
from tests.core.loopback import PATIENCE_S, eventually, serving
from tests.core.shell import json_keys, started
from tests.core.trusting import CAR, LAPTOP, STRANGER, TABLET

CODE = "48217730"


def a_host(code: str = CODE, identity: Identity = CAR) -> PairingHost:
    return PairingHost(code, identity, "car", "driver")


def a_guest(code: str = CODE, identity: Identity = LAPTOP) -> PairingGuest:
    return PairingGuest(code, identity, "laptop")


Between = Callable[[int, bytes], bytes]


def talk(
    host: PairingHost, guest: PairingGuest, between: Between = lambda _, data: data
) -> tuple[Trusted, Paired]:
    """The four messages, each through whoever stands in between: whom the host and the guest trust now."""
    invitation = host.invite(between(1, guest.introduce()))
    attempt = guest.attempt(between(2, invitation))
    device, outcome = host.judge(between(3, attempt))
    return device, guest.conclude(between(4, outcome))


# The code


def test_two_that_share_the_code_trust_each_other() -> None:
    device, paired = talk(a_host(), a_guest())
    assert device == Trusted("driver", "laptop", LAPTOP.certificate)
    assert paired == Paired(Trusted("gateway", "car", CAR.certificate), "driver")


def test_a_wrong_code_is_told_at_both_ends_and_nobody_is_trusted() -> None:
    host, guest = a_host(), a_guest("48217731")
    attempt = guest.attempt(host.invite(guest.introduce()))
    with pytest.raises(WrongCode, match="a wrong code, or stands in between") as caught:
        host.judge(attempt)
    with pytest.raises(WrongCode, match="wrong code, or somebody stands in between; it is used up"):
        guest.conclude(caught.value.answer)


def test_a_host_that_does_not_know_the_code_cannot_pose_as_one_that_does() -> None:
    """It may pretend that all is well: the guest believes its proof only."""
    guest = a_guest()
    posing = a_host("00000000", STRANGER)
    attempt = guest.attempt(posing.invite(guest.introduce()))
    right = a_host(identity=STRANGER)
    right.invite(guest.introduce())
    for outcome in (_of_another_talk(), b"\x81\xa5proof\xc4\x20" + bytes(32)):
        with pytest.raises(WrongCode):
            guest.conclude(outcome)
    with pytest.raises(WrongCode):
        posing.judge(attempt)


def test_a_host_that_echoes_the_guest_s_own_proof_proves_nothing() -> None:
    guest = a_guest()
    attempt = guest.attempt(a_host("00000000", STRANGER).invite(guest.introduce()))
    proof = attempt[-32:]
    assert attempt[:-32].endswith(b"proof\xc4\x20")
    with pytest.raises(WrongCode):
        guest.conclude(b"\x81\xa5proof\xc4\x20" + proof)


def _of_another_talk() -> bytes:
    host, guest = a_host(), a_guest()
    return host.judge(guest.attempt(host.invite(guest.introduce())))[1]


def test_codes_are_eight_digits_and_never_the_same_twice_in_a_row() -> None:
    codes = [new_code() for _ in range(100)]
    assert all(len(code) == 8 and code.isdigit() for code in codes)
    assert len(set(codes)) > 95


@pytest.mark.parametrize("typed", ["48217730", "4821 7730", " 4821-7730\n", "4 8 2 1 7 7 3 0"])
def test_a_code_may_be_typed_as_people_do(typed: str) -> None:
    assert clean_code(typed) == CODE
    assert clean_code(spoken(CODE)) == CODE


@pytest.mark.parametrize("typed", ["", "4821773", "482177301", "4821 773O", "٤٨٢١٧٧٣٠"])
def test_what_is_no_code_is_refused_before_anything_is_sent(typed: str) -> None:
    with pytest.raises(ValueError, match="a code is 8 digits"):
        a_guest(typed)


# In between


class InTheMiddle:
    """Poses to each as the other, with an identity of its own, and guesses the code."""

    def __init__(self, guess: str) -> None:
        self.as_host, self.as_guest = a_host(guess, STRANGER), a_guest(guess, STRANGER)

    def attack(self, host: PairingHost, guest: PairingGuest) -> list[str]:
        """Whom it has fooled."""
        fooled = []
        attempt = guest.attempt(self.as_host.invite(guest.introduce()))
        own_attempt = self.as_guest.attempt(host.invite(self.as_guest.introduce()))
        with contextlib.suppress(PairingFailed):
            host.judge(own_attempt)
            fooled.append("host")
        with contextlib.suppress(PairingFailed):
            guest.conclude(self.as_host.judge(attempt)[1])
            fooled.append("guest")
        return fooled


def test_somebody_in_the_middle_fools_nobody_unless_it_guesses_the_code() -> None:
    for number in range(20):
        assert InTheMiddle(f"{number:08}").attack(a_host(), a_guest()) == []
    assert InTheMiddle(CODE).attack(a_host(), a_guest()) == ["host", "guest"], "the attack itself works"


def test_somebody_who_passes_everything_on_but_changes_a_certificate_is_found_out() -> None:
    def change(number: int, data: bytes) -> bytes:
        return data.replace(LAPTOP.certificate, STRANGER.certificate).replace(
            CAR.certificate, TABLET.certificate
        )

    with pytest.raises(WrongCode):
        talk(a_host(), a_guest(), change)


@pytest.mark.parametrize(
    ("said", "changed"), [(b"laptop", b"toplap"), (b"driver", b"viewer"), (b"\xa3car", b"\xa3bar")]
)
def test_not_even_a_name_or_a_role_can_be_changed_on_the_way(said: bytes, changed: bytes) -> None:
    seen: list[int] = []

    def change(number: int, data: bytes) -> bytes:
        if said in data:
            seen.append(number)
        return data.replace(said, changed)

    with pytest.raises(WrongCode):
        talk(a_host(), a_guest(), change)
    assert seen, "there was something to change"


@settings(max_examples=60)
@given(st.integers(1, 4), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_no_byte_of_the_talk_can_be_changed(number: int, where: float, mask: int) -> None:
    def change(message: int, data: bytes) -> bytes:
        if message != number:
            return data
        at = int(where * len(data))
        return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]

    with pytest.raises(PairingFailed):
        talk(a_host(), a_guest(), change)


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_noise_is_no_pairing_and_nothing_worse(noise: bytes) -> None:
    host, guest = a_host(), a_guest()
    with pytest.raises(PairingFailed):
        host.invite(noise)
    with pytest.raises(PairingFailed):
        guest.attempt(noise)
    guest = a_guest()
    invitation = host.invite(guest.introduce())
    with pytest.raises(PairingFailed):
        host.judge(noise)
    guest.attempt(invitation)
    with pytest.raises(PairingFailed):
        guest.conclude(noise)


def test_an_attempt_that_echoes_the_host_s_own_words_is_refused() -> None:
    host, guest = a_host(), a_guest()
    invitation = host.invite(guest.introduce())
    half = invitation[invitation.index(b"half") + 6 :][:33]
    for side in (b"A", b"B"):
        attempt = b"\x82\xa4half\xc4\x21" + side + half[1:] + b"\xa5proof\xc4\x20" + bytes(32)
        with pytest.raises(PairingFailed):
            host.judge(attempt)
        host = a_host()
        host.invite(guest.introduce())


def test_a_device_does_not_pair_with_itself_nor_with_what_is_no_identity() -> None:
    with pytest.raises(PairingFailed, match="this device itself"):
        a_host().invite(a_guest(identity=CAR).introduce())
    broken = a_guest().introduce().replace(LAPTOP.certificate, bytes(len(LAPTOP.certificate)))
    with pytest.raises(PairingFailed, match="no certificate of pynet's"):
        a_host().invite(broken)


# The lists


def test_who_is_paired_with_is_added_and_a_name_that_is_taken_gets_a_number() -> None:
    store = TrustStore(devices=[Trusted("admin", "laptop", TABLET.certificate)])
    assert welcome(store, Trusted("driver", "laptop", LAPTOP.certificate)).name == "laptop-2"
    assert welcome(store, Trusted("driver", "laptop", STRANGER.certificate)).name == "laptop-3"
    assert [device.name for device in store.devices] == ["laptop", "laptop-2", "laptop-3"]


def test_pairing_again_keeps_the_name_and_takes_the_new_role() -> None:
    store = TrustStore(devices=[Trusted("viewer", "mine", LAPTOP.certificate)])
    assert welcome(store, Trusted("driver", "laptop", LAPTOP.certificate)) == Trusted(
        "driver", "mine", LAPTOP.certificate
    )


@pytest.mark.parametrize(
    ("before", "paired_as", "after"),
    [
        ("gateway", "driver", "gateway+driver"),
        ("gateway", "admin", "admin"),
        ("driver", "gateway", "gateway+driver"),
        ("viewer", "gateway", "gateway+viewer"),
        ("gateway+viewer", "driver", "gateway+driver"),
        ("gateway+viewer", "gateway", "gateway+viewer"),
        ("admin", "gateway", "admin"),
    ],
)
def test_a_device_paired_both_ways_may_both(before: str, paired_as: str, after: str) -> None:
    store = TrustStore(devices=[Trusted(before, "x", LAPTOP.certificate)])
    assert welcome(store, Trusted(paired_as, "x", LAPTOP.certificate)).role == after


@pytest.mark.parametrize(
    ("name", "word"),
    [("laptop", "laptop"), ("my laptop", "my-laptop"), ("#1\n", "1"), ("", "device"), ("x" * 99, "x" * 56)],
)
def test_any_name_becomes_one_word(name: str, word: str) -> None:
    assert one_word(name) == word
    Trusted("driver", one_word(name), b"")


# Over sockets


class Serving:
    """`host_pairing` in a thread; `codes` are those it has shown."""

    def __init__(self, **options: Any) -> None:
        self.codes: list[str] = []
        self.port = 0
        self.trust = TrustStore()
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, kwargs=options)
        self._thread.start()
        assert eventually(lambda: self.codes)

    def _run(self, **options: Any) -> None:
        given = {"name": "car", "role": "driver", "host": "127.0.0.1", "port": 0, **options}
        try:
            self.outcome = host_pairing(CAR, self.trust, self._show, **given)
        except Exception as exc:
            self.outcome = exc

    def _show(self, code: str, port: int) -> None:
        self.port = port
        self.codes.append(code)

    def ask(self, code: str, identity: Identity = LAPTOP, trust: TrustStore | None = None) -> Paired:
        return ask_pairing(identity, trust or TrustStore(), "127.0.0.1", code, name="laptop", port=self.port)

    def end(self) -> Any:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.outcome


def test_after_pairing_the_laptop_drives_the_car_and_a_stranger_does_not() -> None:
    host, lists = Serving(), TrustStore()
    began = time.monotonic()
    host.ask(spoken(host.codes[0]), trust=lists)
    assert time.monotonic() - began < 5.0
    assert host.end() == host.trust.devices[0]
    with serving(host="127.0.0.1", identity=CAR, trust=host.trust) as gateway:
        gateway.add_subroutine("drive", lambda: b"", role="driver")
        with Controller(port=gateway.port, identity=LAPTOP, trust=lists).get_client() as client:
            assert client.get_subroutine_batch("drive") == b""
        with pytest.raises(LinkError, match="not trusted there"):
            Controller(port=gateway.port, identity=STRANGER, trust=lists).get_client()


def test_each_wrong_guess_costs_the_code_and_the_third_the_pairing(caplog: pytest.LogCaptureFixture) -> None:
    host = Serving()
    for number in range(MAX_GUESSES):
        assert eventually(lambda: len(host.codes) == number + 1)  # noqa: B023
        wrong = f"{(int(host.codes[-1]) + 1) % 10**8:08}"
        with pytest.raises(WrongCode):
            host.ask(wrong)
    assert isinstance(host.end(), PairingFailed)
    assert "3 wrong codes: pairing is closed" in str(host.outcome)
    assert len(set(host.codes)) == MAX_GUESSES
    assert host.trust.devices == ()
    assert caplog.text.count("that code is used up") == MAX_GUESSES
    with pytest.raises(LinkError, match="nobody pairs at 127"):
        host.ask(host.codes[-1])


def test_an_old_code_is_worth_nothing() -> None:
    host = Serving()
    with pytest.raises(WrongCode):
        host.ask(f"{(int(host.codes[0]) + 1) % 10**8:08}")
    assert eventually(lambda: len(host.codes) == 2)
    with pytest.raises(WrongCode):
        host.ask(host.codes[0])
    assert eventually(lambda: len(host.codes) == 3)
    host.ask(host.codes[2])
    assert host.end().name == "laptop"


@pytest.mark.parametrize(
    "noise", [b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff", b"\x00\x04\x93\x01\x02\x03"]
)
def test_who_does_not_speak_pairing_costs_no_code(noise: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    host = Serving()
    with socket.create_connection(("127.0.0.1", host.port)) as sock:
        sock.sendall(noise)
    host.ask(host.codes[0])
    assert host.end().name == "laptop"
    assert len(host.codes) == 1
    assert "Traceback" not in caplog.text


def test_who_leaves_before_its_attempt_has_not_guessed() -> None:
    host = Serving()
    with socket.create_connection(("127.0.0.1", host.port)) as sock:
        message = a_guest().introduce()
        sock.sendall(len(message).to_bytes(2, "big") + message)
        assert sock.recv(2)
    host.ask(host.codes[0])
    assert len(host.codes) == 1
    host.end()


def test_when_nobody_comes_it_ends() -> None:
    host = Serving(timeout_s=0.2)
    assert isinstance(host.end(), DeadlineExceeded)


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"cannot listen for pairing on port {port}"):
            host_pairing(CAR, TrustStore(), print, name="x", role="driver", host="127.0.0.1", port=port)


def test_a_list_that_cannot_be_written_pairs_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    host = Serving()
    host.trust.path = tmp_path / "file" / "trusted"
    trusted = TrustStore()
    with pytest.raises(LinkError):
        host.ask(host.codes[0], trust=trusted)
    assert isinstance(host.end(), ConfigError)
    assert trusted.devices == ()


# As people type it


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path))
    yield tmp_path


def test_pynet_pair_asks_for_the_code_and_says_who_is_trusted(home: Path) -> None:
    host = Serving()
    typed = f"123\n{spoken(host.codes[0])}\n"
    result = CliRunner().invoke(pynet, ["pair", "127.0.0.1", "--port", str(host.port)], input=typed)
    assert result.exit_code == 0, result.output
    assert "a code is 8 digits, got '123'" in result.output
    assert "paired: car is trusted as gateway, this device there as driver" in result.output
    identity = Identity.load(home)
    assert identity is not None, "made for it"
    assert host.end().certificate == identity.certificate
    assert TrustStore(home / "trusted").devices == (Trusted("gateway", "car", CAR.certificate),)


@pytest.mark.parametrize("words", [[], ["rover", "--serve"]])
def test_pynet_pair_wants_one_of_its_two_forms(home: Path, words: list[str]) -> None:
    result = CliRunner().invoke(pynet, ["pair", *words])
    assert result.exit_code == 2
    assert "say either --serve" in result.output


@pytest.mark.slow
def test_pynet_pair_serve_shows_a_code_and_what_to_type_over_there(home: Path, free_port: int) -> None:
    command = [sys.executable, "-c", "from pynet_core.cli import main; main()", "pair", "--serve"]
    with subprocess.Popen(
        [*command, "--role", "viewer", "--port", str(free_port)], stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        made, told, code = (serving.stdout.readline() for _ in range(3))
        paired = ask_pairing(
            LAPTOP, TrustStore(), "", code.removeprefix("Code:"), name="laptop", port=free_port
        )
        last = serving.stdout.read()
    assert made == f"made {home / 'identity.pem'}\n"
    by = f"pynet pair {socket.gethostname()} --port {free_port}"
    assert told == f"On the other device, within 120 s, in the window or by:  {by}\n"
    assert paired.role == "viewer"
    assert last == f"paired: laptop is trusted as viewer, fingerprint {LAPTOP.fingerprint}\n"
    assert TrustStore(home / "trusted").devices == (Trusted("viewer", "laptop", LAPTOP.certificate),)


@pytest.mark.slow
def test_both_ends_of_a_pairing_speak_json(home: Path, tmp_path: Path, free_port: int) -> None:
    there = {**os.environ, "PYNET_HOME": str(tmp_path / "there")}
    with started("pair", "--serve", "--port", free_port, "--json", env=there) as serving:
        assert serving.stdout is not None
        code = json.loads(serving.stdout.readline())
        words = ["pair", "127.0.0.1", "--port", str(free_port), "--json"]
        asked = CliRunner().invoke(pynet, words, input=f"{code['code']}\n")
        paired = json.loads(serving.stdout.readline())
    ours = json.loads(asked.stdout)
    assert (ours["role"], ours["our_role"], paired["role"]) == ("gateway", "driver", "driver")
    device, shown = json_keys("pynet pair")
    assert (set(ours), set(paired), set(code)) == (device, device - {"our_role"}, shown)
