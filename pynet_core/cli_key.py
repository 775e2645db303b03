"""`pynet key`: this device's identity, and the devices it trusts."""

from __future__ import annotations

import os

import click

from pynet_core.certificate import check_certificate
from pynet_core.errors import ConfigError
from pynet_core.keys import SECRET_VARIABLE, Identity, fingerprint_of, home
from pynet_core.trust import ROLES, TRUST_FILE, Trusted, TrustStore, decode_certificate, encode_certificate


@click.group()
def key() -> None:
    """This device's identity, and the devices it trusts."""


@key.command()
def new() -> None:
    """Make an identity for this device."""
    identity = Identity.new()
    click.echo(f"made {identity.save(home())}")
    _show(identity)


@key.command()
def show() -> None:
    """Show this device's identity, as others need it to trust this device."""
    identity = Identity.load(home())
    if identity is None:
        raise ConfigError(f"{home()} holds no identity; make one with `pynet key new`")
    _show(identity)


def _show(identity: Identity) -> None:
    click.echo(f"fingerprint  {identity.fingerprint}")
    click.echo(f"certificate  {encode_certificate(identity.certificate)}")
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
def trust(certificate: str, name: str, role: str) -> None:
    """Trust the device that shows this CERTIFICATE under `pynet key show`."""
    try:
        decoded = decode_certificate(certificate)
        check_certificate(decoded)
        device = Trusted(role, name, decoded)
    except ValueError as exc:
        raise ConfigError(f"not trusted: {exc}") from exc
    TrustStore(home() / TRUST_FILE).add(device)
    click.echo(f"{name} is trusted as {role}; over there `pynet key show` must say fingerprint")
    click.echo(fingerprint_of(decoded))


@key.command("list")
def list_() -> None:
    """List the devices that are trusted: role, name, fingerprint."""
    store = TrustStore(home() / TRUST_FILE)
    for device in store.devices:
        click.echo(f"{device.role:8} {device.name:16} {device.fingerprint}")
    if not store.devices:
        click.echo(f"nobody is trusted yet; the list is {store.path}", err=True)


@key.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Trust the device called NAME no longer; gateways that run cut it within 2 s."""
    device = TrustStore(home() / TRUST_FILE).remove(name)
    click.echo(f"{name} is trusted no longer; it was {device.role}, fingerprint {device.fingerprint}")
