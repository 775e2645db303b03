"""`pynet key`: this device's identity, and the devices it trusts."""

from __future__ import annotations

import os

import click

from pynet_core.certificate import check_certificate
from pynet_core.cli_frame import json_option, tell
from pynet_core.errors import ConfigError
from pynet_core.keys import SECRET_VARIABLE, Identity, fingerprint_of, home
from pynet_core.trust import ROLES, TRUST_FILE, Trusted, TrustStore, decode_certificate, encode_certificate


@click.group()
def key() -> None:
    """This device's identity, and the devices it trusts."""


@key.command()
@json_option()
def new(as_json: bool) -> None:
    """Make an identity for this device."""
    identity = Identity.new()
    path = identity.save(home())
    if not as_json:
        click.echo(f"made {path}")
    _show(identity, as_json)


@key.command()
@json_option()
def show(as_json: bool) -> None:
    """Show this device's identity, as others need it to trust this device."""
    identity = Identity.load(home())
    if identity is None:
        raise ConfigError(f"{home()} holds no identity; make one with `pynet key new`")
    _show(identity, as_json)


def _show(identity: Identity, as_json: bool) -> None:
    said = {"fingerprint": identity.fingerprint, "certificate": encode_certificate(identity.certificate)}
    if as_json:
        tell(said)
    else:
        for title, value in said.items():
            click.echo(f"{title}  {value}")
    if os.environ.get(SECRET_VARIABLE):
        click.echo(f"{SECRET_VARIABLE} is set: programs use that, not this identity", err=True)


@key.command()
@click.argument("certificate")
@click.option("--name", required=True, help="one word, for people")
@click.option(
    "--role",
    required=True,
    type=click.Choice(ROLES),
    help="gateway: we call it; viewer, driver, admin: it may call us, and what it may do then; or both",
)
@json_option()
def trust(certificate: str, name: str, role: str, as_json: bool) -> None:
    """Trust the device that shows this CERTIFICATE under `pynet key show`."""
    try:
        decoded = decode_certificate(certificate)
        check_certificate(decoded)
        device = Trusted(role, name, decoded)
    except ValueError as exc:
        raise ConfigError(f"not trusted: {exc}") from exc
    TrustStore(home() / TRUST_FILE).add(device)
    if as_json:
        tell(device_record(device))
        return
    click.echo(f"{name} is trusted as {role}; over there `pynet key show` must say fingerprint")
    click.echo(fingerprint_of(decoded))


@key.command("list")
@json_option()
def list_(as_json: bool) -> None:
    """List the devices that are trusted: role, name, fingerprint."""
    store = TrustStore(home() / TRUST_FILE)
    for device in store.devices:
        if as_json:
            tell(device_record(device))
        else:
            click.echo(f"{device.role:8} {device.name:16} {device.fingerprint}")
    if not store.devices:
        click.echo(f"nobody is trusted yet; the list is {store.path}", err=True)


@key.command()
@click.argument("name")
@json_option()
def revoke(name: str, as_json: bool) -> None:
    """Trust the device called NAME no longer; gateways that run cut it within 2 s."""
    device = TrustStore(home() / TRUST_FILE).remove(name)
    if as_json:
        tell(device_record(device))
    else:
        click.echo(f"{name} is trusted no longer; it was {device.role}, fingerprint {device.fingerprint}")


def device_record(device: Trusted) -> dict[str, str]:
    """A device on a list, for programs."""
    return {"name": device.name, "role": device.role, "fingerprint": device.fingerprint}
