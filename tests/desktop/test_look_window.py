"""What hands do to the window: the E-STOP from anywhere, reset by holding, keys only where they may drive."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from PyQt5.QtCore import QEvent, QPoint, QPointF, QSize, Qt
from PyQt5.QtGui import QKeyEvent, QMouseEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QWidget

from desktop_app.banner_words import Action
from desktop_app.bottom_panel import Tab
from desktop_app.drive_panel import DriveCard, Pad
from desktop_app.keys import USUAL_KEYS, Deed
from desktop_app.main_window import MainWindow
from desktop_app.theme import ThemeChoice
from desktop_app.view import Focus, KnownRobot
from desktop_app.window_memory import WindowMemory
from tests.desktop import look_views as views
from tests.desktop.look_tools import faults, make_window, middle, show, texts

SIGNALS = (
    "e_stop_pressed", "arm_asked", "disarm_asked", "reset_asked", "take_asked", "give_asked", "limit_asked",
    "pad_dragged", "pad_released", "key_pressed", "key_held_over", "key_released", "focus_changed",
    "connect_asked", "forget_asked", "snapshot_asked", "keys_asked", "mapping_asked", "toast_clicked",
    "memory_changed", "close_asked",
)  # fmt: skip


class Told:
    """Everything a window has emitted, by name."""

    def __init__(self, window: MainWindow) -> None:
        self.all: list[tuple[str, tuple[Any, ...]]] = []
        for name in SIGNALS:
            getattr(window, name).connect(lambda *args, name=name: self.all.append((name, args)))

    def __call__(self, name: str) -> list[tuple[Any, ...]]:
        return [args for told, args in self.all if told == name]


@pytest.fixture
def window(qtbot: Any) -> MainWindow:
    made = make_window(qtbot)
    show(made, views.ARMED)
    made.picture.setFocus()
    assert made.focus is Focus.DRIVE
    return made


@pytest.fixture
def told(window: MainWindow) -> Told:
    return Told(window)


def press(window: MainWindow, key: int, modifiers: Any = Qt.NoModifier, *, repeat: bool = False) -> None:
    _send(window, QEvent.KeyPress, key, modifiers, repeat)


def release(window: MainWindow, key: int, *, repeat: bool = False) -> None:
    _send(window, QEvent.KeyRelease, key, Qt.NoModifier, repeat)


def _send(window: MainWindow, kind: Any, key: int, modifiers: Any, repeat: bool) -> None:
    target: QWidget = window.focusWidget() or window
    QApplication.sendEvent(target, QKeyEvent(kind, key, modifiers, "", repeat))


def drag(widget: QWidget, to: QPoint) -> None:
    """QTest's own moves carry no button."""
    event = QMouseEvent(QEvent.MouseMove, QPointF(to), Qt.LeftButton, Qt.LeftButton, Qt.NoModifier)
    QApplication.sendEvent(widget, event)


# The E-STOP.


def test_e_stop_fires_on_press_not_on_release(window: MainWindow, told: Told) -> None:
    QTest.mousePress(window.bar.e_stop, Qt.LeftButton)
    assert len(told("e_stop_pressed")) == 1
    QTest.mouseRelease(window.bar.e_stop, Qt.LeftButton)
    assert len(told("e_stop_pressed")) == 1


@pytest.mark.parametrize("button", [Qt.LeftButton, Qt.RightButton, Qt.MiddleButton])
def test_any_mouse_button_stops(window: MainWindow, told: Told, button: Any) -> None:
    QTest.mousePress(window.bar.e_stop, button)
    assert told("e_stop_pressed")


@pytest.mark.parametrize("view", list(views.STATES.values()), ids=list(views.STATES))
def test_e_stop_is_never_disabled(qtbot: Any, view: Any) -> None:
    window = make_window(qtbot)
    show(window, view)
    told = Told(window)
    assert window.bar.e_stop.isEnabled() and window.bar.e_stop.isVisible()
    QTest.mousePress(window.bar.e_stop, Qt.LeftButton)
    press(window, Qt.Key_Space)
    assert len(told("e_stop_pressed")) == 2


