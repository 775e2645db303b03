"""Other people's libraries, in an environment of their own, `.venv-peers`: fetched once, when asked for."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PEERS: Final = Path(__file__).parent.parent / ".venv-peers"
# What each is on the package index, with what else it needs: the ancestor imports tqdm and does not say so.
PACKAGES: Final = {
    "asyncssh": ("asyncssh",),
    "grpc": ("grpcio",),
    "pynetwork": ("pynetwork==2.4", "tqdm"),
    "pynng": ("pynng",),
    "pyro5": ("Pyro5", "msgpack"),
    "pyzmq": ("pyzmq",),
    "rpyc": ("rpyc",),
    "websockets": ("websockets",),
    "zenoh": ("eclipse-zenoh",),
}
_PYTHON: Final = PEERS / "bin/python"
_VERSIONS: Final = (
    "import importlib.metadata as m, json, sys; print(json.dumps([*map(m.version, sys.argv[1:])]))"
)


@functools.cache
def peers_python(name: str) -> Path | None:
    """A Python that has this peer's library, fetched when it is missing; None, and told, when that fails."""
    done, key = PEERS / f"done-{name}", f"{PACKAGES[name]} {sys.version}"
    try:
        if done.read_text() == key and _PYTHON.exists():
            return _PYTHON
    except FileNotFoundError:
        pass
    try:
        _make_environment()
        # Wheels only: nobody waits for grpcio to be compiled.
        options = ("-qq", "--disable-pip-version-check", "--only-binary=:all:")
        subprocess.run([_PYTHON, "-m", "pip", "install", *options, *PACKAGES[name]], check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        print(f"without {name}, it cannot be installed: {exc}", file=sys.stderr)
        return None
    done.write_text(key)
    return _PYTHON


def peers_versions(names: Sequence[str]) -> dict[str, str]:
    """What is installed of each, by the name on the package index; of those that `peers_python` has found."""
    packages = [PACKAGES[name][0].partition("==")[0] for name in names]
    said = subprocess.run([_PYTHON, "-c", _VERSIONS, *packages], check=True, capture_output=True).stdout
    return dict(zip(packages, json.loads(said), strict=True))


@functools.cache
def _make_environment() -> None:
    """Where there is none of this Python."""
    made_by = PEERS / "python"
    if not (_PYTHON.exists() and made_by.is_file() and made_by.read_text() == sys.version):
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
        made_by.write_text(sys.version)
