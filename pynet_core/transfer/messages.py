"""What two ends say about files: the bodies of the file frames.  Types only.

Paths and names are the bytes of the system they come from (`os.fsencode`), so
that a name which is no UTF-8 travels too.  `docs/reference/wire-format.md` has
the order of things.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

MAX_PATH_BYTES: Final = 4096  # Linux's own limit

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Path = Annotated[bytes, Meta(max_length=MAX_PATH_BYTES)]
_Reason = Annotated[str, Meta(max_length=MAX_PATH_BYTES)]


class Query(Struct, frozen=True, kw_only=True):
    """LIST: files by full path; or those of a folder, or of all roots, whose full path matches a regex."""

    files: list[_Path] = []
    folder: _Path = b""
    regex: str = ""
    recursive: bool = False


class Missed(Struct, frozen=True, kw_only=True):
    """One that cannot, or did not arrive, and why."""

    path: _Path
    reason: _Reason
    wanted: bool = True  # False: merely no regular file, met in a folder


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """REPORT: files that were found and have not landed; all others have.  The last one counts."""

    missed: list[Missed]
    failed: _Count = 0  # files, those too that are not named
    files: _Count = 0  # that have landed
    bytes: _Count = 0  # of these
    same: _Count = 0  # that were there already


# WORKAROUND msgspec 0.22: as in wire.py.  Handlers decode in threads of their own.
for _kind in (Query, Report):
    msgspec.msgpack.Decoder(_kind)
