"""What the sender numbers and sends when more than one thread wishes."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from pynet_car.messages import DriveCommand, State, Status, decode_command
from pynet_car.sender import Sender


class Recorder:
    """As much of a DriveLine as the sender uses."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.sticks: set[tuple[float, float]] = set()

    def put(self, data: bytes) -> None:
        command = decode_command(data)
        self.seqs.append(command.seq)
        if isinstance(command, DriveCommand):
            self.sticks.add((command.throttle, command.steering))


SEEN = Status(boot=1, stamp_ns=1, state=State.ARMED, reason="")


def made() -> tuple[Recorder, Sender]:
    recorder = Recorder()
    lines: Any = [recorder]
    return recorder, Sender(lines, renew_within_s=0.2)


def test_numbers_of_a_network_are_sent_as_numbers() -> None:
    recorder, sender = made()
    sender.start()
    throttle: Any = np.float32(0.5)
    sender.wish(throttle, np.float64(-0.25), SEEN)
    deadline_s = time.monotonic() + 10
    while (0.5, -0.25) not in recorder.sticks:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    sender.close()


@pytest.mark.parametrize("value", [True, "1", None, [0.5], float("nan"), np.float32("nan"), 1.01])
def test_what_is_no_throttle_is_a_clear_error(value: Any) -> None:
    recorder, sender = made()
    with pytest.raises(ValueError, match=r"must be (a number )?in \[-1, 1\], got"):
        sender.wish(value, 0.0, SEEN)
    sender.start()
    sender.close()
    assert recorder.seqs == []


def test_stick_and_path_from_two_threads_leave_in_the_order_of_their_numbers() -> None:
    """Else the car takes the later number for the newer wish: a stop that was sent last would be lost."""
    recorder, sender = made()
    until_s = time.monotonic() + 0.5

    def stick() -> None:
        while time.monotonic() < until_s:
            sender.wish(0.0, 0.0, SEEN)

    def path() -> None:
        while time.monotonic() < until_s:
            sender.path([(0.1, 0.0, 1.0), (0.2, 0.0, 1.0)], 1, 1, 1)

    sender.start()
    threads = [threading.Thread(target=what) for what in (stick, path, stick)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sender.close()
    assert len(recorder.seqs) > 10
    assert recorder.seqs == sorted(recorder.seqs)
