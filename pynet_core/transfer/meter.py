"""How far a transfer of a few files is: counts, and tells whoever wants to know.  No files, no sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pynet_core.transfer.messages import Node
from pynet_core.transfer.plan import as_text, joined
from pynet_core.transfer.stock import SMALL_BYTES


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is; what `on_progress` is called with, after each step."""

    path: str  # the file that this step was about, where it comes from
    files_done: int  # arrived, or given up
    files: int
    bytes_done: int  # of files given up too, as far as they came
    bytes: int


OnProgress = Callable[[Progress], object]


class Stopped(Exception):
    """`on_progress` has raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class Meter:
    """Files by their names, which are unique.  One thread's."""

    def __init__(self, planned: list[tuple[bytes, Node]], on_progress: OnProgress | None) -> None:
        self._bases = {node.path: base for base, node in planned}
        self.paths = {node.path: as_text(joined(base, node.path)) for base, node in planned}  # for people
        self._sizes = {node.path: node.size for _, node in planned}
        self._left = dict(self._sizes)  # bytes
        self.bytes = sum(self._sizes.values())
        self._bytes_done = 0
        self._over: set[bytes] = set()
        self.failed: dict[str, str] = {}
        self._on_progress = on_progress
        self._stopped: Stopped | None = None

    def has(self, base: bytes, name: bytes) -> bool:
        """It is one of those that move."""
        return self._bases.get(name) == base

    def here(self) -> list[bytes]:
        """The names of those that have arrived, in the order planned."""
        return [name for name, path in self.paths.items() if name in self._over and path not in self.failed]

    def left(self) -> list[str]:
        """The paths of those of which that is not known."""
        return [path for name, path in self.paths.items() if name not in self._over]

    def come(self, name: bytes, size: int) -> None:
        """So much of a large file; small ones come whole."""
        if self._sizes[name] > SMALL_BYTES:
            self._step(name, size)

    def over(self, name: bytes) -> None:
        """It has arrived."""
        if name not in self._over:
            self._over.add(name)
            self._step(name, self._left[name])

    def lose(self, name: bytes, reason: str) -> None:
        """It does not arrive."""
        self.failed.setdefault(self.paths[name], reason)
        if name not in self._over:
            self._over.add(name)
            self._step(name, 0)

    def check(self) -> None:
        """Raises:
        Stopped: `on_progress` has raised; since then it has not been called.
        """
        if self._stopped is not None:
            raise self._stopped

    def _step(self, name: bytes, come: int) -> None:
        come = min(come, self._left[name])
        self._left[name] -= come
        self._bytes_done += come
        if self._on_progress is None or self._stopped is not None:
            return
        files = len(self.paths)
        step = Progress(self.paths[name], len(self._over), files, self._bytes_done, self.bytes)
        try:
            self._on_progress(step)
        except Exception as exc:  # not our code; told by `check`, where a frame has come whole
            self._stopped = Stopped(exc)
            self._stopped.__cause__ = exc
