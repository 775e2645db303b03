"""pynet: a buffer call, and a generator to a callback."""

from __future__ import annotations

import os
import sys
from typing import Final

from benchmarks.contestants import End, OnItem, items, play
from pynet_core.controller import Controller
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity
from pynet_core.switching import SWITCH_INTERVAL_S

SECRET: Final = "a secret of this benchmark's"


def _identity() -> Identity | None:
    return Identity.from_secret(SECRET) if os.environ.get("CONTESTANT_TLS") else None


def serve() -> None:
    gateway = Gateway(0, 16, host="127.0.0.1", identity=_identity(), switch_interval_s=SWITCH_INTERVAL_S)
    gateway.add_subroutine("no_op", lambda **kwargs: None)
    gateway.add_subroutine("items", items)
    with gateway:
        print("port", gateway.port, flush=True)
        sys.stdin.read()


class _Pair:
    def __init__(self, port: int) -> None:
        self._client = Controller(port=port, identity=_identity()).get_client(purpose="control")

    def round_trip(self, payload: bytes) -> None:
        self._client.send_subroutine_batch("no_op", payload)

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        arguments = [size, count, gap_us, burst]
        self._client.get_subroutine_stream("items", lambda name, ident, item: on_item(item), None, arguments)

    def close(self) -> None:
        self._client.close()


def connect(port: int) -> End:
    return _Pair(port)


if __name__ == "__main__":
    play(serve, connect)
