"""`pynet ping`: how far a gateway is, how steadily it answers, and how far apart the two clocks are."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import click

from pynet_core.cli_frame import Number, json_option, tell
from pynet_core.cli_gateway import PATIENCE_S, Remote, asks_gateway
from pynet_core.client import Client, Pong
from pynet_core.errors import LinkError, PoolFull, Refused

QUANTILES: Final = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of these that is not below `share` (0 to 1) of them; NaN of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass
class Tally:
    """What the pings have shown so far."""

    pongs: list[Pong] = field(default_factory=list)
    lost: int = 0

    @property
    def sent(self) -> int:
        return len(self.pongs) + self.lost

    @property
    def loss(self) -> float:
        """The share that was not answered, 0 to 1."""
        return self.lost / self.sent if self.sent else 0.0

    def record(self, host: str, port: int) -> dict[str, object]:
        """What there is to say, for programs."""
        times_ms = sorted(pong.rtt_ns / 1e6 for pong in self.pongs)
        # The quickest answer says most of the clocks: its way there and back was the most alike.
        best = min(self.pongs, key=lambda pong: pong.rtt_ns, default=None)
        return {
            "host": host,
            "port": port,
            "sent": self.sent,
            "received": len(self.pongs),
            "loss": round(self.loss, 4),
            **{f"{name}_ms": round(quantile(times_ms, share), 4) for name, share in QUANTILES.items()},
            "clock_offset_ms": None if best is None else round(best.offset_ns / 1e6, 4),
            "clock_error_ms": None if best is None else round(best.rtt_ns / 2e6, 4),
        }


@click.command(short_help="Measure round trips to a gateway, and what is lost.")
@asks_gateway(is_optional=True)
@click.option("--count", default=10, show_default=True, type=click.IntRange(min=0), help="0: until Ctrl-C")
@click.option(
    "--interval",
    "interval_s",
    metavar="SECONDS",
    default=0.1,
    show_default=True,
    type=Number(0.0, 3600.0),
    help="from one to the next",
)
@json_option("for programs: one object")
def ping(remote: Remote, count: int, interval_s: float, as_json: bool) -> None:
    """Measure the round trip to the gateway on HOST (this machine by default).

    One that takes longer than --timeout, or finds no connection, is lost.
    Exit code 1 when all are.
    """
    tally = Tally()
    # A gateway that cannot be reached at all is an error, no loss.
    client = remote.client("control", patience_s=PATIENCE_S)
    try:
        _ping_all(remote, client, count, interval_s, tally)
    finally:
        if tally.sent:
            _show(remote, tally, as_json)
    if not tally.pongs:
        raise SystemExit(1)


def _ping_all(remote: Remote, client: Client, count: int, interval_s: float, tally: Tally) -> None:
    due_s = time.monotonic()
    with contextlib.ExitStack() as ending:
        ending.callback(lambda: client.close())
        while count == 0 or tally.sent < count:
            time.sleep(max(0.0, due_s - time.monotonic()))
            due_s = max(due_s + interval_s, time.monotonic())
            try:
                if not client.connected:
                    client = remote.client("control", patience_s=PATIENCE_S)
                tally.pongs.append(client.ping())
            except LinkError as exc:
                if isinstance(exc, Refused) and not isinstance(exc, PoolFull):
                    raise  # struck off the list meanwhile: no other try will do
                tally.lost += 1
                client.abort()


def _show(remote: Remote, tally: Tally, as_json: bool) -> None:
    record = tally.record(remote.host or "localhost", remote.port)
    if as_json:
        tell(record)
        return
    click.echo(f"{tally.sent} pings to {remote}: {record['received']} answered, {tally.loss:.1%} lost")
    if tally.pongs:
        times = ", ".join(f"{name} {record[f'{name}_ms']:.3f}" for name in QUANTILES)
        click.echo(f"round trip, ms: {times}")
        click.echo(
            f"its clock minus ours, ms: {record['clock_offset_ms']:.3f} +- {record['clock_error_ms']:.3f}"
        )
