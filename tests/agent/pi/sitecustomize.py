"""Makes each Python process that has this folder on its path a Pi 4: lgpio, its GPIO chip, picamera2.

What the motors get stands in pwm.json of the folder PYNET_FAKE_PI; the camera sends 30 pictures a second.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.agent import fake_lgpio, fake_picamera2
from tests.agent.fake_kernel import FakeKernel

HERE = Path(os.environ["PYNET_FAKE_PI"])


def show_pwm(lines: fake_lgpio.Lines) -> None:
    """Let every change of a duty be seen from outside."""
    put = lines.tx_pwm

    def tx_pwm(handle: int, line: int, hz: float, percent: float) -> int:
        done = put(handle, line, hz, percent)
        (HERE / "pwm.new").write_text(json.dumps(lines.pwm))
        (HERE / "pwm.new").rename(HERE / "pwm.json")
        return done

    vars(__import__("lgpio"))["tx_pwm"] = tx_pwm


def shoot(lens: fake_picamera2.Lens) -> None:
    while True:
        time.sleep(1 / 30)
        for camera in lens.opened[-1:]:
            if camera.encoder is not None and not camera.is_closed:
                camera.shoot(b"\xff\xd8 picture \xff\xd9", time.monotonic_ns())


LACKS = os.environ.get("PYNET_FAKE_PI_LACKS")  # "lgpio" | "picamera2" | "camera"
patch = pytest.MonkeyPatch()  # never undone
(HERE / str(os.getpid())).mkdir()
kernel = FakeKernel(HERE / str(os.getpid()))
kernel.install(patch)
show_pwm(fake_lgpio.install(patch))
lens = fake_picamera2.install(patch)
lens.is_plugged = LACKS != "camera"
threading.Thread(target=shoot, args=(lens,), daemon=True).start()
if LACKS in sys.modules:
    patch.setitem(sys.modules, LACKS, None)

# find_header looks into /dev, which is this machine's.
real_glob = Path.glob


def glob(self: Path, pattern: str) -> object:
    found = [Path("/dev/gpiochip0")] if (str(self), pattern) == ("/dev", "gpiochip*") else []
    return iter(found) if found else real_glob(self, pattern)


patch.setattr(Path, "glob", glob)
