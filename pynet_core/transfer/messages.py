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
_Digest = Annotated[bytes, Meta(max_length=16)]
_Reason = Annotated[str, Meta(max_length=MAX_PATH_BYTES)]
_Signed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Query(Struct, frozen=True, kw_only=True):
    """LIST: files by full path; or those of a folder, or of all roots, whose full path matches a regex."""

    files: list[_Path] = []
    folder: _Path = b""
    regex: str = ""
    recursive: bool = False


class Version(Struct, frozen=True, kw_only=True):
    """Which state of which file: another size, time or inode is another one."""

    size: _Count  # bytes
    mtime_ns: _Signed
    ctime_ns: _Signed = 0  # nobody can set this one back
    inode: int = 0


class Offered(Struct, frozen=True, kw_only=True):
    """One file that can be had."""

    path: _Path  # what the receiver asks for it by
    name: _Path  # its last part: what it lands under
    version: Version


class Missed(Struct, frozen=True, kw_only=True):
    """One that cannot, or did not arrive, and why."""

    path: _Path
    reason: _Reason
    wanted: bool = True  # False: merely no regular file, met in a folder


class Offer(Struct, frozen=True, kw_only=True):
    """OFFER: some of the files; several of these make the whole list."""

    digests: list[str]  # what the sender can compute, best first
    files: list[Offered] = []
    missed: list[Missed] = []


class Wanted(Struct, frozen=True, kw_only=True):
    """Bytes of one file: `length` of them from `offset`, unless their digest is `have`."""

    path: _Path
    version: Version
    offset: _Count
    length: _Count
    have: _Digest = b""


class Take(Struct, frozen=True, kw_only=True):
    """TAKE: the receiver asks for these, answered one after the other."""

    digest: str
    pieces: list[Wanted]


class Placement(Struct, frozen=True, kw_only=True):
    """UPLOAD: where the files are to land, below the gateway's download folder."""

    folder: Annotated[str, Meta(max_length=MAX_PATH_BYTES)]


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """REPORT: offered files that have not landed; all others have.  Of a tree the last one also counts."""

    missed: list[Missed]
    failed: _Count = 0  # files, those too that are not named
    files: _Count = 0  # that have landed
    bytes: _Count = 0  # of these
    same: _Count = 0  # that were there already


# WORKAROUND msgspec 0.22: as in wire.py.  Handlers decode in threads of their own.
for _kind in (Query, Offer, Take, Placement, Report):
    msgspec.msgpack.Decoder(_kind)
