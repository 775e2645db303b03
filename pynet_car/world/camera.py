"""The simulated car's camera: what a Pi Camera v2 on its nose would see, drawn in about 4 ms.

The ground is a plane, so one homography (Hartley & Zisserman, *Multiple View
Geometry*, section 8.1) takes the painted floor to the image; what stands on
it is drawn over it, far to near.  Pictures are RGBX throughout: OpenCV's
four-channel warp takes 0.8 ms where its three-channel one takes 2.7.

Not modelled: lens distortion, motion blur, rolling shutter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from pynet_car.world.scenery import PIXELS_PER_M, Colour, Palette, Picture, choose_palette, hall, paint_floor
from pynet_car.world.track import Box, Floats, Track
from pynet_car.world.wiring import WIRING

ROOM_HEIGHT_M: Final = 1.1
_SHIFT: Final = 4  # OpenCV draws at 1/16 pixel
_FAR_M: Final = 20.0
_FOG_M: Final = 30.0
# Pixels cover more ground the farther they look: from here on the next mip is as fine as they are.
_MIP_FROM_M: Final = (0.0, 1.2, 2.8)
_NOISE_PX: Final = 64  # how far the noise picture is shifted about
_CARTON: Final = (196.0, 150.0, 96.0)
_CONE_PARTS: Final = (  # bottom, top, half width at each, colour
    (0.00, 0.02, 0.075, 0.075, (40, 40, 40)),
    (0.02, 0.20, 0.050, 0.012, (240, 100, 20)),
    (0.08, 0.13, 0.037, 0.027, (245, 245, 240)),
)
_CONE_ACROSS: Final = np.array([y for _, _, low, high, _ in _CONE_PARTS for y in (low, -low, -high, high)])
_CONE_UP: Final = np.array([z for low, high, _, _, _ in _CONE_PARTS for z in (low, low, high, high)])
_POSTERS: Final = ((200.0, 90.0, 70.0), (80.0, 130.0, 180.0), (225.0, 190.0, 90.0), (90.0, 150.0, 110.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """Size of the picture and where the camera sits: Pi Camera v2, 13 cm high, looking 13 degrees down."""

    width_px: int = 640
    height_px: int = 480
    horizontal_fov_deg: float = 62.2
    height_m: float = 0.13
    pitch_deg: float = 13.0
    forward_m: float = WIRING.lens_forward_m


PI_CAMERA: Final = Lens()


class _Panels(NamedTuple):
    """Upright rectangles: `sides` (n, 4) x0, y0, x1, y1; `bottom_m`, `top_m` (n,); lit `colours` (n, 3)."""

    sides: Floats
    bottom_m: Floats
    top_m: Floats
    colours: Floats


class Camera:
    """Draws the view from a pose; one thread's, and deterministic: the n-th picture has the n-th noise."""

    def __init__(
        self,
        track: Track,
        lens: Lens = PI_CAMERA,
        *,
        boxes: Sequence[Box] = (),
        quality: int = 75,
    ) -> None:
        self.lens = lens
        self._quality = quality
        self._palette = palette = choose_palette(track.seed)
        self._floor = paint_floor(track, palette, boxes)
        self._room = _room(track, palette)
        self._obstacles = _obstacles(track, palette, boxes)
        self._cones = track.cones
        self._noise_chance = np.random.default_rng((track.seed, 3))

        width, height = lens.width_px, lens.height_px
        self._focal_px = width / 2 / math.tan(math.radians(lens.horizontal_fov_deg) / 2)
        self._sin, self._cos = math.sin(math.radians(lens.pitch_deg)), math.cos(math.radians(lens.pitch_deg))
        f, h, sin, cos = self._focal_px, lens.height_m, self._sin, self._cos
        self._ground_to_image = np.array(
            (
                (cos * width / 2, -f, h * sin * width / 2),
                (cos * height / 2 - f * sin, 0.0, h * sin * height / 2 + f * h * cos),
                (cos, 0.0, h * sin),
            )
        )
        horizon = max(0, int(height / 2 - f * sin / cos))
        rows = [height, *(self._row_of(metres) for metres in _MIP_FROM_M[1:]), horizon + 1]
        self._bands = list(zip(rows[1:], rows[:-1], self._floor.mips, strict=True))
        fade = np.linspace(1.05, 0.85, horizon + 1)[:, None, None]
        self._sky = np.zeros((horizon + 1, width, 4), np.uint8)
        self._sky[:, :, :3] = (np.array(palette.ceiling) * fade).clip(0, 255)

        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        vignette = (255 * (1 - 0.13 * (x * x + y * y))).clip(0, 255).astype(np.uint8)
        self._vignette = cv2.merge((vignette,) * 4)
        size = (height + _NOISE_PX, width + _NOISE_PX, 4)
        self._noise = self._noise_chance.normal(64, 4.0, size).clip(0, 255).astype(np.uint8)

    def jpeg(self, x_m: float, y_m: float, heading_rad: float) -> bytes:
        """The view as JPEG, 4:2:0."""
        picture = self.render(x_m, y_m, heading_rad)
        jpeg: bytes = simplejpeg.encode_jpeg(picture, self._quality, "RGBX", "420")
        return jpeg

    def render(self, x_m: float, y_m: float, heading_rad: float) -> Picture:
        """The view of a car there: (H, W, 4) uint8, RGBX."""
        lens = self.lens
        picture: Picture = np.empty((lens.height_px, lens.width_px, 4), np.uint8)
        picture[: len(self._sky)] = self._sky
        c, s = math.cos(heading_rad), math.sin(heading_rad)
        eye_x, eye_y = x_m + lens.forward_m * c, y_m + lens.forward_m * s
        to_car = np.array(((c, s, -(c * eye_x + s * eye_y)), (-s, c, s * eye_x - c * eye_y), (0.0, 0.0, 1.0)))

        self._draw_floor(picture, to_car)
        # Seen from inside, the walls of a convex hall never hide one another.
        for _, quad, colour in self._project_panels(self._room, to_car):
            cv2.fillConvexPoly(picture, quad, colour, cv2.LINE_AA, _SHIFT)
        standing = self._project_panels(self._obstacles, to_car) + self._project_cones(to_car)
        standing.sort(key=_farthest_first)
        for _, quad, colour in standing:
            cv2.fillConvexPoly(picture, quad, colour, cv2.LINE_AA, _SHIFT)

        cv2.multiply(picture, self._vignette, picture, 1 / 255)
        down, right = self._noise_chance.integers(0, _NOISE_PX, 2).tolist()
        noise = self._noise[down : down + lens.height_px, right : right + lens.width_px]
        cv2.addWeighted(picture, 1, noise, 1, -64, picture)
        return picture

    def _row_of(self, metres: float) -> int:
        """The image row in which the ground that far ahead is seen."""
        depth = metres * self._cos + self.lens.height_m * self._sin
        drop = -metres * self._sin + self.lens.height_m * self._cos
        return int(self.lens.height_px / 2 + self._focal_px * drop / depth)

    def _draw_floor(self, picture: Picture, to_car: Floats) -> None:
        world_to_image = self._ground_to_image @ to_car
        origin_x, origin_y = self._floor.origin_m
        for level, (top, bottom, mip) in enumerate(self._bands):
            texel_m = 2**level / PIXELS_PER_M
            to_world = np.array(((texel_m, 0, origin_x), (0, texel_m, origin_y), (0, 0, 1)))
            to_band = np.array(((1, 0, 0), (0, 1, -top), (0, 0, 1)))
            cv2.warpPerspective(
                mip,
                to_band @ world_to_image @ to_world,
                (self.lens.width_px, bottom - top),
                picture[top:bottom],
                cv2.INTER_LINEAR,
                cv2.BORDER_REPLICATE,
            )

    def _project(self, points: Floats, height_m: Floats) -> Floats:
        """Points (n, 2) ahead and left of the camera, at heights (n,), to pixels (n, 2)."""
        below = self.lens.height_m - height_m
        depth = points[:, 0] * self._cos + below * self._sin
        pixels = np.empty_like(points)
        pixels[:, 0] = self.lens.width_px / 2 - self._focal_px * points[:, 1] / depth
        pixels[:, 1] = (
            self.lens.height_px / 2 + self._focal_px * (-points[:, 0] * self._sin + below * self._cos) / depth
        )
        return pixels

    def _project_panels(self, panels: _Panels, to_car: Floats) -> list[_Quad]:
        """Those in view, as polygons in the image, in the order they came."""
        turn, shift = to_car[:2, :2].T, to_car[:2, 2]
        a, b = panels.sides[:, :2] @ turn + shift, panels.sides[:, 2:] @ turn + shift
        # The top edge of a high wall passes behind a camera that looks down before its foot does.
        near = np.maximum(0.06, (panels.top_m - self.lens.height_m) * (self._sin / self._cos) + 0.05)
        seen = (np.maximum(a[:, 0], b[:, 0]) > near) & (np.minimum(a[:, 0], b[:, 0]) < _FAR_M)
        half_width = self.lens.width_px / 2 / self._focal_px * 1.02
        for side in (1, -1):  # both ends to the left, or both to the right of the view
            seen &= (side * a[:, 1] < a[:, 0] * half_width + 0.02) | (
                side * b[:, 1] < b[:, 0] * half_width + 0.02
            )
        a, b, near = a[seen], b[seen], near[seen]
        for end, other in ((a, b), (b, a)):
            behind = end[:, 0] < near
            if behind.any():
                share = (near[behind] - end[behind, 0]) / (other[behind, 0] - end[behind, 0])
                end[behind] += share[:, None] * (other[behind] - end[behind])
        bottom, top = panels.bottom_m[seen], panels.top_m[seen]
        corners = (
            self._project(a, bottom),
            self._project(b, bottom),
            self._project(b, top),
            self._project(a, top),
        )
        quads = _to_fixed_point(np.stack(corners, axis=1))
        distance = np.hypot(*((a + b) / 2).T)
        clear = np.exp(distance / -_FOG_M)[:, None]
        colours = panels.colours[seen] * clear + np.array(self._palette.ceiling) * (1 - clear)
        return [
            _Quad(d, quad, tuple(colour))
            for d, quad, colour in zip(distance.tolist(), quads, colours.clip(0, 255).tolist(), strict=True)
        ]

    def _project_cones(self, to_car: Floats) -> list[_Quad]:
        """Cones look the same from all sides: three flat parts each, facing the camera."""
        cones = self._cones @ to_car[:2, :2].T + to_car[:2, 2]
        half_width = self.lens.width_px / 2 / self._focal_px * 1.02
        cones = cones[(cones[:, 0] > 0.12) & (np.abs(cones[:, 1]) < cones[:, 0] * half_width + 0.1)]
        points = np.repeat(cones, len(_CONE_ACROSS), axis=0)
        points[:, 1] += np.tile(_CONE_ACROSS, len(cones))
        quads = _to_fixed_point(self._project(points, np.tile(_CONE_UP, len(cones)))).reshape(-1, 3, 4, 2)
        found = []
        for distance, parts in zip(np.hypot(*cones.T).tolist(), quads, strict=True):
            for step, (part, (*_, colour)) in enumerate(zip(parts, _CONE_PARTS, strict=True)):
                found.append(_Quad(distance - step * 1e-4, part, colour))
        return found


