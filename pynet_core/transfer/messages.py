"""What two ends say about files: the bodies of their frames.  No files here.

A file's path is relative to a base, a full path at the sender, with `/` between
steps.  Both are the bytes of its system (`os.fsencode`), so that a name which
is no UTF-8 travels too.  What there may be a million of is an array on the
wire, without the names of its fields.  `docs/reference/wire-format.md` has the
order of things.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pynet_core.errors import RemoteProtocolError

MAX_PATH_BYTES: Final = 4096  # Linux's own limit

FILE: Final = 0
FOLDER: Final = 1
LINK: Final = 2

SAME: Final = -1  # in Packed.sizes
LOST: Final = -2
MAX_PACK_FILES: Final = 128
MAX_PACK_BYTES: Final = 512 * 1024  # of files in one PACK
MAX_RAW_BYTES: Final = 1024 * 1024  # of a file in one RAW
ID_BYTES: Final = 16

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Signed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Path = Annotated[bytes, Meta(max_length=MAX_PATH_BYTES)]
_Reason = Annotated[str, Meta(max_length=MAX_PATH_BYTES)]
_Digest = Annotated[bytes, Meta(max_length=16)]
_DENSE: Final = struct.Struct("<I")
_Id = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]


class Query(Struct, frozen=True, kw_only=True):
    """LIST: files by full path; or those of a folder, or of all roots, whose full path matches a regex."""

    files: list[_Path] = []
    folder: _Path = b""
    regex: str = ""
    recursive: bool = False


class Tree(Struct, frozen=True, kw_only=True):
    """TREE: what is below these; one that ends with `/` means what is in it."""

    sources: list[_Path]
    files: list[_Path] = []  # only these, below each source
    regex: str = ""  # only files whose full path it matches
    recursive: bool = True
    links: bool = False  # links too, as such
    landed: bool = False  # the sources are below the gateway's download folder
    rests: bool = False  # the list, after so many things, until there is a Tree without sources
    names_folders: bool = False  # when not recursive: folders in a folder too, without what is in them
    dense: bool = False  # the list may come compressed


class Node(Struct, frozen=True, array_like=True, gc=False):
    """One thing in a tree, in a certain state."""

    path: _Path
    kind: Annotated[int, Meta(ge=FILE, le=LINK)]
    size: _Count  # bytes
    mtime_ns: _Signed
    ctime_ns: _Signed
    inode: int
    mode: Annotated[int, Meta(ge=0, le=0o7777)]
    target: _Path = b""  # of a link


class Missed(Struct, frozen=True, kw_only=True):
    """One that cannot, or did not arrive, and why."""

    path: _Path
    reason: _Reason
    wanted: bool = True  # False: merely no regular file, met in a folder


class Nodes(Struct, frozen=True, kw_only=True):
    """FOUND: some of the tree below `base`, folders before what is in them."""

    base: _Path
    digests: list[str]  # what the sender can compute, best first
    nodes: list[Node] = []
    missed: list[Missed] = []
    codecs: list[str] = []  # what the sender can compress with, best first


class Bit(Struct, frozen=True, array_like=True, gc=False):
    """A file, or `length` bytes of it from `offset`, unless their digest is `have`."""

    path: _Path
    size: _Count
    mtime_ns: _Signed
    ctime_ns: _Signed = 0  # 0: any, as the inode: a file of the same size and time on another machine
    inode: int = 0
    have: _Digest = b""
    offset: _Count = 0
    length: _Count = 0


class Pull(Struct, frozen=True, kw_only=True):
    """PULL: many whole small files, answered by one PACK; or one piece of one file."""

    base: _Path
    digest: str
    bits: list[Bit]
    packed: bool
    codec: str = ""  # bytes that shrink may come compressed with this


class Packed(Struct, frozen=True, kw_only=True):
    """The head of a PACK: of each file its bytes, SAME or LOST; of those that come their digests."""

    sizes: list[int]
    digests: bytes = b""  # 16 bytes for each that comes
    lost: list[tuple[str, str]] = []  # error and reason of each that does not
    codec: str = ""  # with which the files, all in one, are compressed


class Hole(Struct, frozen=True, kw_only=True):
    """HOLE: nothing but zeros, and none of them stored."""

    length: Annotated[int, Meta(ge=1, le=2**63 - 1)]


def pack_dense(length: int, data: bytes) -> bytes:
    """The body of a DENSE: `length` bytes of a file, compressed to `data`."""
    return _DENSE.pack(length) + data


def unpack_dense(body: bytes) -> tuple[int, memoryview]:
    """Length and compressed bytes.

    Raises:
        RemoteProtocolError: Too short, or for more than we care to hold.
    """
    length = _DENSE.unpack_from(body)[0] if len(body) >= _DENSE.size else 0
    if not 0 < length <= MAX_RAW_BYTES:
        raise RemoteProtocolError(f"peer sent compressed bytes that stand for {length}")
    return length, memoryview(body)[_DENSE.size :]


class Store(Struct, frozen=True, kw_only=True):
    """STORE: a tree is to land here, below the gateway's download folder."""

    transfer: _Id  # by which other pairs JOIN it
    key: _Id  # the same for another attempt at the same
    folder: Annotated[str, Meta(max_length=MAX_PATH_BYTES)]
    preserve: bool = True
    fsync: str = "none"
    checksum: bool = False
    compress: str = "never"
    sparse: bool = True  # holes stay holes
    flat: bool = False  # no folders: files side by side, and no part stays of what is broken off
    moves: bool = False  # what arrives is removed where it came from


class Join(Struct, frozen=True, kw_only=True):
    """JOIN: this pair brings files of that transfer, too."""

    transfer: _Id


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """REPORT: files that were found and have not landed; all others have.  The last one counts."""

    missed: list[Missed]
    failed: _Count = 0  # files, those too that are not named
    files: _Count = 0  # that have landed
    bytes: _Count = 0  # of these
    same: _Count = 0  # that were there already


class Doomed(Struct, frozen=True, array_like=True, gc=False):
    """What is to go; with an inode only in this very state."""

    path: _Path
    size: _Count = 0
    mtime_ns: _Signed = 0
    ctime_ns: _Signed = 0
    inode: int = 0


class Remove(Struct, frozen=True, kw_only=True):
    """REMOVE: these go, below `base`: a full path, or one below the download folder."""

    base: _Path
    landed: bool
    things: list[Doomed]
    recursive: bool = False  # folders with all that is in them; else empty ones only


# WORKAROUND msgspec 0.22: as in wire.py.  Each pair decodes in a thread, from its first frame on.
for _kind in (Query, Tree, Nodes, Pull, Packed, Hole, Store, Join, Report, Remove):
    msgspec.msgpack.Decoder(_kind)
