"""Make the simulated board the pins of this process."""

from __future__ import annotations

from pathlib import Path

from gpiozero import Device

from pi_agent.simulated.pins import BoardFactory, EdgePump
from pynet_car.world import BOARD_FILE
from pynet_car.world.board import Board


def wire(runtime_dir: Path) -> EdgePump:
    """Let all of this process's gpiozero devices use the board there; the pump that feeds them runs.

    Raises:
        HardwareError: The board cannot be opened.
    """
    factory = BoardFactory(Board.open(runtime_dir / BOARD_FILE))
    Device.pin_factory = factory
    pump = EdgePump(factory)
    pump.start()
    return pump
