"""Two daemons never turn one motor, wherever they keep their files."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pi_agent.outputs.holding import hold
from pynet_core.errors import HardwareError
from tests.agent.drivetrain_rig import bench


@pytest.mark.parametrize("wiring", ["esc_on_kernel_pwm", "kernel_pwm", "esc_on_pca9685", "sides_on_pca9685"])
def test_a_chips_channel_has_one_guardian_until_it_ends(
    wiring: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench(wiring, tmp_path, monkeypatch) as car:
        # /dev/i2c-1 is the same name in every test that runs beside this one.
        writes = [
            (kind, f"{tmp_path}{path}", place, v) for kind, path, place, v in car.drivetrain.neutral_writes()
        ]
        for _ in range(2):  # and it may be had again
            with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
                hold(writes, first)
                with pytest.raises(HardwareError, match=r"another agent has the motor on (pwm|pca9685)"):
                    hold(writes, second)
