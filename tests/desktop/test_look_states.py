"""Every part in every state, theme and layout: nothing cut, nothing on top of anything, live unlike stale."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from PyQt5.QtWidgets import QApplication, QWidget

from desktop_app.keys import Deed
from desktop_app.main_window import MainWindow
from desktop_app.theme import MISSING
from desktop_app.toasts import Toast
from desktop_app.view import KnownRobot, View
from desktop_app.words import pairing_words
from pynet_core.errors import LinkClosed, LinkError
from pynet_core.pairing import PairingFailed, WrongCode
from tests.desktop import look_views as views
from tests.desktop.look_tools import SIZES, difference, faults, grey, make_window, painted, show, texts

ROBOTS = (
    KnownRobot(
        address="192.168.1.37:1857", name="rover-7", board="Raspberry Pi 5", is_connected=True, is_paired=True
    ),
    KnownRobot(address="truck.local:1857", name="truck", board="Raspberry Pi 4", is_paired=False),
    KnownRobot(address="localhost:1857", name="sim", simulated=True),
    KnownRobot(address="", name="Simulated car", board="this computer", simulated=True, is_starting=True),
)
WHY_NOT = tuple(
    pairing_words(error, "rover-7.local", wrong)
    for error, wrong in (
        (WrongCode("x"), 1),
        (WrongCode("x"), 3),
        (LinkClosed("x"), 0),
        (LinkError("x"), 0),
        (PairingFailed("the other end speaks another version of pairing"), 0),
    )
)
# Each zoom once: themes have the same places.
LOOKS = (("dark", 100), ("light", 100), ("dark", 125), ("light", 150))
EVERY = [(size, theme, zoom) for size in SIZES for theme, zoom in LOOKS]


@pytest.mark.parametrize("size, theme, zoom", EVERY)
def test_no_state_cuts_elides_or_overlaps_a_text(qtbot: Any, size: str, theme: str, zoom: int) -> None:
    window = make_window(qtbot, size, theme, zoom)
    found = []
    for name, view in views.STATES.items():
        show(window, view)
        found += [f"{name}: {fault}" for fault in faults(window)]
    assert not found


@pytest.mark.parametrize("size, theme, zoom", EVERY)
def test_no_sheet_cuts_elides_or_overlaps_a_text(qtbot: Any, size: str, theme: str, zoom: int) -> None:
    window = make_window(qtbot, size, theme, zoom)
    window.set_known(ROBOTS)
    found = []
    for view, deed in (
        (views.NONE, Deed.ROBOTS),
        (views.REFUSED, Deed.ROBOTS),
        (views.DISARMED, Deed.SETTINGS),
        (views.DISARMED, Deed.HELP),
        (views.DISARMED, Deed.GAMEPAD),
        (replace(views.DISARMED, pads=(views.PAD,)), Deed.GAMEPAD),
        (replace(views.DISARMED, pads=(views.JOYSTICK, views.PAD)), Deed.GAMEPAD),
        (views.GRACE_DRIVES, Deed.TAKE),
    ):
        show(window, view)
        window._do(deed)
        QApplication.processEvents()
        window.grab()
        assert window.sheets.is_open
        found += [f"{deed.name}: {fault}" for fault in faults(window)]
        window.sheets.close_sheet()
    assert not found


@pytest.mark.parametrize("size, theme, zoom", EVERY[::3])
def test_pairing_cuts_elides_or_overlaps_no_text(qtbot: Any, size: str, theme: str, zoom: int) -> None:
    window = make_window(qtbot, size, theme, zoom)
    sheet = window.pair_sheet
    sheet.set_name("ada-laptop")
    found = []
    steps: list[tuple[str, View, Callable[[], None]]] = [
        ("asks", views.PAIR, lambda: sheet.code.setText("4182")),
        ("runs", views.PAIR, sheet.show_running),
        *((words, views.PAIR, partial(sheet.show_failed, words)) for words in WHY_NOT),
        ("another key", views.OTHER_KEY, lambda: None),
    ]
    for name, view, do in steps:
        show(window, view)
        window.open_pairing()
        do()
        show(window, view)
        assert window.sheets.body is sheet
        found += [f"{name}: {fault}" for fault in faults(window)]
    assert not found


def test_what_pairing_asks_tells_and_warns_of_differ_without_colour(qtbot: Any) -> None:
    window = make_window(qtbot)
    sheet, seen = window.pair_sheet, []
    steps: list[Callable[[], None]] = [
        lambda: None,
        sheet.show_running,
        lambda: sheet.show_failed(WHY_NOT[0]),
    ]
    show(window, views.PAIR)
    for do in steps:
        do()
        show(window, views.PAIR)
        seen.append(grey(sheet))
    show(window, views.OTHER_KEY)
    assert difference(seen[0], seen[1]) > 0.1 and difference(seen[0], seen[2]) > 0.1
    assert "Forget and pair again" in texts(window)


@pytest.mark.parametrize("size", SIZES)
def test_drawer_log_and_full_picture_cut_no_text(qtbot: Any, size: str) -> None:
    window = make_window(qtbot, size)
    show(window, views.ARMED)
    found = []
    for deed in (Deed.LOG, Deed.CHARTS, Deed.LEFT_COLUMN, Deed.FULL_PICTURE):
        window._do(deed)
        show(window, views.BLOCKED)
        found += [f"{deed.name}: {fault}" for fault in faults(window)]
    assert not found


def test_the_measure_sees_a_cut_text_and_an_overlap(qtbot: Any) -> None:
    """What the tests above rely on can fail."""
    window = make_window(qtbot)
    long = replace(views.ARMED, drive=replace(views.ARMED.drive, hint="W" * 90))
    show(window, long)
    assert any("DriveCard" in fault for fault in faults(window))


def test_a_hostile_robot_cannot_write_over_the_window(qtbot: Any) -> None:
    name = "A robot with a name that goes on and on " * 3
    hostile = replace(
        views.status(views.GRACE_DRIVES, holder_name=name, reason=name * 3),
        robot_name=name,
        address=name,
        description=type(views.DESCRIPTION)(
            **{
                **{f: getattr(views.DESCRIPTION, f) for f in views.DESCRIPTION.__struct_fields__},
                "name": name,
                "board": name,
            }
        ),
        events=(views.event(name * 40), views.event("W" * 3000), views.event("")),
    )
    for size in SIZES:
        window = make_window(qtbot, size)
        show(window, hostile)
        assert [fault for fault in faults(window) if "elided" not in fault] == []
        window._do(Deed.TAKE)
        window.grab()
        assert [fault for fault in faults(window) if "elided" not in fault] == []


def test_a_long_name_keeps_its_letters_in_the_compact_chip(qtbot: Any) -> None:
    window = make_window(qtbot, "compact")
    name = "rovernumberfortysevenintheverylastbasement"
    show(window, replace(views.ARMED, robot_name=name))
    first, second = (text.text for text in window.bar.chip.drawn)
    assert name.startswith((first + second).rstrip("…"))


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_live_and_stale_differ_without_colour_in_every_part(qtbot: Any, theme: str) -> None:
    window = make_window(qtbot, "full", theme)
    parts: list[QWidget] = [
        window.bar.link,
        window.bar.lease,
        window.bar.banner,
        window.picture,
        *window.parts.right,
    ]
    show(window, views.ARMED)
    live = [grey(part) for part in parts]
    show(window, views.SILENT)
    for part, before in zip(parts, live, strict=True):
        assert difference(before, grey(part)) > 0.4, type(part).__name__


def test_no_measured_figure_survives_silence(qtbot: Any) -> None:
    window = make_window(qtbot)
    show(window, views.SILENT)
    seen = texts(window)
    assert not seen & {"1.42", "0.71", "1.34", "+0.35", "L 0.39", "24"}
    assert "1.42 m/s, 0.9 s ago" in seen  # the last one, small, with its age
    assert MISSING in seen


def test_asked_and_done_differ_without_colour(qtbot: Any) -> None:
    window = make_window(qtbot)
    show(window, views.ARMED)
    pad = window.parts.card(type(window.parts.right[1])).pad  # type: ignore[attr-defined]
    together = grey(pad)
    lagging = views.status(views.ARMED, duty=0.0)
    show(window, lagging)
    assert difference(together, grey(pad)) > 0.5


@pytest.mark.parametrize("kind", ["out_of_range", "fault", "stale"])
def test_each_kind_of_reading_looks_its_own(qtbot: Any, kind: str) -> None:
    window = make_window(qtbot)
    card = window.parts.right[0]
    seen = {}
    for value in (1.5, 0.7, 0.3, "out_of_range", "fault", "stale"):
        show(window, replace(views.ARMED, ranges=views.ranges(front_left=value)))
        seen[value] = grey(card)
    for value, picture in seen.items():
        if value != kind:
            assert difference(seen[kind], picture) > 0.3, value


def test_screen_readers_are_told_what_is_seen(qtbot: Any) -> None:
    window = make_window(qtbot)
    show(window, views.ARMED)
    proximity, drive, _ = window.parts.right
    assert "Front left 0.71 metres, near" in proximity.accessibleDescription()
    assert window.bar.banner.accessibleDescription().startswith("ARMED. Motors follow your controls")
    assert "asked throttle +0.38, steering L 0.46" in drive.pad.accessibleDescription()  # type: ignore[attr-defined]
    show(window, views.E_STOP)
    assert window.bar.banner.accessibleDescription().startswith("E_STOP")
    for widget, _, _ in painted(window):
        assert widget.accessibleName() or type(widget).__name__ in ("MainWindow", "Button"), widget


def test_toasts_cover_neither_speed_nor_age(qtbot: Any) -> None:
    for size in SIZES:
        window = make_window(qtbot, size)
        show(window, views.ARMED)
        window.show_toast(
            Toast(key="a", title="Gamepad gone. Plug it in or use the keys, then arm.", is_warning=True)
        )
        window.show_toast(
            Toast(key="b", title="Snapshot saved", text="snap-140312.png", action="Open folder")
        )
        show(window, views.ARMED)
        plates = window.parts.toasts.shown
        assert len(plates) == 2
        for plate in plates:
            box = plate.geometry()
            for text in window.picture.drawn:
                if text.text not in ("30 fps", "640 × 480", "6.9 Mbit/s"):
                    assert not box.intersects(text.box.toAlignedRect()), text.text
            assert window.picture.rect().contains(box)
            assert all(text.box.right() <= plate.width() for text in plate.drawn)


def test_nothing_is_painted_when_nothing_changed(qtbot: Any) -> None:
    window = make_window(qtbot)
    now_s = window.picture._clock()
    # Or picture and charts grow old meanwhile, on a busy machine.
    window.picture._clock = window.parts.panel.charts._clock = lambda: now_s
    show(window, views.ARMED)
    window.picture._timer.stop()
    painted_again: list[str] = []
    for widget, _, _ in painted(window):
        original = type(widget).paintEvent

        def spy(event: Any, widget: Any = widget, original: Any = original) -> None:
            painted_again.append(type(widget).__name__)
            original(widget, event)

        widget.paintEvent = spy  # type: ignore[method-assign,assignment]
    for _ in range(5):
        QApplication.processEvents()  # what showing the window has left to paint
    painted_again.clear()
    for _ in range(5):
        window.show_view(replace(views.ARMED, status_age_s=0.031))
        QApplication.processEvents()
    assert painted_again == []
    window.show_view(views.NONE)
    QApplication.processEvents()
    assert "Banner" in painted_again
    painted_again.clear()
    for _ in range(5):
        window.show_view(views.NONE)
        QApplication.processEvents()
    assert painted_again == []


def test_each_part_paints_within_its_budget(qtbot: Any) -> None:
    """CPU time, not wall: the machine is shared.  Prints what it measured (pytest -s)."""
    window = make_window(qtbot)
    show(window, views.ARMED)
    steps = [_moved(i) for i in range(60)]
    for widget, _, _ in painted(window):
        spent = []
        for view in steps:
            window.show_view(view)
            begun = time.thread_time()
            widget.grab()
            spent.append(1000 * (time.thread_time() - begun))
        spent.sort()
        print(f"{type(widget).__name__:14} p50 {spent[30]:.2f} ms  p99 {spent[58]:.2f} ms, with grab()")
        if not isinstance(widget, MainWindow) and type(widget).__name__ not in ("TopBar", "BottomPanel"):
            assert spent[30] <= 4.0, type(widget).__name__  # the median: never fail on one hiccup


def _moved(i: int) -> View:
    throttle = 0.3 + (i % 7) / 100
    return replace(
        views.status(views.ARMED, duty=throttle - 0.02, steering=(i % 11) / 20),
        drive=replace(views.ARMED.drive, throttle=throttle),
        ranges=views.ranges(front_left=0.7 + (i % 5) / 50, front_mid_left=0.34, rear="out_of_range"),
    )
