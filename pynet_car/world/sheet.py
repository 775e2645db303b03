"""Contact sheets: many frames in one picture file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

_GAP_PX: Final = 4


def contact_sheet(jpegs: Sequence[bytes], path: Path, *, columns: int = 4, width_px: int = 320) -> None:
    """Write the frames, row by row, to one picture; the ending of `path` says which format.

    Each is `width_px` wide; heights follow the first.

    Raises:
        ValueError: There are no frames, one is no JPEG, or the ending is not known.
        OSError: The file cannot be written.
    """
    if not jpegs:
        raise ValueError("a contact sheet needs at least one frame")
    if not cv2.haveImageWriter(path.name):
        raise ValueError(f"{path} has an ending that is no picture format: .png, .jpg, ...")
    tiles = []
    for number, jpeg in enumerate(jpegs):
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
        if picture is None:
            raise ValueError(f"frame {number} is no JPEG: {len(jpeg)} B, starts with {jpeg[:4]!r}")
        tiles.append(picture)
    height_px = round(width_px * tiles[0].shape[0] / tiles[0].shape[1])
    rows = math.ceil(len(tiles) / columns)
    columns = min(columns, len(tiles))
    cell_h, cell_w = height_px + _GAP_PX, width_px + _GAP_PX
    sheet = np.full((rows * cell_h + _GAP_PX, columns * cell_w + _GAP_PX, 3), 24, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = _GAP_PX + number // columns * cell_h, _GAP_PX + number % columns * cell_w
        small = cv2.resize(tile, (width_px, height_px), interpolation=cv2.INTER_AREA)
        sheet[top : top + height_px, left : left + width_px] = small
    path.write_bytes(cv2.imencode(path.suffix, sheet)[1].tobytes())