class _Quad(NamedTuple):
    distance_m: float
    corners: npt.NDArray[np.int32]  # (4, 2), fixed point
    colour: tuple[float, ...]


def _farthest_first(quad: _Quad) -> float:
    return -quad.distance_m


def _to_fixed_point(pixels: Floats) -> npt.NDArray[np.int32]:
    fixed: npt.NDArray[np.int32] = np.round(np.clip(pixels, -3000, 3000) * (1 << _SHIFT)).astype(np.int32)
    return fixed


def _lit(sides: Floats, colours: Floats, palette: Palette) -> Floats:
    """Lambert's shade by where each panel faces."""
    facing = np.arctan2(sides[:, 3] - sides[:, 1], sides[:, 2] - sides[:, 0])
    lit: Floats = colours * (0.78 + 0.22 * np.sin(facing - palette.sun_rad))[:, None]
    return lit


def _obstacles(track: Track, palette: Palette, boxes: Sequence[Box]) -> _Panels:
    barriers = track.barriers
    sides = np.vstack([barriers, *(box.sides for box in boxes)])
    colours = np.empty((len(sides), 3))
    colours[: len(barriers) : 2], colours[1 : len(barriers) : 2] = palette.barrier
    colours[len(barriers) :] = _CARTON
    top = np.full(len(sides), palette.barrier_height_m)
    top[len(barriers) :] = np.repeat([box.size_m for box in boxes], 4)
    return _Panels(sides, np.zeros(len(sides)), top, _lit(sides, colours, palette))


