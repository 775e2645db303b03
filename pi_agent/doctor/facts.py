"""What can be known of this machine without being root and without touching a pin: thin, no judgement.

Files are read below `root`, which is a made-up tree in tests; commands go
through `run`.  What is not there or not readable is None or empty, never an
exception: a laptop has hardly any of it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pi_agent.config import AgentConfig
from pi_agent.outputs.kernel_pwm import find_chip
from pynet_core.errors import HardwareError

Run = Callable[[Sequence[str]], "str | None"]
RUN_S: Final = 10.0
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"  # iw and rfkill are there, and not on a person's path
MODULES: Final = ("gpiozero", "lgpio", "picamera2", "simplejpeg")
DEVICES: Final = ("gpiochip", "gpiomem", "video", "media", "i2c-", "spidev", "pwm")
UNIT_PROPERTIES: Final = [
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "DropInPaths",
    "NRestarts",
    "Result",
    "StatusText",
    "User",
    "SupplementaryGroups",
    "WatchdogUSec",
    "ExecStopPost",
]


@dataclass(frozen=True, slots=True)
class Device:
    """One file in /dev."""

    path: str
    group: str
    mode: int  # permission bits


@dataclass(frozen=True, slots=True)
class Wifi:
    """One wireless interface."""

    name: str
    power_save: bool | None  # None: cannot be told
    signal_dbm: float | None  # None: not connected


@dataclass(frozen=True, slots=True)
class Disk:
    """Where the agent has to write."""

    path: str
    free_bytes: int
    free_inodes: int | None  # None: this file system has no such limit
    read_only: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on the agent's port."""

    pid: int | None  # None: this user may not know
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it; the defaults are a machine of which nothing is known."""

    model: str = ""  # "Raspberry Pi 5 Model B Rev 1.0"; '' is none
    machine: str = ""  # "aarch64"
    kernel: str = ""
    os_name: str = ""
    os_codename: str = ""
    python: tuple[int, int, int] = (0, 0, 0)
    modules: dict[str, str] = field(default_factory=dict)  # those installed, and their versions
    header_pwm: bool = False  # the Pi's own PWM is switched on
    devices: tuple[Device, ...] = ()
    user: str = ""  # that the agent runs as
    groups: frozenset[str] | None = None  # of that user; None: there is no such user
    boot_config: str = ""  # config.txt
    kernel_command_line: str = ""
    cameras: tuple[str, ...] | None = None  # None: nothing here can tell
    wifi: tuple[Wifi, ...] = ()
    clock_synchronized: bool | None = None
    wall_s: float = 0.0
    disks: tuple[Disk, ...] = ()
    runtime_dir: str = ""
    runtime_in_memory: bool | None = None  # None: cannot be told
    config: AgentConfig = field(default_factory=AgentConfig)
    config_file: str = ""  # '' is none: the defaults
    config_problems: tuple[str, ...] = ()
    identity: str = "none"  # ok | none | unseen (this user may not look), else what is wrong with it
    callers: int = 0  # devices that may call
    state_dir: str = ""
    e_stop: str | None = ""  # why it is latched; '' it is not; None: this user may not look
    listener: Listener | None = None  # on the agent's port
    agent_port: int | None = None  # of the agent that answers here; None: none does
    unit: dict[str, str] = field(default_factory=dict)  # of systemd, as UNIT_PROPERTIES; empty: no systemd
    world_unit: str = ""  # ActiveState of the simulated car's world
    throttled: int | None = None  # the firmware's bits
    temperature_c: float | None = None
    watchdog_device: bool = False
    watchdog_armed: bool | None = None


def run(command: Sequence[str]) -> str | None:
    """What a command says; None when it is not there, fails, or takes longer than 10 s."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:{_SBIN}"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=RUN_S,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def read(path: Path) -> str:
    """The text of a small file; '' where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace").rstrip("\0")
    except OSError:
        return ""


def children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


# The machine.


def board_model(root: Path) -> str:
    model = read(root / "proc/device-tree/model").strip()
    return model if "Raspberry Pi" in model else ""


def os_release(root: Path) -> tuple[str, str]:
    """(name for people, codename)."""
    lines = (line.partition("=") for line in read(root / "etc/os-release").splitlines())
    values = {key.strip(): value.strip().strip("\"'") for key, _, value in lines}
    return values.get("PRETTY_NAME", ""), values.get("VERSION_CODENAME", "")


def module_versions(names: Iterable[str] = MODULES) -> dict[str, str]:
    """Those that Python finds, imported or not; '' where the version is not told."""
    found = {}
    for name in names:
        with contextlib.suppress(ImportError, ValueError):
            if importlib.util.find_spec(name) is not None:
                found[name] = ""
                with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                    found[name] = importlib.metadata.version(name)
    return found


def boot_config(root: Path) -> str:
    return read(root / "boot/firmware/config.txt") or read(root / "boot/config.txt")


def header_pwm(root: Path) -> bool:
    try:
        find_chip(root / "sys/class/pwm")
    except (HardwareError, OSError):
        return False
    return True


def power(root: Path, run: Run) -> int | None:
    """The firmware's throttling bits, 0 is all well: bit 0 undervoltage now, bit 16 since boot."""
    said = (run(["vcgencmd", "get_throttled"]) or "").strip().partition("=")[2]
    with contextlib.suppress(ValueError):
        return int(said, 16)
    for sensor in children(root / "sys/class/hwmon"):
        if read(sensor / "name").strip() == "rpi_volt":
            return int(read(sensor / "in0_lcrit_alarm").strip() == "1")
    return None


