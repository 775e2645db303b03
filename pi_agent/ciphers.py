"""Which cipher the worker's gateway prefers: ChaCha20, unless this processor does AES by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")
OPENSSL_CONF: Final = Path(__file__).with_name("openssl.cnf")
_VARIABLE: Final = "OPENSSL_CONF"


def has_aes(cpu_info: str) -> bool:
    """Whether a processor that says this of itself (/proc/cpuinfo) has instructions for AES."""
    lines = (line.partition(":") for line in cpu_info.splitlines())
    return any(key.strip() in ("flags", "Features") and "aes" in value.split() for key, _, value in lines)


def environment_for(environment: Mapping[str, str], cpu_info: str) -> dict[str, str]:
    """The environment of a process that is to prefer the right cipher; what a person has set in it stays."""
    if not cpu_info or has_aes(cpu_info) or _VARIABLE in environment:
        return dict(environment)
    return {**environment, _VARIABLE: str(OPENSSL_CONF)}


def cpu_info() -> str:
    """What this processor says of itself; '' where that cannot be told."""
    try:
        return CPU_INFO.read_text("ascii", "replace")
    except OSError:
        return ""
