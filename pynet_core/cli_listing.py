"""`pynet ls HOST PATH`: files and folders at a gateway."""

from __future__ import annotations

import datetime
import stat
from collections.abc import Iterable, Sequence

import click

from pynet_core.cli_frame import EXIT_SOME_FAILED, printable, tell
from pynet_core.cli_gateway import Remote
from pynet_core.cli_table import show_table
from pynet_core.errors import FilesError
from pynet_core.transfer.options import Found, Options

_KINDS = {"file": "-", "folder": "d", "link": "l"}


def list_paths(
    remote: Remote, paths: Sequence[str], *, long: bool, recursive: bool, landed: bool, as_json: bool
) -> int:
    """Say what is there; returns the exit code."""
    options = Options(recursive=recursive, symlinks="keep")
    found = remote.controller().list_files(paths, options=options, landed=landed, names_folders=True)
    shown: list[tuple[str, ...]] = []
    code = 0
    try:
        for one in found:
            if as_json:
                tell(record(one))
            elif long:
                shown.append(row(one))
            else:
                click.echo(printable(name(one)))
    except FilesError as exc:
        code = EXIT_SOME_FAILED
        _say(exc.failed.items(), as_json=as_json)
    if shown:
        show_table(("mode", "bytes", "changed", "path"), shown)
    return code


def _say(failed: Iterable[tuple[str, str]], *, as_json: bool) -> None:
    for path, reason in failed:
        if as_json:
            tell({"path": path, "reason": reason})
        else:
            click.echo(f"pynet: {printable(path)}: {printable(reason)}", err=True)


def name(one: Found) -> str:
    return f"{one.path}/" if one.kind == "folder" else one.path


def row(one: Found) -> tuple[str, ...]:
    """Mode, bytes, local time and name, as `ls -l` has them."""
    mode = _KINDS[one.kind] + stat.filemode(one.mode)[1:]
    when = datetime.datetime.fromtimestamp(one.mtime_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")
    path = f"{one.path} -> {one.target}" if one.kind == "link" else name(one)
    return mode, f"{one.size:,}", when, path


def record(one: Found) -> dict[str, object]:
    """The same for programs."""
    return {
        "path": one.path,
        "kind": one.kind,
        "bytes": one.size,
        "mtime_ns": one.mtime_ns,
        "mode": f"{one.mode:04o}",
        "target": one.target,
    }
