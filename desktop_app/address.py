"""What a person types to name a robot: HOST, HOST:PORT or [IPv6]:PORT.  Pure."""

from __future__ import annotations

import re

from pynet_car.messages import DEFAULT_PORT

_PLAIN = re.compile(r"(?P<host>[^\s:\[\]/]+)(?::(?P<port>\d{1,5}))?")
_IPV6 = re.compile(r"\[(?P<host>[0-9A-Fa-f:.%\w]+)\](?::(?P<port>\d{1,5}))?")
_BARE_IPV6 = re.compile(r"(?P<host>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?)")


def parse_address(text: str) -> tuple[str, int]:
    """(host, port), the usual port where none is named.

    Raises:
        ValueError: It is no address; the text says what one looks like.
    """
    text = text.strip()
    for pattern in (_PLAIN, _IPV6, _BARE_IPV6):
        found = pattern.fullmatch(text)
        if found:
            port = int(found.groupdict().get("port") or DEFAULT_PORT)
            if 1 <= port <= 65535 and _is_name(found["host"]):
                return found["host"], port
    raise ValueError(
        f"“{text[:60]}” is no address. Type a name or address: rover.local or 192.168.1.37:1857."
    )


def _is_name(host: str) -> bool:
    """Whether a resolver takes it: no label is empty or too long."""
    try:
        return len(host.encode("idna")) <= 253
    except UnicodeError:
        return False


def format_address(host: str, port: int) -> str:
    """As a person would type it: the usual port stays unsaid."""
    if port == DEFAULT_PORT:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
