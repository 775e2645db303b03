"""What pip installs with an extra only: told in a line where it is missing, in place of a traceback."""

from __future__ import annotations

import importlib.metadata
import shlex
from typing import Final

DISTRIBUTION: Final = "pynet-swarm"


def missing(exc: ModuleNotFoundError, extra: str, modules: frozenset[str]) -> str:
    """One sentence with what to type; raises `exc` again if it is not one of `modules` that is missing."""
    name = (exc.name or "").partition(".")[0]
    if name not in modules:
        raise exc
    return f"{name} is not installed, and this needs it; type:  pip install {_packages(extra)}"


def _packages(extra: str) -> str:
    """Those of the extra by name: pynet itself may have come from anywhere."""
    try:
        required = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return shlex.quote(f".[{extra}]")
    of_extra = [line for line in required if f'extra == "{extra}"' in line.replace("'", '"')]
    return shlex.join(line.partition(";")[0].strip() for line in of_extra)
