"""The picture: live, stale and missing are never mistaken for one another."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PyQt5.QtCore import QPoint, QRectF
from PyQt5.QtGui import QImage
from PyQt5.QtWidgets import QApplication

from desktop_app.lettering import Type
from desktop_app.overlay import MARGIN, NEAR_WIDTH, overlay_of, stale_plate
from desktop_app.picture import Picture
from desktop_app.theme import DARK, LIGHT, MISSING, READOUT, Look, Palette
from desktop_app.view import Connection, PictureView, View
from tests.desktop import look_views as views
from tests.desktop.look_tools import grey_ramp


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def picture(qtbot: Any, clock: Clock) -> Picture:
    widget = Picture(Look(DARK, Type()), clock=clock)
    qtbot.addWidget(widget)
    widget.resize(800, 600)
    widget.show()
    widget.show_view(views.ARMED)
    return widget


def words(picture: Picture) -> list[str]:
    picture.grab()
    return [text.text for text in picture.drawn]


def colour_share(picture: Picture) -> float:
    """How many pixels in the lower middle, where no plate stands, have a colour."""
    image = picture.grab().toImage().convertToFormat(QImage.Format_RGB32).copy(300, 420, 200, 120)
    bits = image.constBits().asstring(image.sizeInBytes())
    pixels = np.frombuffer(bits, np.uint8).reshape(120, 200, 4)[..., :3].astype(int)
    return float((pixels.max(axis=2) - pixels.min(axis=2) > 8).mean())


def test_a_live_picture_shows_its_age(picture: Picture, clock: Clock) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s - 0.043)
    assert "43 ms" in words(picture)
    assert not picture.is_stale
    assert colour_share(picture) > 0.9


def test_it_turns_grey_by_its_own_clock_when_no_picture_comes(picture: Picture, clock: Clock) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s)
    picture.grab()
    clock.now_s += 0.9
    seen = words(picture)
    assert {"PICTURE", "0.9 s old", "This is not what the car sees now."} <= set(seen)
    assert not any(word.endswith(" ms") for word in seen)
    assert colour_share(picture) < 0.01


def test_it_is_darkened_by_43_per_cent(picture: Picture, clock: Clock) -> None:
    white = QImage(800, 600, QImage.Format_RGB32)
    white.fill(0xFFFFFF)
    picture.set_picture(white, None, 1, clock.now_s - 0.9)
    color = picture.grab().toImage().pixelColor(QPoint(400, 500))
    assert color.red() == color.green() == color.blue() == pytest.approx(255 * 0.57, abs=2)


def test_half_a_second_is_the_border(picture: Picture, clock: Clock) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s - 0.499)
    assert not picture.is_stale
    clock.now_s += 0.002
    assert picture.is_stale


def test_its_age_counts_on_without_a_view(picture: Picture, clock: Clock, qtbot: Any) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s)
    QApplication.processEvents()
    clock.now_s += 3.2
    picture.tick()
    QApplication.processEvents()
    assert "3.2 s old" in [text.text for text in picture.drawn]


def test_the_frame_of_a_stale_picture_is_hatched(picture: Picture, clock: Clock) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s - 2)
    image = picture.grab().toImage()
    edge = [image.pixelColor(x, 4).red() for x in range(100, 700)]
    assert max(edge) > 200 and min(edge) < 80  # amber and dark in turns


def test_the_overlay_is_the_same_in_both_themes(qtbot: Any, clock: Clock) -> None:
    def pixels(palette: Palette) -> bytes:
        widget = Picture(Look(palette, Type()), clock=clock)
        qtbot.addWidget(widget)
        widget.resize(800, 600)
        widget.show_view(views.BLOCKED)
        widget.set_picture(grey_ramp(800, 600), None, 1, clock.now_s)
        image = widget.grab().toImage().convertToFormat(QImage.Format_RGB32).copy(8, 8, 784, 584)
        return bytes(image.constBits().asstring(image.sizeInBytes()))

    assert pixels(DARK) == pixels(LIGHT)


@pytest.mark.parametrize(
    "view, said",
    [
        (views.NONE, ["No robot connected. Press Ctrl+K."]),
        (views.WAITING, ["Waiting for the first picture… 2 s"]),
        (views.NO_CAMERA, ["rover-7 has no camera.", "Driving works; speed is held to 0.5 m/s."]),
        (views.REFUSED, ["rover-7 speaks wire 2, this window 1. Update this laptop."]),
    ],
)
def test_without_a_picture_it_names_the_next_step(picture: Picture, view: View, said: list[str]) -> None:
    picture.show_view(view)
    assert words(picture)[: len(said)] == said


def test_a_forgotten_picture_is_not_shown_again(picture: Picture, clock: Clock) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s)
    picture.forget_picture()
    assert picture.age_s is None
    assert colour_share(picture) < 0.01


def test_the_number_is_told_once_after_its_paint(picture: Picture, clock: Clock, qtbot: Any) -> None:
    told: list[int] = []
    picture.painted.connect(lambda number, _ns: told.append(number))
    picture.set_picture(grey_ramp(800, 600), None, 41, clock.now_s)
    picture.grab()
    picture.grab()
    assert told == [41]


def test_a_picture_of_the_right_size_is_painted_pixel_for_pixel(picture: Picture, clock: Clock) -> None:
    image = grey_ramp(800, 600)
    picture.set_picture(image, None, 1, clock.now_s)
    shot = picture.grab().toImage()
    for x, y in ((300, 300), (417, 433), (555, 251)):
        assert shot.pixelColor(x, y).rgb() == image.pixelColor(x, y).rgb()


def test_a_near_thing_stands_on_the_side_it_is_on(picture: Picture, clock: Clock) -> None:
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s)
    places = {}
    for name in ("front_left", "front_mid_left", "front_right", "rear"):
        picture.show_view(replace(views.ARMED, ranges=views.ranges(**{name: 0.31})))
        picture.grab()
        places[name] = next(text.box.center() for text in picture.drawn if text.text == "0.31 m")
    assert places["front_left"].x() < 200 < 600 < places["front_right"].x()
    assert places["front_mid_left"].y() < 100
    assert 200 < places["front_mid_left"].x() < 400
    assert places["rear"].y() > 520


def test_what_is_near_does_not_cover_the_age_of_a_small_picture(picture: Picture) -> None:
    area = QRectF(10, 10, 598, 398)  # of 1366 x 768, in its frame
    assert picture.look.type.fits("0.00 m", READOUT, NEAR_WIDTH - 44, bold=True)
    assert stale_plate(area).left() > area.left() + MARGIN + NEAR_WIDTH


def test_plates_of_one_side_do_not_cover_each_other(picture: Picture, clock: Clock) -> None:
    ranges = tuple(
        replace(one, bearing_rad=math.radians(bearing))
        for one, bearing in zip(
            views.ranges(
                front_left=0.1, front_mid_left=0.2, front_mid_right=0.3, front_right=0.35, rear=0.39
            ),
            (8.0, 0.0, -8.0, 60.0, 70.0),
            strict=True,
        )
    )
    picture.set_picture(grey_ramp(800, 600), None, 1, clock.now_s)
    picture.show_view(replace(views.ARMED, ranges=ranges))
    picture.grab()
    boxes = [text.box for text in picture.drawn]
    assert sum(text.text.endswith(" m") for text in picture.drawn) == 5
    assert not any(a.intersects(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("value", [0.4, 0.41, "fault", "out_of_range"])
def test_only_what_is_measured_under_40_cm_gets_a_plate(value: float | str) -> None:
    assert not overlay_of(replace(views.ARMED, ranges=views.ranges(front_left=value))).near


def test_speed_is_measured_never_the_command(picture: Picture) -> None:
    assert overlay_of(views.ARMED).speed.figure == "1.42"
    old = overlay_of(replace(views.ARMED, odometry_age_s=0.6))
    assert old.speed.figure == MISSING
    assert old.speed.under == "1.42 m/s, 0.6 s ago"
    assert overlay_of(replace(views.ARMED, odometry=None)).speed.figure == MISSING


def test_without_an_encoder_it_says_so() -> None:
    fields = {name: getattr(views.DESCRIPTION, name) for name in views.DESCRIPTION.__struct_fields__}
    streams = tuple(stream for stream in views.DESCRIPTION.streams if stream.name != "encoder")
    bare = type(views.DESCRIPTION)(**{**fields, "streams": streams})
    assert overlay_of(replace(views.ARMED, description=bare)).speed.under == "no encoder"


def test_an_absurd_speed_is_no_figure() -> None:
    assert views.ARMED.odometry is not None
    fields = {name: getattr(views.ARMED.odometry, name) for name in views.ARMED.odometry.__struct_fields__}
    for wrong in (float("nan"), float("inf")):
        odometry = type(views.ARMED.odometry)(**{**fields, "velocity_mps": wrong})
        assert overlay_of(replace(views.ARMED, odometry=odometry)).speed.figure == MISSING


def test_the_limit_is_in_metres_only_where_the_top_speed_is_known() -> None:
    assert overlay_of(views.ARMED).limit == "1.5 m/s"
    unknown = replace(views.ARMED, drive=replace(views.ARMED.drive, top_speed_mps=None))
    assert overlay_of(unknown).limit == "75 %"
    assert overlay_of(unknown).speed.share is None


@pytest.mark.parametrize(
    "limit, words, share", [(0.25, "1.0 m/s", 0.5), (0.5, "2.0 m/s", 1.0), (1.0, "2.0 m/s", 1.0)]
)
def test_a_limit_beyond_the_robots_own_is_the_robots_own(limit: float, words: str, share: float) -> None:
    drive = replace(views.ARMED.drive, limit=limit, full_throttle=0.5)
    overlay = overlay_of(replace(views.ARMED, drive=drive))
    assert (overlay.limit, overlay.limit_share) == (words, share)


def test_the_stream_is_told_as_it_is() -> None:
    slow = replace(
        views.ARMED, picture=PictureView(fps=12.4, width_px=1280, height_px=720, bits_per_s=1.25e6)
    )
    assert overlay_of(slow).rate == ("12 fps", "1280 × 720", "1.2 Mbit/s")


def test_a_reason_longer_than_the_picture_is_wide_is_all_there_to_read(picture: Picture) -> None:
    reason = "No robot answers at rover.local. Is it switched on? (cannot reach it: no such name or service)"
    picture.show_view(View(connection=Connection.CONNECTING, connection_error=f"{reason} {reason}"))
    picture.grab()
    lines = [text for text in picture.drawn if text.box.width() > 200]
    assert " ".join(text.text for text in lines) == f"{reason} {reason}"
    assert all(picture.rect().contains(text.box.toAlignedRect()) for text in lines)
