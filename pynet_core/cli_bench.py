"""`pynet bench`: how fast this machine is at it, or how far another one is for messages of each size."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import click

from pynet_core.cli_frame import Number, json_option, tell
from pynet_core.cli_gateway import PATIENCE_S, Remote, asks_gateway
from pynet_core.cli_ping import quantile
from pynet_core.cli_table import show_table
from pynet_core.client import Client
from pynet_core.errors import LinkError, PynetError
from pynet_core.gateway import Gateway

PING_BYTES: Final = (16, 1024, 16 * 1024, 60 * 1024)  # a ping is control: 64 KiB at most
SMALL_BYTES: Final = 64
FRAME_BYTES: Final = 40 * 1024  # a picture of 640x480 as JPEG
WARM_UP: Final = 50
_CHILD: Final = "from pynet_core.cli_bench import serve_until_eof; serve_until_eof()"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row.  Of a call or ping `each_us` has how long every one took, of a stream it is empty."""

    what: str
    size: int
    count: int
    seconds: float
    each_us: tuple[float, ...] = ()

    def record(self) -> dict[str, Any]:
        """For programs."""
        ordered = sorted(self.each_us)
        return {
            "what": self.what,
            "bytes": self.size,
            "count": self.count,
            "seconds": round(self.seconds, 3),
            "per_s": round(self.count / self.seconds, 1),
            "mb_per_s": round(self.count * self.size / self.seconds / 1e6, 3),
            "p50_us": round(quantile(ordered, 0.5), 1) if ordered else None,
            "p99_us": round(quantile(ordered, 0.99), 1) if ordered else None,
        }


@click.command(short_help="Measure what this machine can do, or the way to another.")
@asks_gateway(is_optional=True)
@click.option(
    "--seconds",
    default=1.0,
    show_default=True,
    type=Number(0.05, 3600.0),
    metavar="SECONDS",
    help="for each row",
)
@json_option("for programs: one object for each row")
@click.pass_context
def bench(context: click.Context, /, remote: Remote, seconds: float, as_json: bool) -> None:
    """Measure round trips to the gateway on HOST, by pings of several sizes.

    Any gateway will do: nothing need be offered there.  Without HOST one is
    started on this machine, in a process of its own, and calls and streams are
    measured too; what other programs do meanwhile counts against it.
    """
    is_theirs = remote.host or context.params["port"] is not None
    rows = []
    with remote.client(patience_s=PATIENCE_S) if is_theirs else _own_gateway() as client:
        for measure in (ping_rows if is_theirs else own_rows)(client, seconds):
            rows.append(measure.record())
            if as_json:
                tell(rows[-1])
    if not as_json:
        show_table(("", "bytes", "a second", "MB/s", "p50 µs", "p99 µs"), [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    times = ("-" if row[name] is None else f"{row[name]:,.1f}" for name in ("p50_us", "p99_us"))
    return (row["what"], f"{row['bytes']:,}", f"{row['per_s']:,.0f}", f"{row['mb_per_s']:,.2f}", *times)


def ping_rows(client: Client, seconds: float) -> Iterator[Measure]:
    """Pings of several sizes, there and back."""
    for size in PING_BYTES:
        yield _timed("ping", size, seconds, partial(client.ping, "x" * size))


def own_rows(client: Client, seconds: float) -> Iterator[Measure]:
    """All that can be measured at a gateway of `serve_until_eof`."""
    yield from ping_rows(client, seconds)
    yield _timed("call", SMALL_BYTES, seconds, lambda: client.get_subroutine_batch("call"))
    for size in (SMALL_BYTES, FRAME_BYTES):
        yield _streamed(client, size, seconds)


def _timed(what: str, size: int, seconds: float, act: Callable[[], object]) -> Measure:
    for _ in range(WARM_UP):
        act()
    each_us = []
    began_ns = before_ns = time.perf_counter_ns()
    end_ns = began_ns + int(seconds * 1e9)
    while before_ns < end_ns:
        act()
        now_ns = time.perf_counter_ns()
        each_us.append((now_ns - before_ns) / 1e3)
        before_ns = now_ns
    return Measure(what, size, len(each_us), (before_ns - began_ns) / 1e9, tuple(each_us))


def _streamed(client: Client, size: int, seconds: float) -> Measure:
    """Items as fast as they come, from the first of them."""
    count = 0
    began_s = end_s = now_s = 0.0

    def take(name: str, ident: int, buffer: bytes) -> bool:
        nonlocal count, began_s, end_s, now_s
        now_s = time.perf_counter()
        if not end_s:
            began_s, end_s = now_s, now_s + seconds
            return True
        count += 1
        return now_s < end_s

    client.get_subroutine_stream("stream", take, None, [size])
    return Measure("stream", size, count, now_s - began_s)


@contextlib.contextmanager
def _own_gateway() -> Iterator[Client]:
    """A pair with a gateway in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        try:
            assert child.stdout is not None
            port = child.stdout.readline().strip()
            if not port:
                raise LinkError("the gateway to be measured does not start; see above")
            with Remote("", int(port), PATIENCE_S).client() as client:
                yield client
        finally:
            assert child.stdin is not None
            child.stdin.close()


def serve_until_eof() -> None:
    """The other process: tell the port, and serve until the parent has gone."""

    def stream(size: int) -> Iterator[bytes]:
        item = bytes(size)
        while True:
            yield item

    result = bytes(SMALL_BYTES)
    try:
        with Gateway(0, host="127.0.0.1") as gateway:
            gateway.add_subroutine("call", lambda: result)
            gateway.add_subroutine("stream", stream)
            print(gateway.port, flush=True)
            # Ctrl-C is for both of us; the parent closes the pipe.
            with contextlib.suppress(KeyboardInterrupt):
                sys.stdin.read()
    except PynetError as exc:
        print(f"pynet: {exc}", file=sys.stderr)
