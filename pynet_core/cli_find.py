"""`pynet find`: the gateways that tell of themselves in this network."""

from __future__ import annotations

from dataclasses import asdict

import click

from pynet_core.cli_frame import Number, json_option, tell
from pynet_core.cli_table import show_table
from pynet_core.discovery import FIND_S, FoundGateway, find_gateways


@click.command("find", short_help="Find the gateways of this network.")
@click.option(
    "--seconds",
    default=FIND_S,
    show_default=True,
    type=Number(0.1, 3600.0),
    metavar="SECONDS",
    help="to listen",
)
@json_option("for programs: one object for each, as it is found")
def find_(seconds: float, as_json: bool) -> None:
    """Find the gateways of this network; exit code 1 when there is none.

    They tell of themselves if they have been asked to, as `pynet serve` and
    the robot daemon do, and if others can call them.  Any other is called by
    its address.  Who it is that answers there, keys prove, not this list.
    """
    told: list[FoundGateway] = []  # of which some may have gone again, or be about to tell a new address

    def tell_one(gateway: FoundGateway) -> None:
        told.append(gateway)
        tell(asdict(gateway))

    found = find_gateways(seconds, tell_one if as_json else None)
    if not found and not told:
        click.echo(f"no gateway has told of itself within {seconds:g} s; call one by its address", err=True)
        raise SystemExit(1)
    if not as_json:
        rows = [
            (
                each.name,
                each.kind or "gateway",
                each.host,
                ", ".join(each.addresses),
                str(each.port),
                "TLS" if each.tls else "plain",
                each.fingerprint or "-",
            )
            for each in found
        ]
        show_table(("name", "kind", "host", "address", "port", "speaks", "fingerprint"), rows)