def temperature_c(root: Path) -> float | None:
    try:
        return int(read(root / "sys/class/thermal/thermal_zone0/temp")) / 1000
    except ValueError:
        return None


def cameras(run: Run) -> tuple[str, ...] | None:
    """Names of those that libcamera sees; None when no tool is there to ask."""
    for tool in ("rpicam-hello", "libcamera-hello"):
        said = run([tool, "--list-cameras"])
        if said is not None:
            lines = (line.strip().partition(" : ") for line in said.splitlines())
            return tuple(rest for number, _, rest in lines if number.isdigit() and rest)
    return None


# Who may what.


def devices(root: Path) -> tuple[Device, ...]:
    names = {gid: name for name, gid, _ in _group_lines(root)}
    found = []
    for path in children(root / "dev"):
        if path.name.startswith(DEVICES):
            with contextlib.suppress(OSError):
                status = path.stat()
                group = names.get(status.st_gid, str(status.st_gid))
                found.append(Device(f"/dev/{path.name}", group, stat.S_IMODE(status.st_mode)))
    return tuple(found)


def groups_of(root: Path, user: str) -> frozenset[str] | None:
    """The groups this user is in; None when there is no such user."""
    for line in read(root / "etc/passwd").splitlines():
        fields = line.split(":")
        if fields[0] == user and len(fields) > 3:
            lines = _group_lines(root)
            return frozenset(name for name, gid, members in lines if str(gid) == fields[3] or user in members)
    return None


def _group_lines(root: Path) -> list[tuple[str, int, list[str]]]:
    split = (line.split(":") for line in read(root / "etc/group").splitlines())
    return [
        (line[0], int(line[2]), line[3].split(",")) for line in split if len(line) > 3 and line[2].isdecimal()
    ]


def unit(run: Run, name: str) -> dict[str, str]:
    """What systemd says of the service; empty where there is no systemd."""
    said = run(["systemctl", "show", f"{name}.service", f"--property={','.join(UNIT_PROPERTIES)}"])
    lines = (line.partition("=") for line in (said or "").splitlines())
    return {key: value for key, _, value in lines if key in UNIT_PROPERTIES}


# The network.


def wireless(root: Path, run: Run) -> tuple[Wifi, ...]:
    signals = {}
    for line in read(root / "proc/net/wireless").splitlines()[2:]:
        words = line.split()
        with contextlib.suppress(ValueError, IndexError):
            signals[words[0].rstrip(":")] = float(words[3])
    found = []
    for link in children(root / "sys/class/net"):
        if (link / "wireless").exists() or (link / "phy80211").exists():
            said = (run(["iw", "dev", link.name, "get", "power_save"]) or "").lower()
            power_save = None if "power save" not in said else said.strip().endswith("on")
            found.append(Wifi(link.name, power_save, signals.get(link.name)))
    return tuple(found)


def listener(root: Path, port: int) -> Listener | None:
    """Who listens on this TCP port."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in read(root / "proc/net" / table).splitlines()[1:]:
            words = line.split()
            if len(words) > 9 and words[3] == "0A" and words[1].endswith(f":{port:04X}"):
                inodes.add(f"socket:[{words[9]}]")
    if not inodes:
        return None
    for process in children(root / "proc"):
        if process.name.isdecimal():
            for entry in children(process / "fd"):
                with contextlib.suppress(OSError):
                    if str(entry.readlink()) in inodes:
                        return Listener(int(process.name), read(process / "comm").strip())
    return Listener(None, "")


def clock_synchronized(root: Path, run: Run) -> bool | None:
    said = (run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]) or "").strip()
    if said in ("yes", "no"):
        return said == "yes"
    return True if (root / "run/systemd/timesync/synchronized").exists() else None


# What the agent writes to, and what watches it.


def disk(root: Path, folder: Path) -> Disk | None:
    """Of the folder, or the nearest above it that exists."""
    for path in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            status = os.statvfs(root / path.relative_to("/"))
            return Disk(
                str(folder),
                status.f_bavail * status.f_frsize,
                status.f_favail if status.f_files else None,
                bool(status.f_flag & os.ST_RDONLY),
            )
    return None


def watchdog_armed(run: Run) -> bool | None:
    """Whether systemd feeds the hardware watchdog; None when it cannot be told."""
    said = run(["systemctl", "show", "--property=RuntimeWatchdogUSec", "--value"])
    return None if said is None or not said.strip() else said.strip() not in ("0", "infinity", "off")


def machine() -> tuple[str, str, tuple[int, int, int], float]:
    """(processor, kernel, Python, wall clock s) of the machine this runs on."""
    return platform.machine(), platform.release(), sys.version_info[:3], time.time()
