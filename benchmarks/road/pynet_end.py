"""pynet, newest only, under TLS as between any two machines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from benchmarks.road import age_ms, pictures, play
from pynet_core.controller import Controller
from pynet_core.errors import LinkError
from pynet_core.gateway import Gateway


def show(seconds: float) -> None:
    def camera() -> Iterator[bytes]:
        yield from pictures(seconds)

    with Gateway(0) as gateway:
        gateway.add_subroutine("camera", camera, shared=True, keep="latest")
        print("port", gateway.port, flush=True)
        sys.stdin.read()


def look(host: str, port: int, seconds: float) -> list[float]:
    ages: list[float] = []
    end_s = time.monotonic() + seconds
    with Controller(host, port).get_client() as client:

        def on_picture(name: str, ident: int, picture: bytes) -> bool:
            ages.append(age_ms(picture))
            return time.monotonic() < end_s

        try:
            client.get_subroutine_stream("camera", on_picture)
        except LinkError:
            if not ages:
                raise
    return ages


if __name__ == "__main__":
    play(show, look)
