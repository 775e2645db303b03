"""One large file of a tree on its way: a part that pairs write to, a journal of what is verified there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import deque
from typing import Final, Protocol

from pynet_core.transfer.folder import storing
from pynet_core.transfer.folders import Folders, split
from pynet_core.transfer.jail import NOFOLLOW, OPEN_FLAGS
from pynet_core.transfer.messages import Node
from pynet_core.transfer.part import Part

JOURNAL: Final = ".ranges"


def staged_name(node: Node) -> str:
    return hashlib.blake2b(node.path, digest_size=16).hexdigest()


class Stage(Protocol):
    """A Ground, as far as its parts need it."""

    @property
    def staging(self) -> int: ...
    @property
    def has_parts(self) -> bool: ...
    @property
    def fsync(self) -> str: ...
    def dress(self, fd: int, node: Node) -> None: ...
    def give_name(self, staged: str, folder: int, name: bytes) -> None: ...


class TreePart(Part):
    """Any thread; end it by `land` or `abandon`."""

    def __init__(self, ground: Stage, node: Node) -> None:
        """Raises:
        CannotStore: The folder takes no such file.
        """
        self._ground = ground
        self._node = node
        self._name = staged_name(node)
        self._lock = threading.Lock()
        self._journal = -1
        with storing("cannot be stored here"):
            flags = os.O_RDWR | os.O_CREAT | NOFOLLOW | OPEN_FLAGS
            super().__init__(os.open(self._name, flags, 0o666, dir_fd=ground.staging))

    def verified(self, offset: int, length: int) -> None:
        """This range stands here as it was sent: another attempt need not fetch it again.

        Raises:
            CannotStore: It cannot be noted.
        """
        with self._lock, storing("cannot be stored here"):
            if self._journal < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOFOLLOW | OPEN_FLAGS
                self._journal = os.open(self._name + JOURNAL, flags, 0o600, dir_fd=self._ground.staging)
            os.write(self._journal, b"%d %d\n" % (offset, length))

    def land(self, folders: Folders) -> None:
        """Whole: give it its length, time, permissions and name.

        Raises:
            CannotStore: It cannot have that name; the part is gone.
        """
        parent, name = split(self._node.path)
        try:
            with storing("cannot be stored here"):
                os.ftruncate(self.fd, self._node.size)
                self._ground.dress(self.fd, self._node)
                if self._ground.fsync == "each":
                    os.fsync(self.fd)
                self._ground.give_name(self._name, folders.get(parent), name)
        except BaseException:
            self.abandon(keep=False)
            raise
        if self._journal >= 0 or self._ground.has_parts:
            with contextlib.suppress(OSError):
                os.unlink(self._name + JOURNAL, dir_fd=self._ground.staging)
        self.abandon(keep=True)  # it has no name there any more

    def abandon(self, *, keep: bool) -> None:
        """Give up; `keep` what there is for another attempt.  Idempotent."""
        with self._lock:
            for fd in (self.fd, self._journal):
                if fd >= 0:
                    os.close(fd)
            self.fd = self._journal = -1
            if not keep:
                for name in (self._name, self._name + JOURNAL):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=self._ground.staging)


def claims_of(staging: int, node: Node) -> deque[tuple[int, int]]:
    """Ranges that an earlier attempt has verified, in order, none twice; all within the file as it is now.

    A last line that a kill has cut short counts for nothing, as does one that
    nobody has written like that.
    """
    claims: deque[tuple[int, int]] = deque()
    try:
        fd = os.open(staged_name(node) + JOURNAL, os.O_RDONLY | NOFOLLOW | OPEN_FLAGS, dir_fd=staging)
        with os.fdopen(fd, "rb") as journal:
            lines = journal.read().split(b"\n")[:-1]
        ranges = [tuple(map(int, line.split())) for line in lines if line.replace(b" ", b"").isdigit()]
    except (OSError, ValueError):  # the latter: too many digits
        return claims
    at = 0
    for one in sorted(one for one in ranges if len(one) == 2):
        offset, length = one
        if offset >= at and length and offset + length <= node.size:
            claims.append((offset, length))
            at = offset + length
    return claims


def gaps_between(claims: deque[tuple[int, int]], size: int) -> deque[tuple[int, int]]:
    """What is missing, as (offset, end)."""
    gaps: deque[tuple[int, int]] = deque()
    at = 0
    for offset, length in claims:
        if offset > at:
            gaps.append((at, offset))
        at = offset + length
    if at < size:
        gaps.append((at, size))
    return gaps
