"""What the agent asks of hardware: one small Protocol a device.

The adapters behind them are the only files that import gpiozero or picamera2;
the simulated car uses the same ones on other pins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pi_agent.neutral import NeutralWrite
from pynet_car.messages import CameraFrame, Odometry, Scan, StreamInfo


class Drivetrain(Protocol):
    """Motor and steering.  Owned by one thread: the guardian's."""

    @property
    def describe(self) -> str:
        """What the outputs are, for a person: "simulated board, motor on 12/13, servo on 19"."""

    def neutral_writes(self) -> tuple[NeutralWrite, ...]:
        """The writes neutral.py must do if we die; known before `claim`."""

    def claim(self) -> None:
        """Take the outputs, neutral.

        Raises:
            HardwareError: They are not there, or somebody else's.
        """

    def set(self, duty: float, steering: float) -> None:
        """Put out signed motor duty and steering, each in [-1, 1]; a zero even if it should stand there.

        Raises:
            HardwareError: The outputs refuse; what they put out now is unknown.
        """

    def neutral(self) -> None:
        """Motor off, wheels straight.  Idempotent; safe after a failed `set`; never raises."""

    def close(self) -> None:
        """Neutral, then give the outputs back.  Idempotent; never raises."""


class Output(Protocol):
    """One line to a motor driver or a servo.  Owned by the drivetrain's thread.

    Its methods raise whatever the library beneath raises; the drivetrain translates.
    """

    hz: int  # of its pulses; 0 is a level

    @property
    def name(self) -> str:
        """For a person: "GPIO12"."""

    def neutral_write(self, duty: float) -> NeutralWrite:
        """How neutral.py puts this duty on it; known before `claim`."""

    def claim(self, duty: float) -> None:
        """Take it, with this duty in [0, 1] from the first moment on."""

    def put(self, duty: float) -> None: ...

    def close(self) -> None:
        """Give it back; a chip that makes the pulses by itself goes on with them.  Idempotent."""


class Camera(Protocol):
    """One lens.  Owned by the thread that iterates `frames`; `close` may come from another."""

    def frames(self) -> Iterator[CameraFrame]:
        """Each new frame; blocks until it is there, ends after `close`.

        Raises:
            HardwareError: The camera is gone.  Open it anew.
        """

    def close(self) -> None: ...


class Sensor(Protocol):
    """One measuring device.  Owned by the thread that calls `read`; `close` may come from another."""

    @property
    def info(self) -> StreamInfo: ...

    def read(self) -> Scan | Odometry:
        """The next measurement; blocks until it is there.

        A head that fails is a Reading in state fault, not an exception.

        Raises:
            HardwareError: The whole sensor is gone, or closed.
        """

    def close(self) -> None: ...
