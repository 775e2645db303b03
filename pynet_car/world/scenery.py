"""What the track looks like: colours from the seed, and the painted floor as one texture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from pynet_car.world.track import BARRIER_M, HALF_LANE_M, Box, Floats, Track

Picture = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]  # RGB, 0..255

PIXELS_PER_M: Final = 320  # 3 mm: 45 MB for a hall of 11 x 10 m
ROOM_M: Final = 2.1  # from the outermost point of the centre line to the hall's wall
_MIP_LEVELS: Final = 3
_GRAIN_PX: Final = 509  # the grain repeats after this
_SHIFT: Final = 4  # OpenCV draws at 1/16 pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours and light of one hall."""

    lane: Colour
    floor: Colour
    edge: Colour
    middle: Colour
    barrier: tuple[Colour, Colour]  # its panels alternate
    wall: Colour
    ceiling: Colour
    is_dashed: bool
    is_tiled: bool
    barrier_height_m: float
    sun_rad: float  # where the light comes from


def choose_palette(seed: int) -> Palette:
    chance = np.random.default_rng((seed, 1))

    def pick(*colours: Colour) -> Colour:
        r, g, b = (np.array(colours[chance.integers(len(colours))]) + chance.uniform(-12, 12, 3)).clip(0, 255)
        return float(r), float(g), float(b)

    return Palette(
        lane=pick((70, 72, 78), (95, 92, 88), (55, 58, 60), (84, 86, 92)),
        floor=pick((96, 120, 84), (150, 128, 98), (110, 108, 112), (70, 96, 128)),
        edge=pick((235, 235, 230), (235, 235, 230), (240, 190, 60)),
        middle=pick((235, 190, 40), (240, 240, 235), (230, 140, 40)),
        barrier=(
            pick((205, 50, 45), (40, 90, 190), (240, 140, 30), (60, 60, 62)),
            pick((238, 236, 230), (225, 220, 205)),
        ),
        wall=pick((178, 172, 160), (140, 150, 165), (190, 180, 150)),
        ceiling=pick((205, 212, 220), (170, 178, 190)),
        is_dashed=bool(chance.random() < 0.75),
        is_tiled=bool(chance.random() < 0.5),
        barrier_height_m=float(chance.uniform(0.12, 0.2)),
        sun_rad=float(chance.uniform(-math.pi, math.pi)),
    )


@dataclass(frozen=True, slots=True)
class Floor:
    """The painted floor; `mips[k]` is (H, W, 4) uint8 RGBX, each half the one before.

    Its texel (0, 0) lies at `origin_m`, x to the right and y down.
    """

    origin_m: tuple[float, float]
    mips: tuple[Picture, ...]


def hall(track: Track) -> tuple[Floats, Floats]:
    """The hall's two far corners, (x, y) lowest and highest."""
    return track.centre.min(axis=0) - ROOM_M, track.centre.max(axis=0) + ROOM_M


def paint_floor(track: Track, palette: Palette, boxes: Sequence[Box] = ()) -> Floor:
    """Draw lane, lines, tiles, shadows and grain; takes about 0.2 s."""
    low, high = hall(track)
    brush = _Brush(low, high, palette.floor)
    if palette.is_tiled:
        brush.tiles(_dim(palette.floor, 0.8))
    brush.ribbon(track, -BARRIER_M, BARRIER_M, _dim(palette.lane, 0.9, 6))
    brush.ribbon(track, -HALF_LANE_M, HALF_LANE_M, palette.lane)
    for side in (1, -1):
        for step in range(6):  # the barriers' contact shadow, darkest at their foot
            near, far = BARRIER_M - 0.015 * (5 - step), BARRIER_M + 0.01 + 0.015 * (5 - step)
            brush.ribbon(track, side * near, side * far, _dim(palette.lane, 0.9 - 0.09 * step))
        brush.ribbon(track, side * HALF_LANE_M - 0.025, side * HALF_LANE_M + 0.025, palette.edge)
    for cone in track.cones:
        brush.disc(cone, 0.09, _dim(palette.lane, 0.55))
    if palette.is_dashed:
        for start in range(20, track.count - 33, 25):  # leaves room for the start's chequers
            brush.ribbon(track, -0.018, 0.018, palette.middle, slice(start, start + 13))
    else:
        brush.ribbon(track, -0.018, 0.018, palette.middle)
    brush.chequers(track)
    for box in boxes:
        brush.patch(replace(box, size_m=box.size_m * 1.15).sides[:, :2], _dim(palette.lane, 0.5))
    return Floor((float(low[0]), float(low[1])), brush.finish(np.random.default_rng((track.seed, 2))))


