"""A gateway's machine and a controller's in one folder, and files to move between them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.gateway import Gateway
from tests.core.loopback import serving

MTIME_NS: Final = 1_500_000_000_987_654_321


@dataclasses.dataclass
class Place:
    source: Path  # what the gateway's machine has
    up: Path  # its download folder
    down: Path  # the controller's
    gateway: Gateway

    def client_of(self, port: int | None = None, **options: Any) -> Client:
        """A client of the gateway, or of what listens on that port and leads there."""
        return Controller(port=port or self.gateway.port, download_dir=str(self.down), **options).get_client()


@contextlib.contextmanager
def place_in(folder: Path, **options: Any) -> Iterator[Place]:
    source = folder / "source"
    source.mkdir()
    with serving(download_dir=str(folder / "up"), **options) as gateway:
        yield Place(source, folder / "up", folder / "down", gateway)


def make(folder: Path, *names: str | bytes, size: int = 1000) -> list[Path]:
    """Files with contents of their own, all of one age."""
    paths = []
    for number, name in enumerate(names):
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size + number))
        os.utime(path, ns=(MTIME_NS, MTIME_NS + number))
        paths.append(path)
    return paths


def assert_arrived(sources: list[Path], folder: Path) -> None:
    """These and no others, with their contents and times."""
    assert {path.name for path in folder.iterdir()} == {path.name for path in sources}
    for path in sources:
        assert (folder / path.name).read_bytes() == path.read_bytes()
        assert (folder / path.name).stat().st_mtime_ns == path.stat().st_mtime_ns


def assert_nothing_half(sources: list[Path], folder: Path) -> None:
    """Whatever has a final name is whole."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.suffix != ".part":
            (source,) = (one for one in sources if one.name == path.name)
            assert path.read_bytes() == source.read_bytes()
            assert path.stat().st_mtime_ns == source.stat().st_mtime_ns


def run_python(source: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs this; it can print to us."""
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
