"""No signal that can be caught ends or stops the guardian before its motors are off."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from pi_agent.daemon import _Stop

STOPPING = {signal.SIGSTOP, signal.SIGKILL}  # of which nobody is told


@pytest.fixture
def stop() -> Iterator[_Stop]:
    before = {number: signal.getsignal(number) for number in signal.valid_signals() - STOPPING}
    yield _Stop()
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGUSR1", "SIGXCPU"])
def test_a_signal_asks_it_to_end_in_order(stop: _Stop, name: str) -> None:
    assert not stop.is_asked
    os.kill(os.getpid(), getattr(signal, name))
    assert stop.is_asked


@pytest.mark.parametrize("name", ["SIGTTIN", "SIGTTOU"])
def test_a_terminal_does_not_suspend_it_in_the_background(stop: _Stop, name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))  # by its default we would stand still here
    assert not stop.is_asked