@pytest.mark.parametrize("key", [Qt.Key_Space, Qt.Key_F12])
def test_e_stop_keys_work_whatever_has_the_focus(window: MainWindow, told: Told, key: int) -> None:
    drive = window.parts.card(DriveCard)
    spots: list[QWidget] = [
        window.picture, drive.pad, drive.slider, window.bar.chip, window.bar.banner.button, window.bar.e_stop,
        window.parts.splitter, *window.parts.panel._buttons.values(),
    ]  # fmt: skip
    for spot in spots:
        spot.setFocus(Qt.TabFocusReason)
        press(window, key)
        release(window, key)
    window.take_sheet.ask("Grace", "rover-7")
    window._open(window.take_sheet)
    press(window, key)
    release(window, key)
    assert len(told("e_stop_pressed")) == len(spots) + 1
    assert not told("disarm_asked") and not told("connect_asked")


def test_e_stop_keys_work_with_any_modifier(window: MainWindow, told: Told) -> None:
    for modifiers in (Qt.ShiftModifier, Qt.ControlModifier, Qt.AltModifier | Qt.ShiftModifier):
        press(window, Qt.Key_Space, modifiers)
        release(window, Qt.Key_Space)
    assert len(told("e_stop_pressed")) == 3


def test_while_typing_space_is_a_letter_and_f12_stops(window: MainWindow, told: Told) -> None:
    window._do(Deed.ROBOTS)
    window.connect_sheet.field.setFocus()
    QTest.keyClicks(window.connect_sheet.field, "my robot")
    assert window.connect_sheet.field.text() == "my robot"
    assert not told("e_stop_pressed")
    press(window, Qt.Key_F12)
    assert len(told("e_stop_pressed")) == 1


def test_a_held_space_stops_once(window: MainWindow, told: Told) -> None:
    press(window, Qt.Key_Space)
    for _ in range(5):
        release(window, Qt.Key_Space, repeat=True)
        press(window, Qt.Key_Space, repeat=True)
    assert len(told("e_stop_pressed")) == 1


# Reset.


def test_reset_needs_the_hold(window: MainWindow, told: Told, qtbot: Any) -> None:
    show(window, views.E_STOP)
    button = window.bar.banner.button
    QTest.mousePress(button, Qt.LeftButton)
    qtbot.waitUntil(lambda: button.held_share > 0.2)
    QTest.mouseRelease(button, Qt.LeftButton)
    assert button.held_share == 0.0
    assert not button.is_held  # nothing is left that could ask
    assert not told("reset_asked")
    with qtbot.waitSignal(window.reset_asked, timeout=4000):
        QTest.mousePress(button, Qt.LeftButton)
    QTest.mouseRelease(button, Qt.LeftButton)
    assert len(told("reset_asked")) == 1


def test_the_key_r_needs_the_hold_too(window: MainWindow, told: Told, qtbot: Any) -> None:
    show(window, views.E_STOP)
    press(window, Qt.Key_R)
    qtbot.waitUntil(lambda: window.bar.banner.button.held_share > 0.2)
    release(window, Qt.Key_R)
    assert not window.bar.banner.button.is_held
    assert not told("reset_asked")
    with qtbot.waitSignal(window.reset_asked, timeout=4000):
        press(window, Qt.Key_R)


def test_a_hold_does_not_outlive_the_state_or_the_focus(window: MainWindow, told: Told) -> None:
    button = window.bar.banner.button
    show(window, views.E_STOP)
    press(window, Qt.Key_R)
    assert button.is_held
    show(window, views.DISARMED)
    assert not button.is_held
    show(window, views.E_STOP)
    press(window, Qt.Key_R)
    release(window, Qt.Key_R)
    press(window, Qt.Key_R)
    assert button.is_held
    window._do(Deed.ROBOTS)  # a sheet takes the focus
    assert not button.is_held


