"""How a tree of files is to be moved, what its caller hears meanwhile and gets in the end.  Types."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

_log = logging.getLogger(__name__)

Compress = Literal["auto", "never", "always"]
Fsync = Literal["none", "end", "each"]
Symlinks = Literal["skip", "keep"]
FileKind = Literal["file", "folder", "link"]
MAX_PAIRS: Final = 64
MAX_NAMED: Final = 100_000  # failures, and skips, of a tree that are kept by name: 30 MB; more go to the log


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a tree, as `Options.select` and `Controller.list_files` show it."""

    path: str  # relative, as it lands, `/` between its steps
    kind: FileKind
    size: int  # bytes; 0 for what is no file
    mtime_ns: int  # ns since 1970
    mode: int  # permission bits
    target: str = ""  # of a link


class Select(Protocol):
    """What to move.  A no to a folder is a no to all that is in it; nothing below it is asked about."""

    def __call__(self, found: Found, /) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to move files.  The defaults are what `cp -r --preserve=mode,timestamps` would do, verified."""

    recursive: bool = True  # folders in a folder too, empty ones as well
    select: Select | None = None  # None: everything
    symlinks: Symlinks = "skip"  # keep: as links; what they lead to is never followed
    preserve: bool = True  # permission bits; times are always kept, to the ns
    sparse: bool = True  # holes stay holes
    fsync: Fsync = "none"  # outlasts a power cut: never, when all is here, each file
    checksum: bool = False  # compare contents; else a file of the same size and time counts as the same
    limit_bytes_per_s: int | None = None  # of all pairs together
    # auto: what shrinks, and not to this machine nor where the link is fast.
    compress: Compress = "auto"
    delete_source: bool = False  # move: what has arrived, verified, is removed where it came from

    def __post_init__(self) -> None:
        """Raises:
        ValueError: One has a value that it cannot have.
        """
        for name, known in (
            ("symlinks", get_args(Symlinks)),
            ("fsync", get_args(Fsync)),
            ("compress", get_args(Compress)),
        ):
            if (said := getattr(self, name)) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}; got {said!r}")

    def refuse_unknown(self, honoured: frozenset[str]) -> None:
        """Say no to what is asked for and not built.

        Raises:
            ValueError: An option has a value other than its default, and is not among those honoured.
        """
        for field in dataclasses.fields(self):
            if field.name not in honoured and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name}={getattr(self, field.name)!r} is not possible yet")


DEFAULTS: Final = Options()


@dataclass(frozen=True, slots=True)
class TreeProgress:
    """How far a tree is; what `on_progress` is called with, 10 times a second and at the end."""

    path: str  # a file that moves just now; '' at the very end
    files_done: int  # arrived, were here already, or given up
    files: int  # found so far
    bytes_done: int
    bytes: int  # found so far
    is_listed: bool  # `files` and `bytes` are all there is
    elapsed_s: float
    pair_bytes: tuple[int, ...]  # that each pair has brought


@dataclass(slots=True)
class Moved:
    """What a transfer of a tree has done.  Truthy when nothing has failed."""

    files: int = 0  # that have arrived, verified
    bytes: int = 0  # of these
    same: int = 0  # files that were there already
    folders: int = 0
    links: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)  # path: why; the first 100,000
    failed_count: int = 0
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)  # what is neither file, folder nor link
    seconds: float = 0.0
    pair_bytes: tuple[int, ...] = ()  # that each pair has brought

    def __bool__(self) -> bool:
        return not self.failed


def miss(moved: Moved, path: str, reason: str, *, wanted: bool, most: int = MAX_NAMED) -> None:
    """One more that has failed or, not `wanted`, is skipped; by name if there are not so many yet."""
    moved.failed_count += wanted
    names = moved.failed if wanted else moved.skipped
    if len(names) < most:
        names[path] = reason
    elif wanted:
        _log.warning("%r %s", path, reason)


OnTreeProgress = Callable[[TreeProgress], object]
