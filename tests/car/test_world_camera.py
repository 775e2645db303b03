"""The picture: what stands where is seen where, from any pose, and the same again."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_car.world import DEFAULT_SEED
from pynet_car.world.camera import PI_CAMERA, Camera, Lens
from pynet_car.world.scenery import Picture
from pynet_car.world.sheet import contact_sheet
from pynet_car.world.track import HALF_LANE_M, Box, Track

TRACK = Track(DEFAULT_SEED)
START = TRACK.point(0.3)  # beyond the start line's chequers
CAMERA = Camera(TRACK)


def pixel_of(camera: Camera, pose: tuple[float, float, float], x_m: float, y_m: float) -> tuple[int, int]:
    """(column, row) of a point on the ground, by trigonometry and not by the camera's matrices."""
    x, y, heading = pose
    ahead = (x_m - x) * math.cos(heading) + (y_m - y) * math.sin(heading) - camera.lens.forward_m
    left = -(x_m - x) * math.sin(heading) + (y_m - y) * math.cos(heading)
    focal_px = camera.lens.width_px / 2 / math.tan(math.radians(camera.lens.horizontal_fov_deg) / 2)
    down = math.atan2(camera.lens.height_m, ahead) - math.radians(camera.lens.pitch_deg)
    slant = math.hypot(ahead, camera.lens.height_m) * math.cos(down)
    return (
        round(camera.lens.width_px / 2 - focal_px * left / slant),
        round(camera.lens.height_px / 2 + focal_px * math.tan(down)),
    )


def brightness(picture: Picture, column: int, row: int) -> float:
    return float(picture[row - 1 : row + 2, column - 1 : column + 2, :3].mean())


def test_a_picture_is_rgbx_of_the_size_asked_for() -> None:
    picture = CAMERA.render(*START)
    assert picture.shape == (480, 640, 4)
    assert picture.dtype == np.uint8
    small = Camera(TRACK, Lens(width_px=160, height_px=120)).render(*START)
    assert small.shape == (120, 160, 4)
    # The small picture shows the same as the big one.
    shrunk = cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(small[:, :, :3].astype(float) - shrunk[:, :, :3]).mean() < 6


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("ahead_m", [1.0, 1.5])
def test_the_lane_edges_are_seen_where_they_are(side: int, ahead_m: float) -> None:
    pose = TRACK.point(0.3, side * 0.2)  # near that edge
    picture = CAMERA.render(*pose)
    edge = pixel_of(CAMERA, pose, *TRACK.point(0.3 + ahead_m, side * HALF_LANE_M)[:2])
    inside = pixel_of(CAMERA, pose, *TRACK.point(0.3 + ahead_m, side * (HALF_LANE_M - 0.1))[:2])
    assert brightness(picture, *edge) > brightness(picture, *inside) + 60


def test_a_box_is_seen_where_it_stands_and_hides_what_is_behind() -> None:
    box = TRACK.box_at(1.6)
    with_box = Camera(TRACK, boxes=[box]).render(*START)
    column, row = pixel_of(CAMERA, START, box.x_m, box.y_m)
    red, green, blue = with_box[row - 40, column, :3].astype(int)
    assert red > 1.15 * green > 1.5 * blue  # cardboard
    assert (
        np.abs(with_box[row - 40, column, :3].astype(int) - CAMERA.render(*START)[row - 40, column, :3]).sum()
        > 60
    )


def test_a_cone_is_seen_where_it_stands() -> None:
    seen = 0
    for x_m, y_m in TRACK.cones.tolist():
        place = TRACK.locate(x_m, y_m)
        pose = TRACK.point(place.arc_m - 0.8)
        column, row = pixel_of(CAMERA, pose, x_m, y_m)
        if 0 <= column < 640:
            red, green, blue = CAMERA.render(*pose)[row - 30, column, :3].astype(int)
            seen += red > 1.8 * green > 1.8 * blue
    assert seen >= 3


def test_left_is_left() -> None:
    x, y, heading = START
    box = Box(x + math.cos(heading + 0.3), y + math.sin(heading + 0.3))
    change = np.abs(Camera(TRACK, boxes=[box]).render(*START).astype(int) - Camera(TRACK).render(*START))
    assert change[:, :320].sum() > 10 * change[:, 320:].sum()


def test_the_same_pictures_come_again_and_each_has_its_own_noise() -> None:
    one, other = Camera(TRACK), Camera(TRACK)
    first, second = one.render(*START), one.render(*START)
    assert np.array_equal(other.render(*START), first)
    assert np.array_equal(other.render(*START), second)
    assert not np.array_equal(first, second)
    assert np.abs(first.astype(int) - second).mean() < 10


@settings(max_examples=60)
@given(share=st.floats(0, 1), cross_track_m=st.floats(-0.6, 0.6), turn=st.floats(-math.pi, math.pi))
def test_there_is_a_picture_from_every_pose_a_car_can_have(
    share: float, cross_track_m: float, turn: float
) -> None:
    x, y, heading = TRACK.point(share * TRACK.length_m, cross_track_m)
    picture = CAMERA.render(x, y, heading + turn)[:, :, :3]
    # Not a blank, and not one thing that fills it all by a failed clip.
    assert 10 < picture.mean() < 245
    assert picture.std() > 5


def test_driving_on_changes_the_picture() -> None:
    pictures = [CAMERA.render(*TRACK.point(arc_m)).astype(int) for arc_m in (3.0, 3.05)]
    assert np.abs(pictures[0] - pictures[1]).mean() > 5


def test_a_jpeg_is_the_picture() -> None:
    jpeg = Camera(TRACK).jpeg(*START)
    height, width, _, sampling = simplejpeg.decode_jpeg_header(jpeg)
    assert (width, height, sampling) == (640, 480, "420")
    drawn = Camera(TRACK).render(*START)[:, :, :3]
    assert np.abs(simplejpeg.decode_jpeg(jpeg).astype(int) - drawn).mean() < 6
    assert len(Camera(TRACK, quality=30).jpeg(*START)) < 0.6 * len(jpeg)


def test_the_lens_is_a_pi_camera_v2() -> None:
    assert (PI_CAMERA.width_px, PI_CAMERA.height_px, PI_CAMERA.horizontal_fov_deg) == (640, 480, 62.2)


# Contact sheets


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_a_contact_sheet_shows_the_frames_row_by_row(tmp_path: Path, name: str) -> None:
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (10, 250, 250)]
    frames = [simplejpeg.encode_jpeg(np.full((120, 160, 3), colour, np.uint8), 90) for colour in colours]
    path = tmp_path / name
    contact_sheet(frames, path, columns=2, width_px=80)
    picture = cv2.imread(str(path))
    assert picture is not None
    sheet = picture[:, :, ::-1].astype(int)
    assert sheet.shape == (3 * 64 + 4, 2 * 84 + 4, 3)
    for number, colour in enumerate(colours):
        middle = sheet[4 + number // 2 * 64 + 30, 4 + number % 2 * 84 + 40]
        assert np.abs(middle - colour).max() < 12
    assert sheet[4 + 2 * 64 + 30, 4 + 84 + 40].max() < 60  # the last cell is empty


def test_a_contact_sheet_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    good = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(ValueError, match="at least one frame"):
        contact_sheet([], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="frame 1 is no JPEG: 4 B"):
        contact_sheet([good, b"nope"], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="frame 0 is no JPEG: 0 B"):
        contact_sheet([b""], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="no picture format"):
        contact_sheet([good], tmp_path / "sheet.nonsense")
    with pytest.raises(OSError, match="No such file"):
        contact_sheet([good], tmp_path / "nowhere" / "sheet.png")
