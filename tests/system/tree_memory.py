"""What a large tree costs: memory of either end, and time for each file.

`./run prove trees [--files N] [--pairs P]` moves trees of 1,000, 10,000 ... N small files
and a sparse file of 4 GB, from a gateway and to one, and prints for each the
most memory that either end has had and the time a file took.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynet_core.controller import Controller
from tests.system.tree_kills import Way, code_of, forked, gateway_process

LIMIT_MB: Final = 100
SPARSE_BYTES: Final = 4 << 30
FILES_A_FOLDER: Final = 1000


@dataclass(frozen=True)
class Cost:
    what: str
    gateway_mb: float  # the most that was resident, Python itself included
    controller_mb: float
    seconds: float
    files: int
    bytes: int

    def __str__(self) -> str:
        each = f"{self.seconds / self.files * 1e6:6.0f} us a file" if self.files > 1 else ""
        return (
            f"{self.what:24} gateway {self.gateway_mb:5.1f} MB, controller {self.controller_mb:5.1f} MB, "
            f"{self.seconds:6.2f} s {each}"
        )


def peak_mb(pid: int | str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def make_many(folder: Path, files: int) -> None:
    for number in range(files):
        if number % FILES_A_FOLDER == 0:
            inner = folder / f"folder{number // FILES_A_FOLDER:04}"
            inner.mkdir(parents=True)
        (inner / f"file{number:07}").write_bytes(b"%d" % number)


def make_sparse(folder: Path, size: int = SPARSE_BYTES) -> None:
    folder.mkdir()
    with (folder / "sparse").open("wb") as file:
        file.truncate(size)
        for at in range(0, size, size // 4):
            file.seek(at + 12345)
            file.write(b"data")


def cost_of(what: str, way: Way, source: Path, target: Path, pairs: int | None = None) -> Cost:
    """Move it with both ends in processes of their own."""
    read, write = os.pipe()
    with gateway_process(target) as (gateway, port):

        def move() -> int:
            controller = Controller(port=port)
            if way == "get":
                moved = controller.get_files(f"{source}/", target, pairs=pairs)
            else:
                moved = controller.put_files(f"{source}/", pairs=pairs)
            told = {"mb": peak_mb("self"), "s": moved.seconds, "files": moved.files, "bytes": moved.bytes}
            os.write(write, json.dumps(told).encode())
            return 0

        code = code_of(forked(move), patience_s=3600)
        assert code == 0, code
        told = json.loads(os.read(read, 1000))
        os.close(read)
        os.close(write)
        return Cost(f"{way} {what}", peak_mb(gateway), told["mb"], told["s"], told["files"], told["bytes"])


def run(files: int, scratch: Path, pairs: int | None = None) -> list[Cost]:
    """Trees of 1,000 files, ten times as many and so on up to `files`, and the sparse file."""
    costs = []
    counts = [1000]
    while counts[-1] * 10 <= files:
        counts.append(counts[-1] * 10)
    for count in [*counts, 0]:
        source = scratch / "source"
        if count:
            make_many(source, count)
        else:
            make_sparse(source)
        ways: tuple[Way, Way] = ("get", "put")
        for way in ways:
            target = scratch / way
            costs.append(cost_of(f"{count:,} files" if count else "4 GB, sparse", way, source, target, pairs))
            print(costs[-1], flush=True)
            if count:
                landed = sum(len(names) for _, _, names in os.walk(target))
                assert landed == count, landed
            else:
                found = (target / "sparse").stat()
                assert found.st_size == SPARSE_BYTES
                assert found.st_blocks * 512 < 10_000_000
            shutil.rmtree(target)
        shutil.rmtree(source)
    return costs


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run prove trees", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, help="how many; else what is found to be fastest")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        costs = run(options.files, Path(scratch), options.pairs)
    worst = max(max(cost.gateway_mb, cost.controller_mb) for cost in costs)
    print(f"at most {worst:.1f} MB, limit {LIMIT_MB}; {time.monotonic() - began_s:.0f} s")
    return worst > LIMIT_MB


if __name__ == "__main__":
    sys.exit(main())