def test_r_resets_nothing_but_an_e_stop(window: MainWindow) -> None:
    press(window, Qt.Key_R)
    assert window.bar.banner.content.action is Action.DISARM
    assert not window.bar.banner.button.is_held


# Keys that drive.


def test_keys_are_passed_on_once_without_repeats(window: MainWindow, told: Told) -> None:
    press(window, Qt.Key_W)
    for _ in range(4):
        release(window, Qt.Key_W, repeat=True)
        press(window, Qt.Key_W, repeat=True)
    release(window, Qt.Key_W)
    assert told("key_pressed") == [(Qt.Key_W,)]
    assert told("key_released") == [(Qt.Key_W,)]


def test_keys_drive_only_from_the_picture_or_the_pad(window: MainWindow, told: Told) -> None:
    drive = window.parts.card(DriveCard)
    drive.pad.setFocus()
    press(window, Qt.Key_A)
    release(window, Qt.Key_A)
    for elsewhere in (window.bar.chip, drive.slider):
        elsewhere.setFocus()
        assert window.focus is Focus.ELSEWHERE
        press(window, Qt.Key_W)
        release(window, Qt.Key_W)
    assert told("key_pressed") == [(Qt.Key_A,)]


def test_a_key_that_is_down_when_the_focus_goes_is_forgotten(window: MainWindow, told: Told) -> None:
    press(window, Qt.Key_W)
    window.bar.chip.setFocus()
    assert told("focus_changed") == [(Focus.ELSEWHERE,)]
    window.picture.setFocus()
    press(window, Qt.Key_W, repeat=True)  # the keyboard goes on repeating it
    release(window, Qt.Key_W)
    assert told("key_pressed") == [(Qt.Key_W,)]
    assert told("key_held_over") == [(Qt.Key_W,)]
    assert told("key_released") == [(Qt.Key_W,)]


def test_a_key_that_goes_down_twice_was_up_in_between(window: MainWindow, told: Told) -> None:
    """In a stuck window a release looked like a repeat, as the key was down again; its press was lost."""
    press(window, Qt.Key_W, repeat=True)  # from before
    press(window, Qt.Key_W)
    assert told("key_released") == [(Qt.Key_W,)]
    assert told("key_pressed") == [(Qt.Key_W,)]
    press(window, Qt.Key_Space)
    press(window, Qt.Key_Space)
    assert len(told("e_stop_pressed")) == 2


def test_a_sheet_or_a_text_field_is_away(window: MainWindow, told: Told) -> None:
    window._do(Deed.SETTINGS)
    assert told("focus_changed")[-1] == (Focus.AWAY,)
    press(window, Qt.Key_W)
    press(window, Qt.Key_T)
    press(window, Qt.Key_BracketRight)
    assert not told("key_pressed") and not told("take_asked") and not told("limit_asked")
    window.sheets.close_sheet()
    assert told("focus_changed")[-1] == (Focus.DRIVE,)


def test_another_window_in_front_is_away(window: MainWindow, told: Told, qtbot: Any) -> None:
    other = QWidget()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    QApplication.setActiveWindow(other)
    assert told("focus_changed")[-1] == (Focus.AWAY,)


def test_a_click_on_a_button_does_not_take_the_focus_from_the_picture(window: MainWindow) -> None:
    QTest.mouseClick(window.bar.banner.button, Qt.LeftButton)
    QTest.mouseClick(window.bar.e_stop, Qt.LeftButton)
    QTest.mousePress(window.parts.card(DriveCard).slider, Qt.LeftButton)
    assert window.focus is Focus.DRIVE


# Deeds.


@pytest.mark.parametrize(
    "key, modifiers, name",
    [
        (Qt.Key_Return, Qt.NoModifier, "arm_asked"),
        (Qt.Key_G, Qt.NoModifier, "give_asked"),
        (Qt.Key_Escape, Qt.NoModifier, "disarm_asked"),
        (Qt.Key_S, Qt.ControlModifier, "snapshot_asked"),
    ],
)
def test_each_key_asks_for_its_deed(
    window: MainWindow, told: Told, key: int, modifiers: Any, name: str
) -> None:
    press(window, key, modifiers)
    assert len(told(name)) == 1
    assert not told("key_pressed")


