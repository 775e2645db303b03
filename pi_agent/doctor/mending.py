"""What doctor mends by itself, when told to: Wi-Fi power save."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pi_agent.doctor.facts import Run, wireless
from pynet_core.errors import HardwareError

NETWORK_MANAGER: Final = Path("etc/NetworkManager")
_NM_FILE: Final = NETWORK_MANAGER / "conf.d/pynet-wifi.conf"
_NM_TEXT: Final = (
    "# pynet: power save makes commands seconds late.  2 is off.\n[connection]\nwifi.powersave = 2\n"
)
_UDEV_FILE: Final = Path("etc/udev/rules.d/90-pynet-wifi.rules")
_UDEV_TEXT: Final = (
    "# pynet: power save makes commands seconds late.\n"
    'ACTION=="add", SUBSYSTEM=="net", KERNEL=="wl*", RUN+="/usr/sbin/iw dev %k set power_save off"\n'
)


def mend_wifi(root: Path, run: Run, *, is_root: bool | None = None) -> Iterator[str]:
    """Switch power save off, now and at each start; a sentence for each thing done.

    Raises:
        HardwareError: It is not off now; says what to do.
    """
    if not (os.geteuid() == 0 if is_root is None else is_root):
        raise HardwareError("this takes root:  sudo pynet-agent doctor --fix wifi")
    links = wireless(root, run)
    if not links:
        raise HardwareError("there is no Wi-Fi on this machine")
    if run(["iw", "--version"]) is None:
        raise HardwareError("iw is not installed:  sudo apt install iw")
    for link in links:
        run(["iw", "dev", link.name, "set", "power_save", "off"])
    for link in wireless(root, run):
        if link.power_save is not False:
            raise HardwareError(f"{link.name}: the driver keeps power save on; see:  dmesg | grep -i wlan")
        yield f"{link.name}: power save is off now"
    by_manager = (root / NETWORK_MANAGER).is_dir()
    path, text = (_NM_FILE, _NM_TEXT) if by_manager else (_UDEV_FILE, _UDEV_TEXT)
    try:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    except OSError as exc:
        raise HardwareError(f"off until the next start only: /{path}: {exc.strerror or exc}") from exc
    run(["nmcli", "general", "reload", "conf"] if by_manager else ["udevadm", "control", "--reload"])
    yield f"and stays off: /{path}"
