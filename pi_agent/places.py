"""Where the agent keeps its files, and where a person's command finds those of the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pynet_car.world.memory import memory_folder

SERVICE: Final = "pynet-agent"
WORLD_SERVICE: Final = "pynet-agent-sim"
SERVICE_USER: Final = "pynet"
SERVICE_RUNTIME: Final = Path("/run/pynet-agent")
SERVICE_STATE: Final = Path("/var/lib/pynet-agent")
SERVICE_CONFIG: Final = Path("/etc/pynet/agent.toml")
LOCK_FILE: Final = "guardian.lock"  # in the runtime directory: held while a guardian lives


def own_runtime_dir() -> Path:
    """For what lives as long as the agent: systemd's choice, else this user's."""
    # systemd makes these folders and names them in the environment; a person has places of his own.
    own = (memory_folder() or Path("/tmp")) / f"user-{os.getuid()}"
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or own)
    return Path(os.environ.get("RUNTIME_DIRECTORY") or base / SERVICE)


def own_state_dir() -> Path:
    """For what outlives it: e-stop, identity, trusted devices."""
    base = Path(os.environ.get("XDG_STATE_HOME", "~/.local/state")).expanduser()
    return Path(os.environ.get("STATE_DIRECTORY") or base / SERVICE)


def found_runtime_dir() -> Path:
    """That of the agent that runs here, as far as can be seen: the service's, else this user's."""
    return SERVICE_RUNTIME if SERVICE_RUNTIME.is_dir() else own_runtime_dir()


def found_state_dir() -> Path:
    return SERVICE_STATE if SERVICE_STATE.is_dir() else own_state_dir()


def found_config() -> Path | None:
    """The service's settings; None where there are none: the defaults."""
    return SERVICE_CONFIG if SERVICE_CONFIG.exists() else None
