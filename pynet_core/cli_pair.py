"""`pynet pair`: two devices come to trust each other by a code that one shows and the other is told."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from pynet_core.cli_frame import PORT, json_option, tell
from pynet_core.cli_key import device_record
from pynet_core.errors import DeadlineExceeded
from pynet_core.keys import Identity, home
from pynet_core.pairing import clean_code, spoken
from pynet_core.pairing_link import OPEN_S, PAIRING_PORT, ask_pairing, host_pairing
from pynet_core.trust import CALLER_ROLES, TRUST_FILE, TrustStore


@click.command(short_help="Let two devices trust each other, by a code.")
@click.argument("host", required=False)
@click.option("--serve", is_flag=True, help="show a code and wait for the other device")
@click.option(
    "--role",
    default="driver",
    show_default=True,
    type=click.Choice(CALLER_ROLES),
    help="what the other device may do here, with --serve",
)
@click.option("--port", type=PORT, default=PAIRING_PORT, show_default=True)
@json_option()
def pair(host: str | None, serve: bool, role: str, port: int, as_json: bool) -> None:
    """Pair with the gateway on HOST; there, run `pynet pair --serve`, which shows the code to type here."""
    if serve == (host is not None):
        raise click.UsageError("say either --serve, here, or the HOST that shows a code")
    if host is None:
        serve_pairing(home(), role, port, as_json=as_json)
        return
    identity, trust = _credentials(home(), as_json)
    code = click.prompt("Code", value_proc=_code, err=as_json)
    paired = ask_pairing(identity, trust, host, code, name=socket.gethostname(), port=port)
    gateway = paired.gateway
    if as_json:
        tell({**device_record(gateway), "our_role": paired.role})
        return
    click.echo(f"paired: {gateway.name} is trusted as {gateway.role}, this device there as {paired.role}")


def serve_pairing(folder: Path, role: str, port: int | None = None, *, as_json: bool = False) -> None:
    """Show a code on the terminal and wait for a device; identity and list are kept in `folder`.

    Raises:
        LinkError: Nobody came, or only wrong codes, or the port is taken.
        ConfigError: The folder is not fit for use.
    """

    def show(code: str, port: int) -> None:
        if as_json:
            tell({"code": code, "host": socket.gethostname(), "port": port, "open_s": OPEN_S})
            return
        where = socket.gethostname() if port == PAIRING_PORT else f"{socket.gethostname()} --port {port}"
        click.echo(f"On the other device, within {OPEN_S:g} s, in the window or by:  pynet pair {where}")
        click.echo(f"Code:  {spoken(code)}")

    identity, trust = _credentials(folder, as_json)
    try:
        device = host_pairing(
            identity, trust, show, name=socket.gethostname(), role=role, port=port or PAIRING_PORT
        )
    except DeadlineExceeded as exc:
        raise DeadlineExceeded("nobody came to pair; run it again for a new code") from exc
    if as_json:
        tell(device_record(device))
        return
    click.echo(f"paired: {device.name} is trusted as {device.role}, fingerprint {device.fingerprint}")


def _credentials(folder: Path, as_json: bool) -> tuple[Identity, TrustStore]:
    identity = Identity.load(folder)
    if identity is None:
        identity = Identity.new()
        click.echo(f"made {identity.save(folder)}", err=as_json)
    return identity, TrustStore(folder / TRUST_FILE)


def _code(typed: str) -> str:
    try:
        return clean_code(typed)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc
