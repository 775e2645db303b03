"""Folders that are in memory, where a board has to be.

A board is a mapped file.  On a disk that is being written to, a store into it may
wait until the disk is done (measured: commands 0.6 s old at the guardian, beside
an upload), and whoever stores is the thread that owns the motors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_SHARED_MEMORY: Final = Path("/dev/shm")  # of every Linux, for everybody
_MOUNTS: Final = Path("/proc/self/mountinfo")
_KINDS: Final = frozenset({"tmpfs", "ramfs"})


def memory_folder() -> Path | None:
    """One in memory, in which this user may make folders; None where there is none."""
    is_usable = is_in_memory(_SHARED_MEMORY) and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
    return _SHARED_MEMORY if is_usable else None


def is_in_memory(folder: Path, mounts: Path = _MOUNTS) -> bool | None:
    """Whether what is written there is; None when it cannot be told, as of a folder that is not there."""
    try:
        number = folder.stat().st_dev
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    device = f"{os.major(number)}:{os.minor(number)}"
    # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/root rw
    for mount, _, file_system in (line.partition(" - ") for line in lines):
        if mount.split(" ")[2:3] == [device]:
            return file_system.partition(" ")[0] in _KINDS
    return None
