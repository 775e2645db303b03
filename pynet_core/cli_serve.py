"""`pynet serve`: a gateway for the functions and generators of a module, or one that a module has made."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

import click
from click.core import ParameterSource

from pynet_core.admission import HOW_TO_OPEN, is_loopback
from pynet_core.cli_frame import json_option, printable, tell
from pynet_core.cli_targets import Target, load_target
from pynet_core.discovery import why_not
from pynet_core.errors import ConfigError
from pynet_core.feed import Keep
from pynet_core.gateway import DEFAULT_POOLSIZE, DEFAULT_PORT, Gateway
from pynet_core.subroutines import Role
from pynet_core.switching import SWITCH_INTERVAL_S

LOOK_S: Final = 0.2  # whether somebody has closed the gateway
OF_BOTH: Final = frozenset({"targets", "as_json", "verbose"})  # go with a gateway that a module has made too


@click.command(short_help="Serve functions, generators or a gateway of a module.")
@click.argument("targets", nargs=-1, metavar="[MODULE:NAME | FILE.py:NAME]...")
@click.option("--host", help="to listen on; '::' is all addresses, and takes keys  [default: this machine]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="0: any that is free",
)
@click.option(
    "--pool",
    type=click.IntRange(min=1),
    default=DEFAULT_POOLSIZE,
    show_default=True,
    help="pairs at a time",
)
@click.option("--name", default="", help="of the gateway, for people  [default: this machine's]")
@click.option("--shared", is_flag=True, help="one generator feeds all who receive its stream")
@click.option("--latest", is_flag=True, help="who is slow to receive a stream skips to the newest item")
@click.option(
    "--role",
    type=click.Choice([role.name.lower() for role in Role]),
    default="viewer",
    show_default=True,
    help="that callers need",
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="a folder whose files admins may read; may be repeated; without, none",
)
@click.option("--allow-remove", is_flag=True, help="admins may remove there what they may read")
@click.option(
    "--download-dir",
    default="",
    type=click.Path(file_okay=False),
    help="where admins may write  [default: Downloads]",
)
@click.option(
    "--announce/--no-announce",
    default=None,
    help="to the local network, for pynet find  [default: where others can call]",
)
@click.option("--verbose", is_flag=True, help="a diary on stderr")
@json_option("for programs: one object when it runs")
@click.pass_context
def serve(
    context: click.Context, /, targets: tuple[str, ...], verbose: bool, as_json: bool, **options: Any
) -> None:
    """Serve functions, generators or a whole gateway of a MODULE or FILE, until Ctrl-C.

    A function or generator is offered under its own NAME.  If NAME is a Gateway
    it is started as it is.  Without any, the gateway answers pings and gives
    files.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    loaded = [load_target(target) for target in targets]
    has_made = any(isinstance(target.value, Gateway) for target in loaded)
    _run(_gateway_alone(context, loaded) if has_made else _gateway_of(loaded, **options), as_json)


def _gateway_alone(context: click.Context, loaded: Sequence[Target]) -> Gateway:
    if len(loaded) > 1:
        raise click.UsageError("a gateway is served alone; give either that, or functions and generators")
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in OF_BOTH
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"{loaded[0].said} is a gateway, which was made with its own; leave out {given[0]}"
        )
    gateway = loaded[0].value
    assert isinstance(gateway, Gateway)
    return gateway


def _gateway_of(
    loaded: Sequence[Target],
    *,
    host: str | None,
    port: int,
    pool: int,
    name: str,
    shared: bool,
    latest: bool,
    role: str,
    roots: tuple[str, ...],
    allow_remove: bool,
    download_dir: str,
    announce: bool | None,
) -> Gateway:
    if (shared or latest) and not any(target.is_stream for target in loaded):
        raise click.UsageError("--shared and --latest are for generators, and there is none")
    try:
        gateway = Gateway(
            port,
            pool,
            download_dir,
            host=host,
            name=name,
            roots=roots,
            allow_remove=allow_remove,
            announce=not why_not() if announce is None else announce,
            switch_interval_s=SWITCH_INTERVAL_S,
        )
        for target in loaded:
            keep: Keep = "latest" if latest and target.is_stream else "every"
            is_shared = shared and target.is_stream
            gateway.add_subroutine(target.name, target.value, shared=is_shared, keep=keep, role=role)
    except ConfigError:  # which is a ValueError too
        raise
    except (ValueError, TypeError) as exc:
        raise click.UsageError(str(exc)) from exc
    if announce and is_loopback(gateway.host):
        raise click.UsageError(f"--announce: only this machine can call it; {HOW_TO_OPEN}")
    return gateway


def _run(gateway: Gateway, as_json: bool) -> None:
    """Until Ctrl-C, SIGTERM, or an admin who closes it."""
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        if not gateway.is_running:
            gateway.start()
        _tell_how_to_reach(gateway, as_json)
        while gateway.is_running:
            time.sleep(LOOK_S)
        click.echo("a peer has closed the gateway", err=True)
    except KeyboardInterrupt:
        pass  # that is how it ends
    finally:
        gateway.stop()


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell_how_to_reach(gateway: Gateway, as_json: bool) -> None:
    offered = [each.name for each in gateway.registry.offerings("admin")]
    is_open = not is_loopback(gateway.host)
    if as_json:
        tell(
            {
                "name": gateway.name,
                "host": gateway.host,
                "port": gateway.port,
                "tls": bool(gateway.fingerprint),
                "fingerprint": gateway.fingerprint,
                "announced": is_open and gateway.announces,
                "subroutines": offered,
            }
        )
        return
    place = "" if gateway.port == DEFAULT_PORT else f":{gateway.port}"
    lines = [
        f"gateway {gateway.name!r} listens on {gateway.host} port {gateway.port}",
        f"offers   {', '.join(offered) or 'no subroutine'}",
        f"here     pynet ls localhost{place}",
    ]
    if is_open:
        told = "; pynet find finds it" if gateway.announces else ""
        lines.append(f"others   pynet ls {socket.gethostname()}{place}{told}")
    lines.append(f"lets in  {gateway.admission}")
    if gateway.fingerprint:
        lines.append(f"its key  fingerprint {gateway.fingerprint}; to let a device in:  pynet pair --serve")
    for line in lines:
        click.echo(printable(line))
    click.echo("Ctrl-C stops it.")
