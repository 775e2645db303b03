"""eclipse-zenoh: a queryable for calls, a publisher that blocks rather than drops for streams."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from typing import Any, Final

import zenoh

from benchmarks.contestants import End, OnItem, even_out, free_port, items, play, serve_for_ever

# Peers that know each other by their address alone; shared memory would not be loopback.
_PLAIN: Final[dict[str, Any]] = {
    "mode": "peer",
    "scouting": {"multicast": {"enabled": False}, "gossip": {"enabled": False}},
    "transport": {"shared_memory": {"enabled": False}},
}
_numbers: Final = itertools.count()


def _open(endpoints: dict[str, Any]) -> zenoh.Session:
    return zenoh.open(zenoh.Config.from_json5(json.dumps({**_PLAIN, **endpoints})))


def serve() -> None:
    port = free_port()
    session = _open({"listen": {"endpoints": [f"tcp/127.0.0.1:{port}"]}})

    def publish(key: str, arguments: list[int]) -> None:
        publisher = session.declare_publisher(key, congestion_control=zenoh.CongestionControl.BLOCK)
        while not publisher.matching_status.matching:  # else the first would be for nobody
            time.sleep(0.001)
        gone = threading.Event()
        publisher.declare_matching_listener(lambda status: None if status.matching else gone.set())
        for item in items(*arguments):
            if gone.is_set():
                break
            publisher.put(item)
        gone.wait()  # what is undeclared with items on their way might lose them
        publisher.undeclare()

    def answer(query: zenoh.Query) -> None:
        query.reply("no_op", bytes(8))

    def begin(query: zenoh.Query) -> None:
        assert query.payload is not None
        key, *arguments = query.payload.to_bytes().decode().split()
        threading.Thread(target=publish, args=(key, list(map(int, arguments))), daemon=True).start()
        query.reply("begin", b"")

    session.declare_queryable("no_op", answer)
    session.declare_queryable("begin", begin)
    serve_for_ever(port)


class _Session:
    def __init__(self, port: int) -> None:
        where = {"connect": {"endpoints": [f"tcp/127.0.0.1:{port}"]}, "listen": {"endpoints": []}}
        self._session = _open(where)
        even_out()
        self._calls = self._querier("no_op")
        self._beginnings = self._querier("begin")

    def _querier(self, key: str) -> zenoh.Querier:
        """Once somebody answers there: a query before that would time out."""
        querier = self._session.declare_querier(key, consolidation=zenoh.ConsolidationMode.NONE)
        while not querier.matching_status.matching:
            time.sleep(0.001)
        return querier

    def round_trip(self, payload: bytes) -> None:
        for reply in self._calls.get(payload=payload):
            assert reply.ok

    def stream(self, size: int, count: int, gap_us: int, burst: int, on_item: OnItem) -> None:
        key = f"items/{os.getpid()}/{next(_numbers)}"
        with self._session.declare_subscriber(key) as subscriber:
            begun = self._beginnings.get(payload=f"{key} {size} {count} {gap_us} {burst}")
            # Items first: the answer may come behind more of them than the subscriber holds, 256, and the one
            # thread that receives both would wait for us to take them.
            for _ in range(count):
                on_item(subscriber.recv().payload.to_bytes())
            for reply in begun:
                assert reply.ok

    def close(self) -> None:
        self._session.close()


def connect(port: int) -> End:
    return _Session(port)


if __name__ == "__main__":
    play(serve, connect)
