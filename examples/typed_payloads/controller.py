"""Tells a greenhouse what to aim at, and watches it get there.

python controller.py [--gateway ADDRESS] [--port 1857] [--target 24]
"""

from __future__ import annotations

import argparse
import sys

from greenhouse import Climate, Settings

import pynet

CLOSE_C = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="", help="without it: this machine")
    parser.add_argument("--port", type=int, default=1857)
    parser.add_argument("--target", type=float, default=24.0, help="degrees Celsius")
    options = parser.parse_args()

    def show(name: str, ident: int, buffer: bytes) -> bool:
        climate = pynet.unpack(buffer, Climate)
        print(
            f"{climate.when:%H:%M:%S}  air {climate.air_c:.1f}, soil", *(f"{c:.1f}" for c in climate.soil_c)
        )
        return abs(climate.settings.target_c - climate.air_c) > CLOSE_C

    with pynet.Controller(options.gateway, options.port).get_client() as client:
        try:
            client.send_subroutine_batch("adjust", Settings(options.target, window="shut"))
        except pynet.SubroutineError as refused:
            sys.exit(refused.reason)
        client.get_subroutine_stream("climate", show)


if __name__ == "__main__":
    try:
        main()
    except pynet.LinkError as exc:
        sys.exit(str(exc))
