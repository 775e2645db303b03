"""`pynet stream`: the items of a generator, as they come."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from pynet_core.cli_frame import json_option, tell
from pynet_core.cli_gateway import PATIENCE_S, Remote, asks_gateway, complete_stream
from pynet_core.cli_ping import quantile
from pynet_core.cli_values import TAKES_KEYWORDS, for_terminal, readable, typed_arguments
from pynet_core.client import Client

LOOK_S: Final = 1.0  # how often the rate on stderr is renewed
MAX_AGES: Final = 10_000  # the newest, of which quantiles are taken

Write = Callable[[int, int, bytes, float], None]  # (number from 1, ident, buffer, age_ms)


class Meter:
    """How many, how much, how old.  One thread writes, another may read."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self.items = 0
        self._payload_bytes = 0
        self._ages_ms: deque[float] = deque(maxlen=MAX_AGES)

    def count(self, size: int, age_ms: float) -> None:
        self.items += 1
        self._payload_bytes += size
        self._ages_ms.append(age_ms)

    def shown(self, now_s: float, replaced: int) -> str:
        """One line for people."""
        seconds = max(now_s - self._began_s, 1e-9)
        megabytes = self._payload_bytes / 1e6
        ages = sorted(self._ages_ms.copy())
        old = f"; age ms p50 {quantile(ages, 0.5):.1f}, p99 {quantile(ages, 0.99):.1f}" if ages else ""
        skipped = f"; {replaced} skipped" if replaced else ""
        return (
            f"{self.items} items, {megabytes:.3f} MB in {seconds:.1f} s: {self.items / seconds:.1f}/s, "
            f"{megabytes / seconds:.3f} MB/s{old}{skipped}"
        )


@click.command(context_settings=TAKES_KEYWORDS)
@asks_gateway()
@click.argument("name", shell_complete=complete_stream)
@click.argument("words", nargs=-1, metavar="[ARGUMENT]... [--KEY=VALUE]...")
@click.option("--count", type=click.IntRange(min=1), help="end after so many items")
@click.option(
    "--seconds", type=click.FloatRange(0.0, min_open=True), metavar="SECONDS", help="end after so long"
)
@click.option("--raw", is_flag=True, help="items one behind the other, with nothing between")
@click.option("--files", metavar="PATTERN", help="each item into a file: picture-{n:06}.jpg, or with {ident}")
@click.option("--quiet", is_flag=True, help="no rate and age on stderr")
@json_option("for programs: one object for each item")
def stream(
    remote: Remote,
    name: str,
    words: tuple[str, ...],
    count: int | None,
    seconds: float | None,
    raw: bool,
    files: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Receive the stream NAME of the gateway on HOST until it ends, one item a line.

    Arguments and keywords are typed as with `pynet call`.  A terminal shows
    what can be read of an item.  On stderr: rate and age, the time from when
    an item was made to when it came.
    """
    if raw + as_json + (files is not None) > 1:
        raise click.UsageError("give one of --raw, --files and --json")
    write = (
        _write_raw if raw else _write_json if as_json else _write_line if files is None else _writer_of(files)
    )
    arguments, keywords = typed_arguments(words)
    with remote.client(patience_s=PATIENCE_S) as client:
        offset_ns = client.ping().offset_ns
        client.timeout_s = None
        receiving = _Receiving(client, write, count, offset_ns)
        receiving.run(name, arguments, keywords, seconds, is_quiet=quiet)


class _Receiving:
    """One stream into one writer."""

    def __init__(self, client: Client, write: Write, count: int | None, offset_ns: int) -> None:
        self._client = client
        self._write = write
        self._count = count
        self._offset_ns = offset_ns
        self._meter = Meter(time.monotonic())
        self._error: OSError | None = None

    def run(
        self,
        name: str,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        seconds: float | None,
        *,
        is_quiet: bool,
    ) -> None:
        end_s = None if seconds is None else time.monotonic() + seconds
        # Where items go to the terminal too, a line that renews itself would stand between them.
        is_live = not is_quiet and sys.stderr.isatty() and not (sys.stdout.isatty())
        subscription = self._client.subscribe(name, self._take, list(arguments), **keywords)
        try:
            while True:
                left_s = LOOK_S if end_s is None else min(LOOK_S, end_s - time.monotonic())
                if left_s <= 0 or subscription.wait(left_s):
                    break
                if is_live:
                    click.echo(f"\r{self._shown()}\x1b[K", err=True, nl=False)
        finally:
            subscription.stop()
            if not is_quiet:
                click.echo(f"\r{self._shown()}\x1b[K" if is_live else self._shown(), err=True)
        if self._error is not None:
            raise self._error
        if subscription.error is not None:
            raise subscription.error

    def _shown(self) -> str:
        return self._meter.shown(time.monotonic(), self._client.replaced)

    def _take(self, name: str, ident: int, buffer: bytes) -> bool:
        """In the subscription's thread."""
        age_ms = (time.monotonic_ns() + self._offset_ns - self._client.stamp_ns) / 1e6
        self._meter.count(len(buffer), age_ms)
        try:
            self._write(self._meter.items, ident, buffer, age_ms)
        except OSError as exc:  # the disk is full, or nobody reads any more
            self._error = exc
            return False
        return self._meter.items != self._count


def _write_raw(number: int, ident: int, buffer: bytes, age_ms: float) -> None:
    click.echo(buffer, nl=False)


def _write_json(number: int, ident: int, buffer: bytes, age_ms: float) -> None:
    tell({"ident": ident, "age_ms": round(age_ms, 3), **readable(buffer)})


def _write_line(number: int, ident: int, buffer: bytes, age_ms: float) -> None:
    if sys.stdout.isatty():
        click.echo(for_terminal(buffer).removesuffix("\n"))
    else:
        click.echo(buffer, nl=not buffer.endswith(b"\n"))


def _writer_of(pattern: str) -> Write:
    """Writes each item into a file of its own.

    Raises:
        click.UsageError: The pattern names one file for all.
    """
    try:
        is_same = pattern.format(n=1, ident=1) == pattern.format(n=2, ident=2)
    except (LookupError, ValueError, AttributeError) as exc:
        raise click.UsageError(f"--files {pattern!r}: it may have {{n}} and {{ident}}: {exc!r}") from exc
    if is_same:
        raise click.UsageError(f"--files {pattern!r} is one name for all; put {{n}} into it, or {{ident}}")

    def write(number: int, ident: int, buffer: bytes, age_ms: float) -> None:
        Path(pattern.format(n=number, ident=ident)).write_bytes(buffer)

    return write
