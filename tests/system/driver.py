"""Somebody who drives, and can be killed: `python -m tests.system.driver PORT BOARD [--freeze]`.

Reads the true pose from the board (that is its eyes); its commands go through
the sockets.  With --freeze SIGUSR1 hangs its drive loop while its process and
all other threads live on: the wish is not renewed.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Final

from pynet_car.operator import Operator
from pynet_car.world.board import Board
from pynet_car.world.driver import Teacher

PERIOD_S: Final = 0.02
SPEED_MPS: Final = 1.0


def drive(port: int, board_path: Path) -> None:
    with Operator(port=port, name="driver") as car, Board.open(board_path) as board:
        teacher = Teacher(max_speed_mps=SPEED_MPS)
        car.arm()
        while True:
            car.wish(*teacher(board.read_pose()))
            time.sleep(PERIOD_S)


def freeze(number: int, frame: object) -> None:
    time.sleep(3600)


if __name__ == "__main__":
    if "--freeze" in sys.argv:
        signal.signal(signal.SIGUSR1, freeze)
    drive(int(sys.argv[1]), Path(sys.argv[2]))
