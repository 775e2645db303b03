"""One pair with one job, on a client that does what it likes."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from pynet_car.lines import AskLine
from pynet_core.client import Client, Pong
from pynet_core.errors import DeadlineExceeded, LinkClosed, PynetError, RemoteProtocolError


class Pinged:
    """A client of which only pings are asked; each raises the next of these."""

    connected = True
    timeout_s: float | None = None

    def __init__(self, *errors: PynetError) -> None:
        self._errors = list(errors)

    def ping(self, message: str) -> Pong:
        if self._errors:
            raise self._errors.pop(0)
        return Pong(message, 1, 2)

    def abort(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("kind", [LinkClosed, DeadlineExceeded, RemoteProtocolError])
def test_a_ping_that_fails_ends_nobody_who_looks_after_the_line(kind: type[PynetError]) -> None:
    """The keeper's thread: with it all mending would end."""
    pongs: list[Pong] = []
    changed = threading.Event()
    line = AskLine("control", changed, pongs.append)
    line.open(cast(Client, Pinged(kind("gone"))))
    line.check(10.0)
    assert changed.is_set(), "so that it is looked after at once"
    line.check(20.0)
    assert pongs == [Pong("", 1, 2)]
