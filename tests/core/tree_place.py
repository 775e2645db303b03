"""A tree with a bit of everything, and what two trees have in common."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path
from typing import Final

from pynet_core.transfer.stock import SMALL_BYTES

LARGE_BYTES: Final = SMALL_BYTES + 1
TIME_NS: Final = 1_500_000_000_987_654_321


def make_tree(top: Path, rng: random.Random, *, large: int = 2, small: int = 40) -> None:
    """Small, large, empty and sparse files, folders in folders, odd names, times and permissions."""
    folders = [top, top / "a", top / "a/b b", top / ".hidden", top / "é"]
    (top / "empty/deeper").mkdir(parents=True)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(small):
        path = rng.choice(folders) / f"small {number}"
        path.write_bytes(rng.randbytes(rng.choice([0, 1, 100, 5000, SMALL_BYTES])))
    for number in range(large):
        path = rng.choice(folders) / f"large{number}"
        path.write_bytes(rng.randbytes(LARGE_BYTES + rng.randrange(2_000_000)))
    with (top / "a/sparse").open("wb") as sparse:
        sparse.truncate(3_000_000)
        sparse.seek(1_500_000)
        sparse.write(b"not a hole")
    (top / "script").write_text("#!/bin/sh\n")
    (top / "script").chmod(0o750)
    (top / "a/link").symlink_to("b b")
    paths = sorted(top.rglob("*"), key=lambda path: len(path.parts), reverse=True)
    for number, path in enumerate(paths):  # the deepest first: else folders get new times
        os.utime(path, ns=(TIME_NS, TIME_NS + number), follow_symlinks=False)


def look_at(top: Path, *, links: bool) -> dict[str, tuple[object, ...]]:
    """All there is to compare of each thing below."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in top.rglob("*"):
        found = path.lstat()
        name = str(path.relative_to(top))
        if stat.S_ISLNK(found.st_mode):
            if links:
                seen[name] = ("link", str(path.readlink()), found.st_mtime_ns)
        elif stat.S_ISDIR(found.st_mode):
            seen[name] = ("folder", found.st_mode, found.st_mtime_ns)
        else:
            seen[name] = ("file", found.st_mode, found.st_mtime_ns, path.read_bytes())
    return seen


def assert_same(source: Path, target: Path, *, links: bool = False) -> None:
    """Everything, and nothing else: no part is left."""
    there, here = look_at(source, links=links), look_at(target, links=links)
    assert here.keys() == there.keys()
    for name, thing in there.items():
        assert here[name] == thing, name


def assert_nothing_half(source: Path, target: Path) -> None:
    """Every file that has its name is whole; more may be coming."""
    for folder, inner, names in os.walk(target):
        inner[:] = [name for name in inner if not name.endswith(".pynet.part")]
        for path in (Path(folder, name) for name in names):
            assert path.read_bytes() == (source / path.relative_to(target)).read_bytes(), path
