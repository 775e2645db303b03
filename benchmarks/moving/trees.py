"""The trees that are moved, and whether one has arrived."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks.moving.mover import Mtime
from pynet_core.transfer.digest import HASHERS

A_FOLDER: Final = 100  # files in each
BLOCK_BYTES: Final = 8 * 1024 * 1024  # of made-up text; longer files begin it anew
FIRST_NS: Final = 1_600_000_000_123_456_789
SEED: Final = 7
MB: Final = 1_000_000

Contents = Literal["random", "logs"]


@dataclass(frozen=True, slots=True)
class Tree:
    """So many files; all of one size, or of sizes as a folder of logs has them."""

    name: str
    files: int
    total_bytes: int
    contents: Contents = "random"
    mixed: bool = False

    def sizes(self) -> list[int]:
        """Bytes of each file; they add up to the total."""
        weights = [1.0] * self.files
        if self.mixed:
            chance = random.Random(SEED)
            weights = [chance.lognormvariate(0, 1.6) for _ in range(self.files)]
        whole = sum(weights)
        sizes = [int(self.total_bytes * weight / whole) for weight in weights]
        sizes[-1] += self.total_bytes - sum(sizes)
        return sizes

    def make(self, folder: Path) -> None:
        """The same bytes, names and times each time."""
        chance = random.Random(SEED)
        block = chance.randbytes(BLOCK_BYTES) if self.contents == "random" else _log(chance)
        for number, size in enumerate(self.sizes()):
            path = folder / f"{number // A_FOLDER:03}" / f"{number:06}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for piece in _pieces(block, chance.randrange(BLOCK_BYTES), size):
                    file.write(piece)
            os.utime(path, ns=(FIRST_NS + number, FIRST_NS + number))


def _pieces(block: bytes, start: int, size: int) -> Iterator[memoryview]:
    view = memoryview(block)
    while size:
        piece = view[start : start + size]
        yield piece
        size -= len(piece)
        start = 0


def _log(chance: random.Random) -> bytes:
    """Lines like those of a web server: about 4 to 1 under zstd."""
    words = [
        "GET",
        "POST",
        "/index",
        "/static/app",
        "/api/v1/items",
        "timeout",
        "retry",
        "user",
        "session",
        "ok",
    ]
    levels = ("INFO", "INFO", "WARNING", "ERROR")
    lines, size, second = [], 0, 0
    while size < BLOCK_BYTES:
        second += chance.random() < 0.2
        line = (
            f"2026-01-01T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02} "
            f"{chance.choice(levels)} 10.0.{chance.randrange(256)}.{chance.randrange(256)} "
            f"{' '.join(chance.choices(words, k=6))} {chance.getrandbits(48):x} {chance.random():.5f}\n"
        )
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()[:BLOCK_BYTES]


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a folder: of each file size, time and digest."""

    files: dict[str, tuple[int, int, bytes]]
    stream: bytes  # digest of all contents, in the order of the names


def look(folder: Path) -> Found:
    """Read all of it."""
    new = next(iter(HASHERS.values()))
    files, stream = {}, new()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest = new()
        with path.open("rb") as file:
            while data := file.read(256 * 1024):
                digest.update(data)
                stream.update(data)
        found = path.stat()
        files[str(path.relative_to(folder))] = (found.st_size, found.st_mtime_ns, digest.digest())
    return Found(files, stream.digest())


def difference(source: Found, target: Found, *, mtime: Mtime, one_file: bool, flat: bool) -> str:
    """What has not arrived as it was; '' when all has."""
    if one_file:
        return "" if source.stream == target.stream else "other bytes have arrived"
    wanted = {(Path(name).name if flat else name): found for name, found in source.files.items()}
    if missing := wanted.keys() - target.files.keys():
        return f"{len(missing)} of {len(wanted)} files are missing"
    if strays := target.files.keys() - wanted.keys():
        return f"{len(strays)} files too many, {min(strays)} is one"
    grain_ns = {"ns": 1, "s": 10**9}.get(mtime, 0)
    for name, (size, mtime_ns, digest) in wanted.items():
        there = target.files[name]
        if (size, digest) != (there[0], there[2]):
            return f"{name} has arrived with other bytes"
        if grain_ns and mtime_ns // grain_ns != there[1] // grain_ns:
            return f"{name} has arrived with another time"
    return ""
