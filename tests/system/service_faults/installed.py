"""The two packages, built from this tree and installed in a container as a user would."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.system.base_root import base_root
from tests.system.container import Container

SOURCE: Final = Path(__file__).resolve().parents[3]
MACHINE: Final = "amd64"


@contextlib.contextmanager
def installed(suite: str) -> Iterator[Container]:
    """A container of this suite in which the service and the simulated car run.

    Raises:
        CannotRun: There are no containers on this machine.
    """
    with tempfile.TemporaryDirectory() as folder, Container(base_root(suite)) as box:
        build = [sys.executable, str(SOURCE / "systemd/build_deb.py"), "--arch", MACHINE, "--out", folder]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        for package in Path(folder).glob("*.deb"):
            shutil.copy(package, box.path("/root"))
        box.run("apt-get install -y --no-install-recommends /root/*.deb")
        yield box
