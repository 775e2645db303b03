"""Every test of the core ends with the threads it began with: a leak fails the test that leaked."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from pynet_core.admission import is_loopback
from pynet_core.client import Client
from pynet_core.gateway import Gateway
from tests.core.loopback import controller_of, eventually, our_threads, serving


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    before = Counter(our_threads())  # of a test of another room, which shares this process

    def more() -> Counter[str]:
        return Counter(our_threads()) - before

    yield
    assert eventually(lambda: not more()), f"still running: {more()}"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serving(max_poolsize=20) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    with controller_of(gateway).get_client() as client:
        yield client


@pytest.fixture
def own_address() -> str:
    """An address of this machine's that others would use."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # a datagram socket: nothing is sent
        ip: str = probe.getsockname()[0]
        if not is_loopback(ip):
            return ip
    pytest.skip("this machine has no address but loopback")
