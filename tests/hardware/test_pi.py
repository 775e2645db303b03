"""The contracts on a real Raspberry Pi:  ./run test tests/hardware -m hardware

The motor driver is to be unplugged, or the wheels off the ground: the pins of
the default wiring (12, 13, 19) are put out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pi_agent.camera import LateCamera
from pi_agent.config import CameraConfig, board_model
from pi_agent.drive_config import DriveConfig
from pi_agent.drivetrain import WiredDrivetrain
from pi_agent.neutral import main, save_plan
from pi_agent.outputs.opening import Outputs
from pi_agent.pins import find_header, header_pins
from tests.agent.camera_contract import CONTRACT, MakeCamera

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(not board_model(), reason="this is no Raspberry Pi"),
]


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_the_camera_keeps(promise: Callable[[MakeCamera], None]) -> None:
    promise(lambda: LateCamera(CameraConfig()))


def test_the_header_is_found() -> None:
    assert find_header().name.startswith("gpiochip")


def test_the_outputs_are_had_driven_and_given_back_and_neutral_py_has_them_then(tmp_path: Path) -> None:
    config = DriveConfig()
    drivetrain = WiredDrivetrain(config, Outputs(header_pins(tmp_path), config.pca9685).open, "Pi")
    save_plan(tmp_path, drivetrain.neutral_writes())
    drivetrain.claim()
    for duty, steering in ((0.1, 0.5), (-0.1, -0.5), (0.0, 0.0)):
        drivetrain.set(duty, steering)
    assert main([str(tmp_path)]) == 1, "the lines are held: by us"
    drivetrain.close()
    drivetrain._all[0].stops[0][0]._pins.factory.close()  # type: ignore[attr-defined]  # as if we had died
    assert main([str(tmp_path)]) == 0
