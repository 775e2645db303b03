"""A greenhouse that measures itself and can be told what to aim at.

python gateway.py [--port 1857] [--period 0.5]
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterator

from greenhouse import Climate, Settings

import pynet
import pynet.backend2 as bk


class Greenhouse:
    """Simulated: a twentieth of the way to its target with every look."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._settings = Settings(20.0)
        self._air_c = 12.0

    def climate(self) -> Iterator[Climate]:
        while True:
            self._air_c += (self._settings.target_c - self._air_c) / 20
            soil_c = [self._air_c - below for below in (1.0, 2.5)]
            yield Climate(datetime.datetime.now(datetime.UTC), self._air_c, soil_c, self._settings)
            time.sleep(self._period_s)

    def adjust(self, buffer: bytes) -> int:
        settings = pynet.unpack(buffer, Settings)
        if not 5 <= settings.target_c <= 35:
            raise ValueError(f"plants want 5 to 35 degrees, not {settings.target_c:g}")
        self._settings = settings
        return 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=1857)
    parser.add_argument("--period", type=float, default=0.5, help="seconds between two looks")
    options = parser.parse_args()
    greenhouse = Greenhouse(options.period)
    gateway = pynet.Gateway(options.port)
    gateway.add_subroutine("climate", greenhouse.climate, shared=True, keep="latest")
    gateway.add_subroutine("adjust", greenhouse.adjust)
    gateway.start()
    bk.safe_print(f"greenhouse on port {gateway.port}", flush=True)
    try:
        while gateway.is_running:
            time.sleep(0.2)
    except KeyboardInterrupt:
        gateway.stop()


if __name__ == "__main__":
    try:
        main()
    except pynet.LinkError as exc:
        sys.exit(str(exc))
