"""Compressing what travels: by what, and when it pays.  Pure.

Over Wi-Fi logs arrive three times as fast.  A link that takes more than a codec
makes loses by it: zstd 1 makes 300 MB/s here and zlib 1 makes 100, loopback
carries ten times that.  What is slower than the codec leaves it time to do better.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.options import Compress

try:
    import zstandard
except ImportError:  # built from source only on some systems; pynet works without it
    zstandard = None  # type: ignore[assignment]

SAMPLES: Final = 4  # spread over the piece: a pack may hold pictures and logs
SAMPLE_BYTES: Final = 4 * 1024  # each; what does not shrink costs zlib 0.4 ms a piece
WORTH: Final = 0.85  # of its size: a sample that shrinks to less is worth it
MIN_BYTES: Final = 256  # less is not tried
SLOW_BYTES_PER_S: Final = 40e6  # of all pairs together; zlib 1 makes as much of logs on one core
WINDOW_S: Final = 0.25
EASY: Final = 0.25  # of a sender's time: the link is so slow that it can compress harder
HARD: Final = 0.5  # the same: with the next level down the link is used better
FIRST_STEP: Final = 1


class NotCompressed(PynetError):
    """These bytes are none that this codec has made, or stand for more than was said."""


@dataclass(frozen=True, slots=True)
class Codec:
    """`decompress(data, size)` gives exactly `size` bytes, or raises NotCompressed; it never makes more."""

    compress: Callable[[bytes | memoryview, int], bytes]  # the level, one of `levels`
    levels: tuple[int, ...]  # each a third to twice as much work as the one before
    decompress: Callable[[bytes | memoryview, int], bytes]


def _unzlib(data: bytes | memoryview, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        # One more than it may be: 0 would mean no limit, and all at once a bomb.
        made = unpacker.decompress(data, size + 1)
    except zlib.error as exc:
        raise NotCompressed(f"no zlib: {exc}") from exc
    return _checked(made, size, is_whole=unpacker.eof)


def _zstd(data: bytes | memoryview, level: int) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


def _unzstd(data: bytes | memoryview, size: int) -> bytes:
    try:
        if zstandard.frame_content_size(data) != size:  # told before any memory is taken for it
            raise NotCompressed(f"not of {size} B")
        made = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except zstandard.ZstdError as exc:
        raise NotCompressed(f"no zstd: {exc}") from exc
    return _checked(made, size, is_whole=True)


def _checked(made: bytes, size: int, *, is_whole: bool) -> bytes:
    if len(made) != size or not is_whole:
        raise NotCompressed(f"does not stand for {size} B")
    return made


CODECS: Final[dict[str, Codec]] = {  # by their name on the wire, best first
    # Logs shrink 3.7, 3.8, 4.0 and 4.2 fold at 360, 260, 70 and 45 MB/s here; with zlib
    # 3.2, 3.6, 3.9 and 4.0 fold at 110, 80, 55 and 33.
    **({"zstd": Codec(_zstd, (1, 3, 6, 9), _unzstd)} if zstandard else {}),
    "zlib": Codec(zlib.compress, (1, 3, 5, 6), _unzlib),
}
STEPS: Final = 4  # levels of each


def unpacked(codec: str, data: bytes | memoryview, size: int) -> bytes:
    """Raises:
    RemoteProtocolError: It is not what was asked for, or does not stand for so many bytes.
    """
    try:
        return CODECS[codec].decompress(data, size)
    except (KeyError, NotCompressed) as exc:
        raise RemoteProtocolError(f"peer sent compressed bytes that cannot be unpacked: {exc}") from exc


def agree_codec(theirs: Iterable[str]) -> str:
    """The best one that both ends have; '' when there is none."""
    known = set(theirs)
    return next((name for name in CODECS if name in known), "")


class Effort:
    """How hard a sender compresses: as hard as the link leaves it time for.  Pure; one thread's."""

    def __init__(self) -> None:
        self.step = FIRST_STEP
        self._last_s: float | None = None

    def made(self, began_s: float, ended_s: float) -> None:
        """It has compressed a piece from then to then, and done the rest since the one before."""
        if self._last_s is not None and ended_s > self._last_s:
            share = (ended_s - began_s) / (ended_s - self._last_s)
            self.step = min(max(0, self.step + (share < EASY) - (share > HARD)), STEPS - 1)
        self._last_s = ended_s


def squeezed(codec: str, data: bytes | memoryview, step: int = FIRST_STEP) -> bytes | None:
    """The piece, compressed; None when it should go as it is: it is small, or samples of it do not shrink."""
    if not codec or len(data) < MIN_BYTES:
        return None
    compress, levels = CODECS[codec].compress, CODECS[codec].levels
    if len(data) > 2 * SAMPLES * SAMPLE_BYTES:
        step_bytes = len(data) // SAMPLES
        sample = b"".join(
            data[start : start + SAMPLE_BYTES] for start in range(0, SAMPLES * step_bytes, step_bytes)
        )
        if len(compress(sample, levels[0])) > WORTH * len(sample):
            return None
    made = compress(data, levels[step])
    return made if len(made) <= WORTH * len(data) else None


class Advisor:
    """The receiving end: asks for compression while the link is slow.  Threads need a lock around it.

    It begins by asking, for what is on its way unasked cannot be called back.
    What counts is the rate on the wire: where the codec is what limits, that is
    high, and the link is better used without.
    """

    def __init__(self, mode: Compress) -> None:
        self._mode = mode
        self._codec = ""
        self._is_slow = True
        self._since_s: float | None = None
        self._bytes = 0

    def agree(self, theirs: Iterable[str]) -> None:
        """The sender has these codecs."""
        if self._mode != "never":
            self._codec = agree_codec(theirs)

    @property
    def codec(self) -> str:
        """What to ask for; '' for nothing."""
        return self._codec if self._is_slow else ""

    def come(self, count: int, now_s: float) -> None:
        """So many bytes have come off the wire."""
        if self._mode != "auto":
            return
        if self._since_s is None:  # how long these took nobody knows
            self._since_s = now_s
            return
        self._bytes += count
        if (took_s := now_s - self._since_s) >= WINDOW_S:
            self._is_slow = self._bytes / took_s < SLOW_BYTES_PER_S
            self._since_s, self._bytes = now_s, 0
