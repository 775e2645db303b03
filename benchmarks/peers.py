"""Other people's libraries, in an environment of their own: `.venv-peers`, fetched once."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Final

PEERS: Final = Path(__file__).parent.parent / ".venv-peers"
# tqdm: the ancestor imports it and does not say so.
PACKAGES: Final = ("pyzmq", "pynetwork==2.4", "tqdm", "asyncssh")


@functools.cache
def peers_python() -> Path | None:
    """A Python that has the peers' libraries, made when there is none; None when that fails."""
    python, done = PEERS / "bin/python", PEERS / "done"
    if done.is_file() and done.read_text() == str(PACKAGES):
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *PACKAGES], check=True
        )
    except (OSError, subprocess.CalledProcessError) as exc:
        print(f"without peers, they cannot be installed: {exc}", file=sys.stderr)
        return None
    done.write_text(str(PACKAGES))
    return python