def test_enter_on_a_focused_button_presses_that_button_and_does_not_arm(
    window: MainWindow, told: Told
) -> None:
    window.bar.banner.button.setFocus(Qt.TabFocusReason)
    press(window, Qt.Key_Return)
    assert told("disarm_asked") and not told("arm_asked")


def test_the_limit_goes_in_steps_of_ten_per_cent_and_stays_in_range(window: MainWindow, told: Told) -> None:
    for limit, key, then in (
        (0.5, Qt.Key_BracketRight, 0.6),
        (0.1, Qt.Key_BracketLeft, 0.1),
        (0.95, Qt.Key_BracketRight, 1.0),
    ):
        show(window, replace(views.ARMED, drive=replace(views.ARMED.drive, limit=limit)))
        press(window, key)
        release(window, key)
        assert told("limit_asked")[-1] == (then,)


@pytest.mark.parametrize("is_pairing", [False, True])
def test_a_link_that_comes_back_leaves_open_what_is_typed_in(
    window: MainWindow, told: Told, is_pairing: bool
) -> None:
    """Else the rest of the address drives, and its Enter arms."""
    show(window, views.LOST)
    if is_pairing:
        window.open_pairing()
        field: QWidget = window.pair_sheet.code
    else:
        window._do(Deed.ROBOTS)
        field = window.connect_sheet.field
    field.setFocus()
    QTest.keyClicks(field, "12")
    show(window, views.DISARMED)
    QTest.keyClicks(window.focusWidget(), "3")
    press(window, Qt.Key_Return)
    assert window.sheets.is_open and not told("arm_asked")


@pytest.mark.parametrize("deed", [Deed.ROBOTS, Deed.SETTINGS, Deed.HELP, Deed.GAMEPAD])
def test_under_every_sheet_all_is_neutral_and_behind_it_the_keys_drive_again(
    window: MainWindow, deed: Deed
) -> None:
    """Without a gamepad that sheet had nothing to focus, and the keys drove on under it."""
    window._do(deed)
    under = window.focus
    assert window.sheets.isAncestorOf(window.focusWidget())
    window.sheets.close_sheet()
    assert (under, window.focus) == (Focus.AWAY, Focus.DRIVE)


def test_escape_disarms_before_it_closes_anything(window: MainWindow, told: Told) -> None:
    window._do(Deed.HELP)
    press(window, Qt.Key_Escape)
    assert told("disarm_asked") and window.sheets.is_open
    show(window, views.DISARMED)
    release(window, Qt.Key_Escape)
    press(window, Qt.Key_Escape)
    assert not window.sheets.is_open
    assert len(told("disarm_asked")) == 1


def test_escape_ends_an_arm_that_is_on_its_way(window: MainWindow, told: Told) -> None:
    show(window, replace(views.DISARMED, has_lease=False, is_arming=True))
    press(window, Qt.Key_Escape)
    assert told("disarm_asked")


def test_taking_from_somebody_names_her_and_asks_once(window: MainWindow, told: Told) -> None:
    show(window, views.GRACE_DRIVES)
    press(window, Qt.Key_T)
    assert window.sheets.body is window.take_sheet
    assert "Grace" in window.take_sheet.under
    assert window.take_sheet.leave.shows_focus, "one sees what Enter would press"
    assert not told("take_asked")
    QTest.mouseClick(window.take_sheet.take, Qt.LeftButton)
    assert len(told("take_asked")) == 1
    assert not window.sheets.is_open


def test_taking_from_nobody_asks_nothing(window: MainWindow, told: Told) -> None:
    show(window, views.NO_LEASE)
    press(window, Qt.Key_T)
    assert len(told("take_asked")) == 1


