"""Hands on the charts: span, looking back, pinning; and what they say meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt5.QtGui import QMouseEvent, QWheelEvent
from PyQt5.QtWidgets import QApplication, QWidget

from desktop_app.charts import NONE_YET, Charts
from desktop_app.lettering import Type
from desktop_app.theme import DARK, MISSING, Look
from tests.desktop import look_views as views


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def charts(qtbot: Any, clock: Clock) -> Charts:
    widget = Charts(Look(DARK, Type()), clock=clock)
    qtbot.addWidget(widget)
    widget.resize(800, 164)
    widget.show()
    widget.show_view(views.ARMED)
    widget.add(views.samples(clock.now_s))
    widget.tick()
    widget.grab()
    return widget


def words(charts: Charts) -> list[str]:
    charts.grab()
    return [text.text for text in charts.drawn]


def told(charts: Charts) -> str:
    return charts._told[0]


def wheel(target: QWidget, up: bool) -> None:
    at = QPointF(target.rect().center())
    turn = QPoint(0, 120 if up else -120)
    event = QWheelEvent(at, at, QPoint(), turn, Qt.NoButton, Qt.NoModifier, Qt.NoScrollPhase, False)
    QApplication.sendEvent(target, event)


def mouse(target: QWidget, kind: Any, x: float, y: float, held: Any = Qt.NoModifier) -> None:
    at = QPointF(x, y)
    event = QMouseEvent(
        kind, at, at, QPointF(target.mapToGlobal(at.toPoint())), Qt.LeftButton, Qt.LeftButton, held
    )
    QApplication.sendEvent(target, event)


def drag(charts: Charts, by_px: float) -> None:
    plot = charts.plot
    mouse(plot, QEvent.MouseButtonPress, 200, 40)
    mouse(plot, QEvent.MouseMove, 200 + by_px, 40)
    mouse(plot, QEvent.MouseButtonRelease, 200 + by_px, 40)


def test_motion_comes_first_and_the_rest_is_counted(charts: Charts) -> None:
    assert {"Wheel speed", "Yaw rate", "Front left"} <= set(words(charts))
    assert told(charts) == "4 of 8 sensors   30 s"


def test_the_wheel_goes_from_10_s_to_10_min(charts: Charts) -> None:
    for _ in range(12):
        wheel(charts.plot, up=True)
    assert told(charts).endswith("10 s")
    for _ in range(12):
        wheel(charts.plot, up=False)
    assert told(charts).endswith("10 min")
    assert "now" in words(charts)


def test_dragging_looks_back_and_a_click_is_now_again(charts: Charts, clock: Clock) -> None:
    drag(charts, charts.plot.width() * 0.4)
    assert told(charts) == "12 s ago, click for now"
    assert "now" not in words(charts)
    clock.now_s += 3.0
    charts.tick()
    assert told(charts) == "15 s ago, click for now"  # it stays where it was put
    drag(charts, 0)
    assert told(charts).startswith("4 of 8 sensors")


def test_the_future_cannot_be_dragged_into_sight(charts: Charts) -> None:
    drag(charts, -300)
    assert told(charts).startswith("4 of 8 sensors")


def test_a_shift_click_pins_a_lane_to_the_top_and_frees_it(charts: Charts) -> None:
    third = [lane.info.key for lane in charts.shown()][2]
    mouse(charts, QEvent.MouseButtonPress, 40, 85, Qt.ShiftModifier)
    assert charts.shown()[0].info.key == third
    mouse(charts, QEvent.MouseButtonPress, 40, 10, Qt.ShiftModifier)
    assert charts.shown()[2].info.key == third


def test_the_wheel_over_the_titles_shows_other_lanes(charts: Charts) -> None:
    before = {lane.info.title for lane in charts.shown()}
    for _ in range(20):
        wheel(charts, up=False)
    after = {lane.info.title for lane in charts.shown()}
    assert "Motor" in " ".join(after) or "Ina219" in " ".join(after)
    assert before != after and len(after) == len(before)


def test_a_higher_panel_shows_more_lanes_and_a_high_one_its_scale(charts: Charts) -> None:
    charts.resize(800, 290)
    assert len(charts.shown()) == 8
    charts.resize(800, 164)
    few = replace(views.ARMED, description=_with_streams("encoder"))
    charts.show_view(few)
    charts.tick()
    assert len(charts.shown()) == 2
    assert {"0", "2"} <= set(words(charts))  # m/s: lanes of 70 px have room for it


def test_values_that_are_assumed_are_missing(charts: Charts) -> None:
    charts.show_view(views.SILENT)
    charts.tick()
    charts._drawn_at_s = 0.0
    charts.tick()
    assert words(charts).count(MISSING) == 4


def test_without_a_robot_it_says_what_will_come(charts: Charts) -> None:
    charts.show_view(views.NONE)
    charts.tick()
    assert words(charts) == [NONE_YET]
    assert not charts.plot.isVisible()


def test_samples_of_channels_nobody_described_are_dropped(charts: Charts) -> None:
    stray = replace(views.samples(1000.0)[0], channel="from nowhere")
    charts.add([stray])
    assert len(charts._lanes) == 8


def test_what_was_measured_stays_when_the_description_comes_again(charts: Charts) -> None:
    before = charts.shown()[0]
    charts.show_view(replace(views.ARMED, description=_with_streams("encoder", "proximity")))
    assert charts.shown()[0] is before


def _with_streams(*names: str) -> Any:
    fields = {name: getattr(views.DESCRIPTION, name) for name in views.DESCRIPTION.__struct_fields__}
    streams = tuple(stream for stream in views.DESCRIPTION.streams if stream.name in names)
    return type(views.DESCRIPTION)(**{**fields, "streams": streams})
