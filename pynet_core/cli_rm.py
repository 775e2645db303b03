"""`pynet rm`: remove what has been sent to a gateway."""

from __future__ import annotations

import posixpath

import click

from pynet_core.cli_frame import EXIT_SOME_FAILED, json_option, printable, tell
from pynet_core.cli_gateway import Remote, asks_gateway
from pynet_core.errors import FilesError


@click.command(short_help="Remove files and folders on another machine.")
@asks_gateway(has_timeout=False)
@click.argument("paths", nargs=-1, required=True)
@click.option("--recursive", "-r", is_flag=True, help="folders with all that is in them, not only empty ones")
@json_option("for programs: an object for each that is still there, and one at the end")
def rm(remote: Remote, paths: tuple[str, ...], recursive: bool, as_json: bool) -> None:
    """Remove PATHS on the machine HOST: below its download folder, where `pynet put` puts them.

    Full paths are removed only where the gateway was told to allow it
    (`allow_remove`).  No link is followed.  Exit code 3 when some are still there.
    """
    controller = remote.controller()
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        folder, name = "", path.rstrip("/")
        if path.startswith("/"):
            above, _, name = name.rpartition("/")
            folder = above or "/"
        by_folder.setdefault(folder, []).append(name)
    gone, failed = 0, dict[str, str]()
    for folder, names in by_folder.items():
        try:
            gone += controller.remove_files(names, folder, landed=not folder, recursive=recursive)
        except FilesError as exc:
            gone += len(names) - len(exc.failed)
            failed |= {posixpath.join(folder, name): why for name, why in exc.failed.items()}
    for path, reason in failed.items():
        if as_json:
            tell({"path": path, "reason": reason})
        else:
            click.echo(f"pynet: {printable(path)}: {printable(reason)}", err=True)
    if as_json:
        tell({"removed": gone, "failed": len(failed)})
    raise SystemExit(EXIT_SOME_FAILED if failed else 0)
