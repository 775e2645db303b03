"""The interpreter's switch interval: a gateway's while it runs, and what it was afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pynet_core.errors import LinkError
from pynet_core.gateway import Gateway
from pynet_core.switching import SwitchInterval
from tests.core.loopback import serving

BEFORE_S = 0.004


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    was_s = sys.getswitchinterval()
    sys.setswitchinterval(BEFORE_S)
    yield
    sys.setswitchinterval(was_s)


def test_a_gateway_has_its_interval_from_start_to_stop() -> None:
    gateway = Gateway(0, switch_interval_s=0.0005)
    assert sys.getswitchinterval() == BEFORE_S
    for _ in range(2):
        gateway.start()
        assert sys.getswitchinterval() == pytest.approx(0.0005)
        gateway.stop()
        assert sys.getswitchinterval() == BEFORE_S


def test_a_gateway_leaves_the_interval_alone_unless_told() -> None:
    with serving():
        assert sys.getswitchinterval() == BEFORE_S


def test_of_two_gateways_the_shorter_interval_counts_and_the_last_one_restores_it() -> None:
    short, long = (Gateway(0, switch_interval_s=interval_s) for interval_s in (0.0005, 0.002))
    short.start()
    long.start()
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    short.stop()
    assert sys.getswitchinterval() == pytest.approx(0.002)
    short.stop()
    assert sys.getswitchinterval() == pytest.approx(0.002)
    long.stop()
    assert sys.getswitchinterval() == BEFORE_S


def test_an_interval_that_others_have_set_in_between_stays() -> None:
    claim = SwitchInterval(0.0005)
    claim.hold()
    sys.setswitchinterval(0.003)
    claim.release()
    assert sys.getswitchinterval() == pytest.approx(0.003)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, 1.5, float("nan")])
def test_an_interval_that_cannot_be_is_refused(interval_s: float) -> None:
    with pytest.raises(ValueError, match=r"switch_interval_s must be 0\.00001 to 1"):
        Gateway(0, switch_interval_s=interval_s)


def test_a_gateway_that_cannot_listen_leaves_the_interval_alone() -> None:
    with serving() as other, pytest.raises(LinkError):
        Gateway(other.port, switch_interval_s=0.0005).start()
    assert sys.getswitchinterval() == BEFORE_S
