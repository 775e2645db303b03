"""How the self-test gets in: as anybody may, or as a device that is trusted while it runs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pi_agent.report import Report
from pi_agent.selftest.driver import DEVICE, Door
from pynet_core.admission import ALL_ADDRESSES
from pynet_core.errors import ConfigError, HardwareError
from pynet_core.keys import SECRET_VARIABLE, Identity, secret_identity
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore


@contextlib.contextmanager
def door_of(report: Report, state_dir: Path) -> Iterator[Door]:
    """The way in while the block runs.

    Raises:
        HardwareError: This user has no right to it; says what to type.
    """
    host = "" if report.host in ("", *ALL_ADDRESSES, "localhost") else report.host
    if report.keys == "secret" and secret_identity() is None:
        raise HardwareError(f"this robot asks for its {SECRET_VARIABLE}: set it, and try again")
    if report.keys != "identity":
        yield Door(host, report.port, "")
        return
    again = f"this robot lets in only devices it knows, and {state_dir} is not for this user; use sudo"
    try:
        car = Identity.load(state_dir)
        trust = TrustStore(state_dir / TRUST_FILE)
    except ConfigError as exc:
        raise HardwareError(f"{again}: {exc}") from exc
    if car is None:
        raise HardwareError(f"{again}: there is no identity; is this its state directory?")
    us = Identity.new()
    with tempfile.TemporaryDirectory(prefix="pynet-selftest-") as home:
        us.save(Path(home))
        TrustStore(Path(home) / TRUST_FILE).add(Trusted("gateway", "robot", car.certificate))
        try:
            trust.add(Trusted("driver", DEVICE, us.certificate))
        except ConfigError as exc:
            raise HardwareError(f"{again}: {exc}") from exc
        try:
            yield Door(host, report.port, home)
        finally:
            with contextlib.suppress(ConfigError):  # somebody has struck it off already
                trust.remove(DEVICE)