def _room(track: Track, palette: Palette) -> _Panels:
    """The hall: walls in panels of about 2 m and two shades, a skirting, and posters here and there."""
    low, high = hall(track)
    corners = np.array(((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])))
    corners += 0.1 * np.sign(corners.mean(axis=0) - corners)
    layers: list[tuple[Floats, float, float, Colour]] = []
    skirting: Colour = (70.0, 66.0, 62.0)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        # Even, so the shades alternate all round.
        count = 2 * max(1, round(float(np.hypot(*(end - start))) / 4))
        for panel in range(count):
            left, right = (start + (end - start) * (panel + share) / count for share in (0, 1))
            shade = 1.0 if panel % 2 else 0.93
            wall: Colour = (palette.wall[0] * shade, palette.wall[1] * shade, palette.wall[2] * shade)
            layers.append((np.concatenate((left, right)), 0.0, ROOM_HEIGHT_M, wall))
            layers.append((np.concatenate((left, right)), 0.0, 0.07, skirting))
            if panel % 2:
                inset = (right - left) * 0.28
                poster = _POSTERS[len(layers) // 2 % len(_POSTERS)]
                layers.append(
                    (np.concatenate((left + inset, right - inset)), 0.42, 0.86, (238.0, 236.0, 230.0))
                )
                inset = (right - left) * 0.30
                layers.append((np.concatenate((left + inset, right - inset)), 0.46, 0.82, poster))
    sides = np.array([layer[0] for layer in layers])
    colours = _lit(sides, np.array([layer[3] for layer in layers]), palette)
    return _Panels(sides, np.array([x[1] for x in layers]), np.array([x[2] for x in layers]), colours)
