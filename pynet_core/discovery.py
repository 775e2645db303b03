"""Finding gateways without an address: they tell the local network, as mDNS service `_pynet._tcp`.

What is found is what somebody says.  Who it really is, keys prove when it is called.
The library, zeroconf, is imported when it is first needed: without it all else works.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pynet_core.admission import ALL_ADDRESSES, is_loopback
from pynet_core.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_log = logging.getLogger(__name__)

SERVICE: Final = "_pynet._tcp.local."
ROBOT: Final = "robot"  # the kind that windows list
FIND_S: Final = 3.0  # asks at once, after 1 s and after 3; at 10 % loss an answer took 1.3 s
LOOK_PERIOD_S: Final = 2.0  # at our own addresses: Wi-Fi comes late after a boot, and goes
STOP_WAIT_S: Final = 1.0  # three goodbyes take 0.4 s
FINGERPRINT_DIGITS: Final = 16  # of 64: to tell devices apart, not to prove anything
MAX_FOUND: Final = 256  # anybody may say that he is a gateway
MAX_LABEL_BYTES: Final = 63
MAX_TEXT_BYTES: Final = 200  # of 255, with its key
_DETAIL_MS: Final = 1000  # for address and port of one that has said its name
_MISSING: Final = "gateways are found by the package zeroconf, which is not installed: pip install zeroconf"


@dataclass(frozen=True, slots=True)
class FoundGateway:
    """A gateway, as it says itself."""

    name: str
    host: str  # its machine's name
    addresses: tuple[str, ...]
    port: int
    tls: bool
    fingerprint: str  # the first digits of its device's; '' where it has none
    kind: str = ""  # ROBOT, or what else it calls itself


def why_not() -> str:
    """Why nothing can be found or announced here; '' when it can."""
    return "" if importlib.util.find_spec("zeroconf") else _MISSING


def find_gateways(
    seconds: float = FIND_S, on_found: Callable[[FoundGateway], object] | None = None
) -> list[FoundGateway]:
    """Listen for as long; returns the gateways that are there then, by name.

    `on_found` is called for each as it comes, in a thread of the library's;
    what it raises ends the search and comes out here.

    Raises:
        ConfigError: The library is not installed, or this machine has no network at all.
    """
    zeroconf, _ = _library()
    found: dict[str, FoundGateway] = {}
    failed: list[Exception] = []
    is_over = threading.Event()

    def hear(zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if state_change.name == "Removed":
            found.pop(name, None)
            return
        info = zeroconf.get_service_info(service_type, name, _DETAIL_MS)
        if info is None or (name not in found and len(found) >= MAX_FOUND):
            return
        gateway = _found(name, info)
        is_new = found.get(name) != gateway
        found[name] = gateway
        if on_found is not None and is_new:
            try:
                on_found(gateway)
            except Exception as exc:  # not our code; comes out where it was given
                failed.append(exc)
                is_over.set()

    asking = _listen(zeroconf)
    try:
        zeroconf.ServiceBrowser(asking, SERVICE, handlers=[hear])
        is_over.wait(seconds)
    finally:
        asking.close()
    if failed:
        raise failed[0]
    return sorted(found.values(), key=lambda each: (each.name, each.addresses, each.port))


def _listen(zeroconf: Any) -> Any:
    """By both kinds of addresses; by IPv4 alone where there is no IPv6.

    Raises:
        ConfigError: This machine has no network at all.
    """
    try:
        return zeroconf.Zeroconf(ip_version=zeroconf.IPVersion.All)
    except (OSError, RuntimeError) as exc:
        _log.debug("gateways are listened for by IPv4 alone: %s", exc)
    try:
        return zeroconf.Zeroconf(ip_version=zeroconf.IPVersion.V4Only)
    except OSError as exc:
        raise ConfigError(f"this machine has no network to find gateways in: {exc}") from exc


def _found(name: str, info: Any) -> FoundGateway:
    said = {_text(key): _text(value) for key, value in info.properties.items()}
    return FoundGateway(
        name=said.get("name") or name.removesuffix(f".{SERVICE}"),
        host=said.get("host", ""),
        addresses=tuple(told_addresses(info.parsed_scoped_addresses())),
        port=info.port or 0,
        tls=said.get("tls") == "1",
        fingerprint=said.get("fingerprint", ""),
        kind=said.get("kind", ""),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


class Announcement:
    """Tells the local network of a gateway, until `stop`.

    Follows the addresses of this machine as they come and go, in a thread of
    its own.  Of a gateway that only this machine can call nobody is told.
    """

    def __init__(self, name: str, host: str, port: int, fingerprint: str = "", kind: str = "") -> None:
        """`host` and `port` are what the gateway listens on; `fingerprint` that of its device, if any.

        `kind` says what it is, in a word.

        Raises:
            ConfigError: The library is not installed.
        """
        if why := why_not():
            raise ConfigError(why)
        self._name = name
        self._host = host
        self._port = port
        self._properties = {
            "version": "1",
            "name": _cut(name, MAX_TEXT_BYTES),
            "host": socket.gethostname(),
            "tls": "1" if fingerprint else "0",
            "fingerprint": fingerprint[:FINGERPRINT_DIGITS],
            "kind": _cut(kind, MAX_TEXT_BYTES),
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pynet announce", daemon=True)
        if not is_loopback(host):
            self._thread.start()

    def stop(self, timeout_s: float = STOP_WAIT_S) -> None:
        """Say goodbye; waits so long at most.  Idempotent."""
        self.stop_soon()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def stop_soon(self) -> None:
        """The same without waiting."""
        self._stopping.set()

    def _run(self) -> None:
        told: list[str] = []
        telling: Any = None
        complaint = ""
        while not self._stopping.is_set():
            try:
                zeroconf, ifaddr = _library()
                adapters = ifaddr.get_adapters()
                addresses = own_addresses(self._host, [ip.ip for each in adapters for ip in each.ips])
                if addresses != told:
                    if telling is not None:
                        telling.close()
                    telling, told = None, []
                    telling = self._tell(zeroconf, addresses) if addresses else None
                    told = addresses
            except Exception as exc:  # not our code: the gateway goes on without, and we try again
                if repr(exc) != complaint:
                    _log.warning("gateway %r is not announced: %r", self._name, exc)
                complaint = repr(exc)
            self._stopping.wait(LOOK_PERIOD_S)
        if telling is not None:
            telling.close()

    def _tell(self, zeroconf: Any, addresses: list[str]) -> Any:
        """What answers for us until it is closed."""
        info = zeroconf.ServiceInfo(
            SERVICE,
            f"{label_of(self._name)}.{SERVICE}",
            port=self._port,
            properties=self._properties,
            # Not the machine's own name: that one is avahi's, which may have had to choose another.
            server=f"pynet-{os.urandom(4).hex()}.local.",
            parsed_addresses=addresses,
        )
        kinds = {":" in each for each in addresses}
        version = zeroconf.IPVersion
        kind = version.All if len(kinds) == 2 else version.V6Only if True in kinds else version.V4Only
        telling = zeroconf.Zeroconf(interfaces=addresses, ip_version=kind)
        try:
            telling.register_service(info, allow_name_change=True)
        except BaseException:
            telling.close()
            raise
        _log.info("announced as %r on %s", info.name.removesuffix(f".{SERVICE}"), ", ".join(addresses))
        return telling


def own_addresses(host: str, of_machine: Iterable[str | tuple[str, int, int]]) -> list[str]:
    """The addresses under which others can call a gateway that listens on `host`, IPv4 first.

    `of_machine` are all that this machine has now, those of IPv6 with flow and
    scope.  Link-local ones of IPv6 are told where there is no other: they hold
    on one cable only, and the same words go out by all.
    """
    here = {ipaddress.ip_address(each if isinstance(each, str) else each[0]) for each in of_machine}
    ours = [each for each in sorted(here, key=_order) if _hears(host, each) and not is_loopback(str(each))]
    return [str(each) for each in ours if not _is_of_one_cable(each)] or [str(each) for each in ours]


def told_addresses(heard: Iterable[str]) -> list[str]:
    """Those that can be called, IPv4 first: not what is link-local, and of no interface that is known."""
    here = {ipaddress.ip_address(each) for each in heard}
    return [str(each) for each in sorted(here, key=_order) if not _is_of_one_cable(each) or "%" in str(each)]


def _hears(host: str, address: Address) -> bool:
    if host in ALL_ADDRESSES:
        return host == "::" or address.version == 4
    return host.partition("%")[0] == str(address)


def _is_of_one_cable(address: Address) -> bool:
    return address.version == 6 and address.is_link_local


def _order(address: Address) -> tuple[int, bool, str]:
    return address.version, _is_of_one_cable(address), str(address)


def label_of(name: str) -> str:
    """The name as one label of DNS: no dot, nothing unprintable, with room for a number behind it."""
    clean = "".join(each if each.isprintable() and each != "." else " " for each in name)
    return _cut(" ".join(clean.split()), MAX_LABEL_BYTES - 4).strip() or "gateway"


def _cut(text: str, most_bytes: int) -> str:
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore")


def _library() -> tuple[Any, Any]:
    """The modules zeroconf and ifaddr, which it brings along.

    Raises:
        ConfigError: They are not installed.
    """
    # Here: it takes longer to import than all of pynet, and few need it.
    try:
        import ifaddr
        import zeroconf
    except ImportError as exc:
        raise ConfigError(_MISSING) from exc
    # It warns, with a traceback, of each network that goes: to us that is every day's.
    logging.getLogger("zeroconf").setLevel(logging.ERROR)
    return zeroconf, ifaddr