def _dim(colour: Colour, by: float, plus: float = 0.0) -> Colour:
    return colour[0] * by + plus, colour[1] * by + plus, colour[2] * by + plus


def _noise(chance: np.random.Generator, shape: tuple[int, int], deviation: float) -> Picture:
    """Grey around 128."""
    return chance.normal(128, deviation, shape).clip(0, 255).astype(np.uint8)


class _Brush:
    """Draws in metres on one picture."""

    def __init__(self, low: Floats, high: Floats, ground: Colour) -> None:
        width, height = (int(edge) for edge in (high - low) * PIXELS_PER_M)
        self._low = low
        self._picture: Picture = np.empty((height, width, 3), np.uint8)
        cv2.rectangle(self._picture, (0, 0), (width, height), ground, -1)

    def ribbon(
        self, track: Track, right_m: float, left_m: float, colour: Colour, part: slice | None = None
    ) -> None:
        """The band between two offsets from the centre line, all round or over a part of it."""
        sides = [(track.centre + offset * track.normal) for offset in (right_m, left_m)]
        if part is None:  # an outer and an inner ring: even-odd filling leaves the hole
            self._fill([self._pixels(side) for side in sides], colour)
        else:
            self.patch(np.vstack((sides[0][part], sides[1][part][::-1])), colour)

    def patch(self, outline: Floats, colour: Colour) -> None:
        self._fill([self._pixels(outline)], colour)

    def disc(self, centre: Floats, radius_m: float, colour: Colour) -> None:
        x, y = self._pixels(centre).tolist()
        radius = int(radius_m * PIXELS_PER_M * (1 << _SHIFT))
        cv2.circle(self._picture, (x, y), radius, colour, -1, cv2.LINE_AA, _SHIFT)

    def tiles(self, colour: Colour, size_m: float = 0.5) -> None:
        height, width = self._picture.shape[:2]
        for x in np.arange(0, width, size_m * PIXELS_PER_M).astype(int).tolist():
            cv2.line(self._picture, (x, 0), (x, height), colour, 2, cv2.LINE_AA)
        for y in np.arange(0, height, size_m * PIXELS_PER_M).astype(int).tolist():
            cv2.line(self._picture, (0, y), (width, y), colour, 2, cv2.LINE_AA)

    def chequers(self, track: Track, columns: int = 8, rows: int = 2) -> None:
        """The start line's, across the lane."""
        across = track.normal[0] * (2 * HALF_LANE_M / columns)
        along = track.tangent[0] * 0.08
        for column in range(columns):
            for row in range(rows):
                corner = track.centre[0] + across * (column - columns / 2) + along * row
                corners = np.array((corner, corner + across, corner + across + along, corner + along))
                self.patch(corners, (245, 245, 245) if (column + row) % 2 else (20, 20, 20))

    def finish(self, chance: np.random.Generator) -> tuple[Picture, ...]:
        """The picture with blotches and grain, as RGBX, and its mips."""
        # A texel is many pixels wide close by: soft edges are enlarged to smooth ones, sharp ones to stairs.
        picture = cv2.GaussianBlur(self._picture, (0, 0), 0.9)
        height, width = picture.shape[:2]
        blotches = _noise(chance, (height // 40 + 2, width // 40 + 2), chance.uniform(3, 8))
        grain = cv2.GaussianBlur(_noise(chance, (_GRAIN_PX, _GRAIN_PX), chance.uniform(8, 18)), (0, 0), 0.8)
        grain = np.tile(grain, (height // _GRAIN_PX + 1, width // _GRAIN_PX + 1))[:height, :width]
        for noise in (cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC), grain):
            # addWeighted saturates once, at the end; adding and then subtracting 128 greys the whites.
            picture = cv2.addWeighted(picture, 1, cv2.merge((noise, noise, noise)), 1, -128)
        mips = [cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)]
        while len(mips) < _MIP_LEVELS:
            mips.append(cv2.pyrDown(mips[-1]))
        return tuple(np.asarray(mip, np.uint8) for mip in mips)

    def _pixels(self, points: Floats) -> npt.NDArray[np.int32]:
        return np.round((points - self._low) * (PIXELS_PER_M * (1 << _SHIFT))).astype(np.int32)

    def _fill(self, outlines: list[npt.NDArray[np.int32]], colour: Colour) -> None:
        cv2.fillPoly(self._picture, outlines, colour, cv2.LINE_AA, _SHIFT)
