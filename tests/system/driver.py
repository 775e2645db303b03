"""Somebody who drives, and can be killed: `python -m tests.system.driver PORT BOARD [--host H] [--freeze]`.

Reads the true pose from the board (that is its eyes); its commands go through
the sockets.  With --host it waits for a car that is still to boot.  With
--freeze SIGUSR1 hangs its drive loop while its process and all other threads
live on: the wish is not renewed.
"""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path
from typing import Final

from pynet_car.operator import Operator
from pynet_car.world.board import Board
from pynet_car.world.driver import Teacher
from pynet_core.errors import PynetError

PERIOD_S: Final = 0.02
SPEED_MPS: Final = 1.0
PATIENCE_S: Final = 30.0
RETRY_S: Final = 0.1


def drive(car: Operator, board_path: Path) -> None:
    with car, Board.open(board_path) as board:
        teacher = Teacher(max_speed_mps=SPEED_MPS)
        car.arm()
        while True:
            car.wish(*teacher(board.read_pose()))
            time.sleep(PERIOD_S)


def patient(host: str, port: int) -> Operator:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return Operator(host, port, name="driver")
        except PynetError:
            if time.monotonic() > until_s:
                raise
            time.sleep(RETRY_S)


def freeze(number: int, frame: object) -> None:
    time.sleep(3600)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("board", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--freeze", action="store_true")
    options = parser.parse_args()
    if options.freeze:
        signal.signal(signal.SIGUSR1, freeze)
    if options.host:
        drive(patient(options.host, options.port), options.board)
    else:
        drive(Operator(port=options.port, name="driver"), options.board)
