"""A file on its way: bytes in their places, not yet under its name."""

from __future__ import annotations

import os
import threading
from typing import Final

from pynet_core.transfer.digest import digest_at
from pynet_core.transfer.folder import storing
from pynet_core.transfer.folders import Folders
from pynet_core.transfer.positions import write_at

_ZEROS: Final = bytes(1024 * 1024)
_HAS_HOLES: Final = hasattr(os, "SEEK_DATA")


class Part:
    """What parts of all kinds can do.  End it by `land` or `abandon`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.turn = threading.Lock()  # whose it is to write much

    def digest(self, digest: str, offset: int, length: int) -> bytes:
        """Of what stands here; b'' when the part is shorter than that.

        Raises:
            CannotStore: It cannot be read.
        """
        with storing("cannot be read back"):
            return digest_at(digest, self.fd, offset, length) or b""

    def make_hole(self, offset: int, length: int) -> None:
        """Zeros here, and none of them stored if nothing was.

        Raises:
            OSError: The disk's.
        """
        end = min(offset + length, os.fstat(self.fd).st_size)
        while offset < end:  # what an earlier attempt has left
            if _HAS_HOLES:
                try:
                    offset = os.lseek(self.fd, offset, os.SEEK_DATA)
                except OSError:
                    return  # no data beyond
            if offset < end:
                count = min(len(_ZEROS), end - offset)
                self.fill(offset, count)
                offset += count

    def fill(self, offset: int, length: int) -> None:
        """Zeros here, all of them stored.

        Raises:
            OSError: The disk's.
        """
        for start in range(0, length, len(_ZEROS)):
            write_at(self.fd, memoryview(_ZEROS)[: length - start], offset + start)

    def verified(self, offset: int, length: int) -> None:
        """This range stands here as it was sent.

        Raises:
            CannotStore: It cannot be noted.
        """
        raise NotImplementedError

    def land(self, folders: Folders) -> None:
        """Whole: give it its length, time and name.

        Raises:
            CannotStore: It cannot have that name; the part is gone.
        """
        raise NotImplementedError

    def abandon(self, *, keep: bool) -> None:
        """Give up; `keep` what there is for another attempt.  Idempotent."""
        raise NotImplementedError
