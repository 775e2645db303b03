"""What is measured goes before whatever else this machine does: for root, on Linux."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NICE: Final = -15


@contextlib.contextmanager
def urgent(pid: int | None = None) -> Iterator[None]:
    """This process, and what it starts; or with `pid` the session of that one.

    Where the kernel shares processors out among sessions first
    (sched_autogroup), a process' own niceness counts within its session only,
    and the agent's worker has one of its own.
    """
    group = Path(f"/proc/{pid or os.getpid()}/autogroup")
    before = ""
    with contextlib.suppress(OSError):  # not root, or no such kernel
        if pid is None:
            os.nice(NICE)
        before = group.read_text().rpartition(" ")[2]  # "/autogroup-25 nice 0"
        group.write_text(str(NICE))
    try:
        yield
    finally:
        if before:
            with contextlib.suppress(OSError):  # it has gone
                group.write_text(before)
