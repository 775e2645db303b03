"""Lines of a chart as pixels: how much of each pixel a stroke covers.  numpy only.

A column of pixels is covered from the lowest to the highest point that the
line has in it, and half the pen beyond, upward and sideways.  So it costs by
the picture's size alone; stroking costs by the point and by the length, and
noise took twice as long as a calm line.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Lows = NDArray[np.float32]

FINER: Final = 2  # columns to a pixel, for steep lines that are not stairs
_NONE: Final = np.float32(1e6)  # far below the picture: nothing


def extents(x: Floats, y: Floats, columns: int) -> tuple[Lows, Lows]:
    """The least and the greatest y that the line has in each column; `_NONE` where it has none.

    x ascends, in columns; y in pixels.  NaN breaks the line.
    """
    least = np.full(columns, _NONE)
    most = np.full(columns, -_NONE)
    ok = np.isfinite(y)
    if not ok.any():
        return least, most
    breaks = np.cumsum(~ok)[ok]
    x, y = x[ok], y[ok]
    at = np.clip(x, 0, columns - 1).astype(np.intp)
    inside = (x >= 0) & (x <= columns)
    np.minimum.at(least, at[inside], y[inside].astype(np.float32))
    np.maximum.at(most, at[inside], y[inside].astype(np.float32))
    # Where the line crosses from one column to the next it is in both.
    edges = np.arange(1.0, columns)
    before = np.searchsorted(x, edges, side="right") - 1
    after = np.minimum(before + 1, len(x) - 1)
    joined = (before >= 0) & (after > before) & (breaks[before] == breaks[after])
    crossing = np.interp(edges, x, y).astype(np.float32)
    for half in (slice(None, -1), slice(1, None)):
        least[half] = np.where(joined, np.minimum(least[half], crossing), least[half])
        most[half] = np.where(joined, np.maximum(most[half], crossing), most[half])
    return least, most


def coverage(least: Lows, most: Lows, height: int, pen: float) -> NDArray[np.uint8]:
    """(height, columns / FINER) uint8: how much of each pixel a pen of this width covers, 255 is all."""
    rows = np.arange(height, dtype=np.float32)[:, None]
    top, bottom = least.copy(), most.copy()
    for by in range(1, int(pen * FINER / 2) + 1):  # as wide as it is high
        for to, of in ((slice(by, None), slice(None, -by)), (slice(None, -by), slice(by, None))):
            np.minimum(top[to], least[of], out=top[to])
            np.maximum(bottom[to], most[of], out=bottom[to])
    top -= np.float32(pen / 2)
    bottom += np.float32(pen / 2)
    covered = np.minimum(bottom[None, :], rows + 1)
    covered -= np.maximum(top[None, :], rows)
    np.clip(covered, 0.0, 1.0, out=covered)
    fine = covered[:, 0::FINER]
    for i in range(1, FINER):
        fine = fine + covered[:, i::FINER]
    fine *= np.float32(255.0 / FINER)
    return fine.astype(np.uint8)
