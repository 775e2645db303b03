"""pi_agent.ciphers: which cipher a connection really has, with the environment the worker gets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pi_agent.ciphers import OPENSSL_CONF, environment_for, has_aes
from pynet_core.controller import Controller
from pynet_core.keys import SECRET_VARIABLE, Identity
from pynet_core.tls import TlsChannel

SECRET = "a secret of sixteen and more"
PI_4 = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"
PI_5 = PI_4.replace("crc32", "aes pmull sha1 sha2 crc32")
PC = "model name\t: a PC with aes in its name\nflags\t\t: fpu vme sse2 aes avx\n"
OLD_PC = PC.replace("sse2 aes", "sse2")
GATEWAY = """
import sys
from pynet_core.gateway import Gateway
with Gateway(0, host='127.0.0.1') as gateway:
    print(gateway.port, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("cpu_info", "has"), [(PI_4, False), (PI_5, True), (PC, True), (OLD_PC, False)])
def test_a_processor_says_whether_it_does_aes(cpu_info: str, has: bool) -> None:
    assert has_aes(cpu_info) is has


def test_nothing_is_changed_where_nothing_is_known_or_a_person_has_chosen() -> None:
    assert environment_for({"A": "b"}, "") == {"A": "b"}
    assert environment_for({"OPENSSL_CONF": "mine"}, PI_4) == {"OPENSSL_CONF": "mine"}


@pytest.mark.parametrize(
    ("cpu_info", "cipher"), [(PI_4, "TLS_CHACHA20_POLY1305_SHA256"), (PI_5, "TLS_AES_256_GCM_SHA384")]
)
def test_the_gateway_s_processor_decides(cpu_info: str, cipher: str) -> None:
    environment = environment_for({**os.environ, SECRET_VARIABLE: SECRET}, cpu_info)
    with subprocess.Popen(
        [sys.executable, "-c", GATEWAY],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as gateway:
        assert gateway.stdout is not None
        port = int(gateway.stdout.readline())
        with Controller(port=port, identity=Identity.from_secret(SECRET)).get_client() as client:
            channel = client._channel
            assert isinstance(channel, TlsChannel)
            assert channel._tls is not None
            chosen = channel._tls.cipher()
            assert chosen is not None
            assert chosen[0] == cipher
        assert gateway.stdin is not None
        gateway.stdin.close()


def test_the_file_openssl_reads_is_where_it_should_be() -> None:
    assert "TLS_CHACHA20_POLY1305_SHA256:" in Path(OPENSSL_CONF).read_text()
