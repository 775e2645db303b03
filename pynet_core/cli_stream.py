"""`pynet stream`: the items of a generator, as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from pynet_core.cli_frame import Number, json_option, tell
from pynet_core.cli_gateway import PATIENCE_S, Remote, asks_gateway, complete_stream
from pynet_core.cli_values import TAKES_KEYWORDS, for_terminal, readable, typed_arguments
from pynet_core.client import Client
from pynet_core.stats import StreamStats

LOOK_S: Final = 1.0  # how often the rate on stderr is renewed

Write = Callable[[int, int, bytes, float], None]  # (number from 1, ident, buffer, age_ms)


def figures(stats: StreamStats, seconds: float) -> str:
    """One line for people."""
    seconds = max(seconds, 1e-9)
    megabytes = stats.payload_bytes / 1e6
    old = f"; age ms p50 {stats.age_p50_ms:.1f}, p99 {stats.age_p99_ms:.1f}" if stats.items else ""
    skipped = f"; {stats.replaced} skipped" if stats.replaced else ""
    return (
        f"{stats.items} items, {megabytes:.3f} MB in {seconds:.1f} s: {stats.items / seconds:.1f}/s, "
        f"{megabytes / seconds:.3f} MB/s{old}{skipped}"
    )


@click.command(context_settings=TAKES_KEYWORDS, short_help="Receive a stream of a gateway.")
@asks_gateway()
@click.argument("name", shell_complete=complete_stream)
@click.argument("words", nargs=-1, metavar="[ARGUMENT]... [--KEY=VALUE]...")
@click.option("--count", type=click.IntRange(min=1), help="end after so many items")
@click.option("--seconds", type=Number(0.0, min_open=True), metavar="SECONDS", help="end after so long")
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
        client.ping()  # tells the clocks apart
        client.timeout_s = None
        receiving = _Receiving(client, write, count)
        receiving.run(name, arguments, keywords, seconds, is_quiet=quiet)


class _Receiving:
    """One stream into one writer."""

    def __init__(self, client: Client, write: Write, count: int | None) -> None:
        self._client = client
        self._write = write
        self._count = count
        self._taken = 0
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
        began_s = time.monotonic()
        end_s = None if seconds is None else began_s + seconds
        # Where items go to the terminal too, a line that renews itself would stand between them.
        is_live = not is_quiet and sys.stderr.isatty() and not sys.stdout.isatty()
        subscription = self._client.subscribe(name, self._take, list(arguments), **keywords)

        def shown() -> str:
            return figures(subscription.stats, time.monotonic() - began_s)

        try:
            while True:
                left_s = LOOK_S if end_s is None else min(LOOK_S, end_s - time.monotonic())
                if left_s <= 0 or subscription.wait(left_s):
                    break
                if is_live:
                    click.echo(f"\r{shown()}\x1b[K", err=True, nl=False)
        finally:
            subscription.stop()
            # Of a stream that never began there is nothing to tell but why.
            if not is_quiet and (is_live or self._taken or subscription.error is None):
                click.echo(f"\r{shown()}\x1b[K" if is_live else shown(), err=True)
        if self._error is not None:
            raise self._error
        if subscription.error is not None:
            raise subscription.error

    def _take(self, name: str, ident: int, buffer: bytes) -> bool:
        """In the subscription's thread."""
        # The offset is known to half a round trip: what has just come may seem younger than that.
        age_ms = max(0, time.monotonic_ns() + self._client.offset_ns - self._client.stamp_ns) / 1e6
        self._taken += 1
        try:
            self._write(self._taken, ident, buffer, age_ms)
        except OSError as exc:  # the disk is full, or nobody reads any more
            self._error = exc
            return False
        return self._taken != self._count


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
    except (LookupError, ValueError, AttributeError, TypeError, MemoryError) as exc:
        raise click.UsageError(f"--files {pattern!r}: it may have {{n}} and {{ident}}: {exc!r}") from exc
    if is_same:
        raise click.UsageError(f"--files {pattern!r} is one name for all; put {{n}} into it, or {{ident}}")

    def write(number: int, ident: int, buffer: bytes, age_ms: float) -> None:
        Path(pattern.format(n=number, ident=ident)).write_bytes(buffer)

    return write
