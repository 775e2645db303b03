"""Read and write a file at a position, whatever the system has for it.

Never by mapping it into memory: a file that shrinks under a map kills the program.
"""

from __future__ import annotations

import os

_HAS_POSITIONS = hasattr(os, "preadv")  # not on Windows


def read_at(fd: int, length: int, offset: int) -> bytes:
    """At most `length` bytes; fewer, or none, at the end of the file."""
    if _HAS_POSITIONS:
        return os.pread(fd, length, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


def read_into(fd: int, view: memoryview, offset: int) -> int:
    """`read_at` into memory that is there already: new memory for each piece costs as much as reading it."""
    if _HAS_POSITIONS:
        return os.preadv(fd, [view], offset)
    data = read_at(fd, len(view), offset)
    view[: len(data)] = data
    return len(data)


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
