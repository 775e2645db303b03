"""Read and write a file at a position, whatever the system has for it.

Never by mapping it into memory: a file that shrinks under a map kills the program.
"""

from __future__ import annotations

import os

_HAS_POSITIONS = hasattr(os, "pread")  # not on Windows


def read_at(fd: int, length: int, offset: int) -> bytes:
    """At most `length` bytes; fewer, or none, at the end of the file."""
    if _HAS_POSITIONS:
        return os.pread(fd, length, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


def write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        if _HAS_POSITIONS:
            written = os.pwrite(fd, view, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            written = os.write(fd, view)
        view = view[written:]
        offset += written