def test_the_pad_is_dragged_with_the_wires_signs_and_let_go(window: MainWindow, told: Told) -> None:
    pad: Pad = window.parts.card(DriveCard).pad
    QTest.mousePress(pad, Qt.LeftButton, pos=middle(pad))
    drag(pad, QPoint(pad.width() * 2, -50))
    assert told("pad_dragged")[0] == (pytest.approx(0.0, abs=0.02), pytest.approx(0.0, abs=0.02))
    assert told("pad_dragged")[-1] == (1.0, -1.0)  # up is forward, right is minus
    QTest.mouseRelease(pad, Qt.LeftButton)
    assert told("pad_released") == [()]


def test_the_slider_asks_in_steps_of_five_per_cent(window: MainWindow, told: Told) -> None:
    slider = window.parts.card(DriveCard).slider
    QTest.mousePress(slider, Qt.LeftButton, pos=QPoint(slider.width() // 2, 16))
    drag(slider, QPoint(0, 16))
    QTest.mouseRelease(slider, Qt.LeftButton)
    assert told("limit_asked") == [(0.5,), (0.1,)]


# The connect sheet.


def test_a_typed_address_is_asked_for_and_nothing_is_not(window: MainWindow, told: Told) -> None:
    window._do(Deed.ROBOTS)
    field = window.connect_sheet.field
    QTest.keyClick(field, Qt.Key_Return)
    QTest.keyClicks(field, " rover.local:1857 ")
    QTest.keyClick(field, Qt.Key_Return)
    assert told("connect_asked") == [("rover.local:1857",)]


def test_a_known_robot_is_one_click_or_enter_away_and_can_be_forgotten(
    window: MainWindow, told: Told
) -> None:
    window.set_known((KnownRobot(address="10.0.0.7:1857", name="rover-7"),))
    window._do(Deed.ROBOTS)
    row, forget = window.connect_sheet._rows[0]
    assert row.hasFocus()
    press(window, Qt.Key_Return)
    QTest.mouseClick(forget, Qt.LeftButton)
    assert told("connect_asked") == [("10.0.0.7:1857",)]
    assert told("forget_asked") == [("10.0.0.7:1857",)]


def test_the_sheet_goes_when_the_robot_has_come(window: MainWindow) -> None:
    show(window, views.CONNECTING)
    window._do(Deed.ROBOTS)
    show(window, views.DISARMED)
    assert not window.sheets.is_open
    assert window.focus is Focus.DRIVE


def test_another_robots_picture_is_forgotten(window: MainWindow) -> None:
    assert window.picture.age_s is not None
    window.show_view(replace(views.ARMED, address="10.0.0.9"))
    assert window.picture.age_s is None


# The snapshot.


def test_a_snapshot_is_one_click_away_and_driving_goes_on(window: MainWindow, told: Told) -> None:
    QTest.mouseClick(window.picture.snapshot, Qt.LeftButton)
    assert told("snapshot_asked") == [()]
    assert window.focus is Focus.DRIVE
    window.picture.snapshot.setFocus(Qt.TabFocusReason)
    press(window, Qt.Key_Return)
    assert len(told("snapshot_asked")) == 2 and not told("arm_asked")


@pytest.mark.parametrize("size", ["full", "compact"])
def test_the_snapshots_button_stands_in_the_pictures_corner_and_covers_no_figure(
    qtbot: Any, size: str
) -> None:
    window = make_window(qtbot, size)
    button = window.picture.snapshot
    show(window, views.NONE)
    assert not button.isVisible()
    corners = []
    for view in (views.ARMED, views.OLD_PICTURE):
        show(window, view)
        window.picture.tick()
        assert button.isVisible() and button.width() == button.height() == 36
        assert not any(button.geometry().intersects(d.box.toAlignedRect()) for d in window.picture.drawn)
        corners.append(button.geometry().topRight())
    assert corners[0] - corners[1] == QPoint(10, -10)  # inside the stale picture's frame


# Panels and memory.


def test_f2_f6_and_f7_show_and_hide_their_parts(window: MainWindow, told: Told) -> None:
    panel, link = window.parts.panel, window.parts.left[0]
    press(window, Qt.Key_F6)
    assert panel.tab is Tab.LOG and panel.log.isVisible() and not panel.charts.isVisible()
    press(window, Qt.Key_F2)
    release(window, Qt.Key_F2)
    assert panel.charts.isVisible()
    press(window, Qt.Key_F2)
    assert not panel.isVisible()
    press(window, Qt.Key_F7)
    assert not link.isVisible()
    last = told("memory_changed")[-1][0]
    assert not last.shows_left and not last.shows_panel


def test_the_compact_layout_has_them_in_a_drawer(qtbot: Any) -> None:
    window = make_window(qtbot, "compact")
    show(window, views.DISARMED)
    panel, link = window.parts.panel, window.parts.left[0]
    assert not panel.isVisible() and not link.isVisible()
    QTest.mouseClick(window.bar.menu, Qt.LeftButton)
    assert panel.isVisible() and link.isVisible()
    window.picture.setFocus()
    press(window, Qt.Key_F2)
    assert panel.charts.isVisible() and not link.isVisible()
    press(window, Qt.Key_Escape)
    assert not panel.isVisible()


def test_f11_leaves_the_picture_and_the_top_bar(window: MainWindow) -> None:
    press(window, Qt.Key_F11)
    assert window.picture.width() == window.width()
    assert window.bar.isVisible() and not window.parts.panel.isVisible()
    assert not any(card.isVisible() for card in (*window.parts.left, *window.parts.right))
    release(window, Qt.Key_F11)
    press(window, Qt.Key_F11)
    assert all(card.isVisible() for card in (*window.parts.left, *window.parts.right))


def test_theme_and_zoom_hold_at_once_and_are_told(window: MainWindow, told: Told) -> None:
    window.settings_sheet.theme_asked.emit(ThemeChoice.LIGHT)
    assert window.look.palette.name == "light"
    window.settings_sheet.zoom_asked.emit(125)
    assert window.look.scale == 1.25
    assert told("memory_changed")[-1][0] == replace(window.memory, theme=ThemeChoice.LIGHT, zoom=125)


def test_a_zoom_there_is_no_room_for_is_told_and_comes_with_a_larger_window(qtbot: Any) -> None:
    """At 1024 x 600 the compact layout fills the window to the last px: nothing could be larger."""
    window = make_window(qtbot, (1024, 600), zoom=150)
    window._do(Deed.SETTINGS)
    window.grab()
    words = "This window has room for 100 %. Make it larger to get 150 %."
    assert words in texts(window) and window.look.scale == 1.0
    window.resize(1536, 900)
    window.grab()
    assert words not in texts(window) and window.look.scale == 1.5


def test_sounds_are_off_until_they_are_asked_for(window: MainWindow, told: Told) -> None:
    assert not window.memory.sounds
    window._do(Deed.SETTINGS)
    QTest.mouseClick(window.settings_sheet._sounds.buttons[1], Qt.LeftButton)
    assert told("memory_changed")[-1][0].sounds
    assert window.settings_sheet._sounds.buttons[1].accessibleName() == "On, chosen"


def test_a_remembered_window_comes_back_as_it_was(qtbot: Any) -> None:
    memory = WindowMemory(
        theme=ThemeChoice.LIGHT, panel_height=260.0, shows_left=False, width=1600, height=1000
    )
    window = MainWindow(memory, room=QSize(1920, 1080))
    qtbot.addWidget(window)
    window.show()
    assert (window.width(), window.height()) == (1600, 1000)
    assert window.arrangement.panel is not None and window.arrangement.panel.height == 260.0
    assert not window.parts.left[0].isVisible()


@pytest.mark.parametrize("room", [(1024, 600), (800, 480), (960, 540)])
def test_a_small_screen_does_not_cut_the_e_stop_off(qtbot: Any, room: tuple[int, int]) -> None:
    """The 7 inch display of a Pi; 1920 x 1080 at twice the size."""
    window = MainWindow(WindowMemory(width=1440, height=900), room=QSize(*room))
    qtbot.addWidget(window)
    window.show()
    assert (window.width(), window.height()) == room
    show(window, views.ARMED)
    assert faults(window) == []
    assert window.rect().contains(window.bar.geometry().intersected(window.bar.e_stop.geometry()))


def test_closing_asks_first_and_goes_when_it_may(window: MainWindow) -> None:
    asked: list[None] = []
    window.close_asked.connect(lambda: asked.append(None))
    assert not window.close()
    assert asked and window.isVisible()
    window.let_close()
    assert not window.isVisible()


def test_everything_is_reached_by_tab(window: MainWindow) -> None:
    seen: list[QWidget] = []
    window.bar.chip.setFocus(Qt.TabFocusReason)
    for _ in range(30):
        focused = window.focusWidget()
        if focused in seen:
            break
        seen.append(focused)
        window.focusNextPrevChild(True)
    drive = window.parts.card(DriveCard)
    for wanted in (
        window.bar.chip,
        window.bar.banner.button,
        window.bar.e_stop,
        window.picture,
        drive.pad,
        drive.slider,
    ):
        assert wanted in seen


def test_tab_goes_through_the_robots_and_then_to_the_field(window: MainWindow) -> None:
    window.set_known(tuple(KnownRobot(address=f"10.0.0.{n}:1857") for n in (7, 8)))
    window._do(Deed.ROBOTS)
    sheet = window.connect_sheet
    expected = [*itertools.chain.from_iterable(sheet._rows), sheet.field, sheet.go]
    for widget in expected:
        assert window.focusWidget() is widget
        window.focusNextPrevChild(True)


def test_the_e_stop_works_over_the_menu_of_a_field(window: MainWindow, told: Told) -> None:
    window._do(Deed.ROBOTS)
    window.connect_sheet.field.setFocus()
    window.connect_sheet.field.setText("rover")
    menu = window.connect_sheet.field.createStandardContextMenu()
    menu.popup(window.pos())
    QTest.keyPress(menu, Qt.Key_Down)
    assert menu.activeAction() is not None, "its other keys are its own"
    QTest.keyPress(menu, Qt.Key_F12)
    assert told("e_stop_pressed")
    menu.close()


def test_tab_stays_off_what_a_sheet_covers(window: MainWindow) -> None:
    window.set_known((KnownRobot(address="10.0.0.7:1857", name="rover-7"),))
    window._do(Deed.ROBOTS)
    seen = set()
    for _ in range(40):
        window.focusNextPrevChild(True)
        focused = window.focusWidget()
        assert not window.parts.is_covered(focused)
        seen.add(focused)
    assert {window.connect_sheet.field, window.connect_sheet.go, window.bar.e_stop} <= seen


@pytest.mark.parametrize("size", ["full", "compact"])
def test_every_target_is_large_enough(qtbot: Any, size: str) -> None:
    window = make_window(qtbot, size)
    show(window, views.DISARMED)
    drive = window.parts.card(DriveCard)
    for target in (window.bar.chip, window.bar.banner.button, drive.slider):
        assert min(target.width(), target.height()) >= 32, target
    assert window.bar.e_stop.height() >= 36


@pytest.mark.parametrize("key, held", [(Qt.Key_W, 0), (Qt.Key_S, 0), (Qt.Key_Return, int(Qt.AltModifier))])
def test_a_key_without_a_deed_is_none(key: int, held: int) -> None:
    assert USUAL_KEYS.deed(key, Qt.KeyboardModifiers(held), is_typing=False) is None


@pytest.mark.parametrize("at", [0, 1])
def test_cards_that_open_something_do_so_by_mouse_and_by_enter(window: MainWindow, at: int) -> None:
    card = window.parts.left[at]

    def has_opened() -> bool:
        return window.sheets.body is window.figures_sheet if at == 0 else window.parts.panel.tab is Tab.LOG

    QTest.mouseClick(card, Qt.LeftButton)
    assert has_opened()
    window.sheets.close_sheet()
    window.parts.panel.show_tab(Tab.CHARTS, is_drawer=False)
    card.setFocus(Qt.TabFocusReason)
    press(window, Qt.Key_Return)
    assert has_opened()
