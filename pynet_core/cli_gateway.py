"""What every verb that calls a gateway shares: its address, and how long an answer may take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

from pynet_core.cli_frame import PORT, Number
from pynet_core.client import Client
from pynet_core.controller import CONNECT_TIMEOUT_S, Controller
from pynet_core.errors import PynetError
from pynet_core.gateway import DEFAULT_PORT

PATIENCE_S: Final = 5.0  # for an answer that needs no code of others
COMPLETION_S: Final = 0.7  # a shell that is to complete a name waits for us


@dataclass(frozen=True, slots=True)
class Remote:
    """The gateway that a person has named; an empty host is this machine."""

    host: str
    port: int
    timeout_s: float | None  # as typed

    def __str__(self) -> str:
        return f"{self.host or 'this machine'} port {self.port}"

    def controller(self) -> Controller:
        """For what opens pairs by itself."""
        # Gateways listen there under IPv4, and a small machine may not know the name.
        return Controller("127.0.0.1" if self.host == "localhost" else self.host, self.port)

    def client(self, purpose: str = "stream", *, patience_s: float | None = None) -> Client:
        """A pair with it; without --timeout an answer may take `patience_s`, or for ever.

        Raises:
            PynetError: It cannot be had, and why.
        """
        client = self.controller().get_client(purpose=purpose, timeout_s=self.timeout_s or CONNECT_TIMEOUT_S)
        client.timeout_s = self.timeout_s or patience_s
        return client


def asks_gateway(
    *, is_optional: bool = False, has_timeout: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """HOST, --port and --timeout, which the verb gets as one `remote`, its first argument."""

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def asking(host: str, port: int | None, timeout_s: float | None = None, **options: Any) -> Any:
            name, own_port = split_address(host)
            if port is not None and own_port is not None and port != own_port:
                raise click.UsageError(f"two ports: {own_port} in {host!r}, and {port} by --port; give one")
            return verb(Remote(name, own_port or port or DEFAULT_PORT, timeout_s), **options)

        timeout = click.option(
            "--timeout",
            "timeout_s",
            type=Number(0.0, 86400.0, min_open=True),
            metavar="SECONDS",
            help=f"for a connection ({CONNECT_TIMEOUT_S:g} when not said), and for an answer",
        )
        for parameter in (
            timeout,
            click.option(
                "--port", type=PORT, help=f"of the gateway; also HOST:PORT  [default: {DEFAULT_PORT}]"
            ),
            click.argument("host", default="") if is_optional else click.argument("host"),
        ):
            if has_timeout or parameter is not timeout:
                asking = parameter(asking)
        return asking

    return decorate


def complete_stream(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """The streams of the gateway that is named before; none when it does not answer soon."""
    return _offered(context, "stream", begun)


def complete_function(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """The same, of its functions."""
    return _offered(context, "function", begun)


def _offered(context: click.Context, kind: str, begun: str) -> list[str]:
    host, port = split_address(context.params.get("host") or "")
    remote = Remote(host, port or context.params.get("port") or DEFAULT_PORT, COMPLETION_S)
    try:
        with remote.client() as client:
            offered = client.list_subroutines()
    except PynetError:
        return []
    return [each.name for each in offered if each.kind == kind and each.name.startswith(begun)]


def split_address(typed: str) -> tuple[str, int | None]:
    """Host and port of "rover", "rover:1857", "192.0.2.1:1857", "fd00::1" or "[fd00::1]:1857".

    Raises:
        click.BadParameter: What stands behind the colon is no port.
    """
    host, colon, port = typed.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        return typed.removeprefix("[").removesuffix("]"), None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise click.BadParameter(f"{typed!r}: a port is 1 to 65535, got {port!r}", param_hint="HOST")
    return host.removeprefix("[").removesuffix("]"), int(port)
