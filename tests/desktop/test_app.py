"""The program: windows on robots, what is remembered, and what happens where nothing can be written."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop_app.app import App
from desktop_app.cockpit import Cockpit
from desktop_app.connect_sheet import RobotRow, row_words
from desktop_app.drive_panel import DriveCard
from desktop_app.folders import Folders
from desktop_app.gamepad import PadButton
from desktop_app.keys import USUAL_KEYS
from desktop_app.settings import PadMapping, SettingsFile
from desktop_app.teleop import Direction
from desktop_app.theme import ThemeChoice
from desktop_app.view import Connection, Focus
from desktop_app.window_memory import WindowMemory
from pynet_car.messages import State
from tests.desktop.fake_robot import FakeRobot, jpeg
from tests.desktop.virtual_pad import VirtualStick

SOON_MS = 8000


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "config" / "settings.json", tmp_path / "crashes", tmp_path / "pictures")


@pytest.fixture
def start(qtbot: QtBot, qapp: QApplication, folders: Folders) -> Iterator[Callable[..., App]]:
    apps: list[App] = []

    def start(folders: Folders = folders) -> App:
        app = App(qapp, folders)
        apps.append(app)
        return app

    yield start
    for app in apps:
        app.close()
        qtbot.waitUntil(lambda app=app: not app.cockpits, timeout=2 * SOON_MS)  # type: ignore[misc]
        app.finish()


@pytest.fixture
def robot() -> Iterator[FakeRobot]:
    with FakeRobot() as robot:
        yield robot


@pytest.fixture
def driven(qtbot: QtBot, start: Callable[..., App], robot: FakeRobot) -> Cockpit:
    """A window on a robot, with the focus, armed."""
    cockpit = start().start(f"127.0.0.1:{robot.port}")
    qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
    cockpit.hands.set_focus(Focus.DRIVE)  # offscreen no window is in front

    def is_armed() -> bool:
        if cockpit.window.view.state is State.ARMED:
            return True
        cockpit.window.arm_asked.emit()  # again and again: a press in a stuck window does not arm
        return False

    qtbot.waitUntil(is_armed, timeout=SOON_MS)
    # Neutral was seen while armed.
    qtbot.waitUntil(lambda: not cockpit.hands.teleop._latched, timeout=SOON_MS)
    return cockpit


def is_up(cockpit: Cockpit) -> Callable[[], bool]:
    def is_up() -> bool:
        view = cockpit.window.view
        return (
            view.connection is Connection.UP
            and view.description is not None
            and view.picture_age_s is not None
        )

    return is_up


def texts(cockpit: Cockpit) -> list[str]:
    return [event.event.text for event in cockpit.events.events]


# --- one window ---


def test_without_an_address_the_window_is_there_and_asks(start: Callable[..., App]) -> None:
    cockpit = start().start()
    assert cockpit.window.isVisible()
    assert cockpit.window.view.connection is Connection.NONE
    assert not cockpit.was_reached


def test_keys_reach_the_robot_and_letting_go_is_neutral(
    qtbot: QtBot, driven: Cockpit, robot: FakeRobot
) -> None:
    driven.window.key_pressed.emit(Qt.Key_Up)
    driven.window.key_pressed.emit(Qt.Key_A)
    qtbot.waitUntil(
        lambda: (robot.commands()[-1].throttle, robot.commands()[-1].steering) == (0.5, 1.0), timeout=SOON_MS
    )
    driven.window.key_released.emit(Qt.Key_Up)
    driven.window.key_released.emit(Qt.Key_A)
    qtbot.waitUntil(
        lambda: (robot.commands()[-1].throttle, robot.commands()[-1].steering) == (0.0, 0.0), timeout=SOON_MS
    )


def test_the_limit_is_in_metres_once_the_robot_has_told_its_top_speed(
    qtbot: QtBot, start: Callable[..., App], robot: FakeRobot
) -> None:
    robot.description = replace(robot.description, top_speed_mps=3.0)
    cockpit = start().start(f"127.0.0.1:{robot.port}")
    slider = cockpit.window.parts.card(DriveCard).slider
    assert slider.accessibleDescription() == "50 %"
    qtbot.waitUntil(lambda: slider.accessibleDescription() == "1.5 m/s", timeout=SOON_MS)


def test_the_view_shows_what_is_asked_and_what_hinders(qtbot: QtBot, driven: Cockpit) -> None:
    driven.window.key_pressed.emit(Qt.Key_Up)
    qtbot.waitUntil(lambda: driven.window.view.drive.throttle == 0.5, timeout=SOON_MS)
    driven.hands.set_focus(Focus.AWAY)
    qtbot.waitUntil(
        lambda: driven.window.view.drive.hint == "Window not in front: controls are neutral", timeout=SOON_MS
    )
    assert driven.window.view.drive.throttle == 0.0


def test_e_stop_is_neutral_in_the_same_event(qtbot: QtBot, driven: Cockpit, robot: FakeRobot) -> None:
    driven.window.key_pressed.emit(Qt.Key_Up)
    qtbot.waitUntil(lambda: robot.commands()[-1].throttle > 0.0, timeout=SOON_MS)
    driven.window.e_stop_pressed.emit()
    driven.hands.move()
    assert driven.hands.decision.throttle == 0.0
    qtbot.waitUntil(lambda: driven.window.view.state is State.E_STOP, timeout=SOON_MS)
    assert driven.hands.decision.hint in ("", "Let go first")
    qtbot.wait(100)
    assert robot.commands()[-1].throttle == 0.0


def test_e_stop_without_a_robot_says_so_and_does_not_fail(start: Callable[..., App]) -> None:
    cockpit = start().start()
    cockpit.window.e_stop_pressed.emit()
    cockpit.take_button(PadButton.E_STOP)
    cockpit.window.arm_asked.emit()
    cockpit.window.disarm_asked.emit()
    cockpit.window.snapshot_asked.emit()


def test_the_pads_button_arms_and_disarms(qtbot: QtBot, driven: Cockpit, robot: FakeRobot) -> None:
    driven.window.keyboard.focus = Focus.AWAY  # a sheet is open, or another program in front
    driven.take_button(PadButton.ARM)
    qtbot.waitUntil(lambda: driven.window.view.state is State.DISARMED, timeout=SOON_MS)
    driven.window.keyboard.focus = Focus.DRIVE

    def is_armed() -> bool:
        view = driven.window.view
        if view.state is State.DISARMED and not view.is_arming:
            driven.take_button(PadButton.ARM)  # again: a press in a stuck window does not arm
        return view.state is State.ARMED

    qtbot.waitUntil(is_armed, timeout=SOON_MS)


def test_losing_the_lease_is_told_and_giving_it_back_is_not(
    qtbot: QtBot, driven: Cockpit, robot: FakeRobot
) -> None:
    robot.set(holder="somebody", holder_name="Ada", state=State.DISARMED, reason="Ada took the lease")
    qtbot.waitUntil(lambda: not driven.window.view.has_lease, timeout=SOON_MS)
    shown = [plate.toast.title for plate in driven.window.parts.toasts.shown]
    assert "Ada took the lease" in shown


def test_a_snapshot_is_the_pictures_own_jpeg(qtbot: QtBot, driven: Cockpit, folders: Folders) -> None:
    driven.window.snapshot_asked.emit()
    qtbot.waitUntil(lambda: any("Snapshot saved" in text for text in texts(driven)), timeout=SOON_MS)
    [path] = folders.pictures.iterdir()
    assert path.read_bytes() == jpeg()
    assert path.name.startswith("rover-7-")


def test_a_corrupt_picture_is_told_once_and_never_shown_as_live(
    qtbot: QtBot, driven: Cockpit, robot: FakeRobot
) -> None:
    robot.picture = b"\xff\xd8 no picture"
    qtbot.waitUntil(lambda: driven.frames.corrupt > 10, timeout=SOON_MS)
    assert texts(driven).count("A picture was corrupt and is not shown.") == 1
    qtbot.waitUntil(lambda: (driven.window.view.picture_age_s or 0.0) > 0.5, timeout=SOON_MS)
    assert driven.window.picture.is_stale


def test_with_a_stale_picture_the_hands_creep(qtbot: QtBot, driven: Cockpit, robot: FakeRobot) -> None:
    robot.picture = b""
    qtbot.waitUntil(lambda: driven.window.picture.is_stale, timeout=SOON_MS)
    driven.window.key_pressed.emit(Qt.Key_Up)
    qtbot.waitUntil(lambda: robot.commands()[-1].throttle == pytest.approx(0.15), timeout=SOON_MS)
    qtbot.wait(300)
    assert max(command.throttle for command in robot.commands()) == pytest.approx(0.15)


# --- closing ---


def test_closing_while_armed_disarms_first(qtbot: QtBot, driven: Cockpit, robot: FakeRobot) -> None:
    driven.window.close()
    assert driven.window.isVisible()
    qtbot.waitUntil(lambda: not driven.window.isVisible(), timeout=SOON_MS)
    assert robot.asked[-2:] == ["disarm", "release"]


def test_closing_while_it_connects_is_at_once(start: Callable[..., App]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cockpit = start().start(f"127.0.0.1:{silent.getsockname()[1]}")
        cockpit.window.close()
        assert not cockpit.window.isVisible()


def test_closing_with_a_robot_that_has_vanished_takes_3_s_at_most(qtbot: QtBot, driven: Cockpit) -> None:
    assert driven.robot is not None
    driven.robot.link.operator._controller.port = 1  # type: ignore[union-attr]  # nobody there any more
    begun_s = time.monotonic()
    driven.window.close()
    qtbot.waitUntil(lambda: not driven.window.isVisible(), timeout=2 * SOON_MS)
    assert time.monotonic() - begun_s < 6.0, "3 s where nothing else runs"


# --- several robots, and what is remembered ---


def test_another_robot_gets_a_window_of_its_own_and_the_same_one_does_not(
    qtbot: QtBot, start: Callable[..., App], robot: FakeRobot
) -> None:
    app = start()
    first = app.start(f"127.0.0.1:{robot.port}")
    qtbot.waitUntil(is_up(first), timeout=SOON_MS)
    with FakeRobot() as other:
        first.window.connect_asked.emit(f"127.0.0.1:{other.port}")
        first.window.connect_asked.emit(f"127.0.0.1:{robot.port}")
        assert len(app.cockpits) == 2
        second = app.cockpits[1]
        qtbot.waitUntil(is_up(second), timeout=SOON_MS)
        second.window.e_stop_pressed.emit()
        qtbot.waitUntil(lambda: second.window.view.state is State.E_STOP, timeout=SOON_MS)
        assert first.window.view.state is State.DISARMED
        assert "e_stop" not in robot.asked
        second.window.close()
        qtbot.waitUntil(lambda: app.cockpits == [first], timeout=SOON_MS)


def test_a_robot_that_never_answered_is_replaced_in_the_same_window(
    qtbot: QtBot, start: Callable[..., App], robot: FakeRobot
) -> None:
    app = start()
    cockpit = app.start("127.0.0.1:1")
    qtbot.waitUntil(lambda: "No robot answers" in cockpit.window.view.connection_error, timeout=SOON_MS)
    cockpit.window.connect_asked.emit(f"127.0.0.1:{robot.port}")
    qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
    assert app.cockpits == [cockpit]


def test_keys_and_a_gamepads_mapping_are_remembered_and_hold_in_every_window(
    qtbot: QtBot, start: Callable[..., App], folders: Folders
) -> None:
    app = start()
    first = app.start()
    second = app._open()
    first.window.keys_asked.emit(USUAL_KEYS.with_key(Direction.FORWARD, 0, Qt.Key_I))
    first.window.mapping_asked.emit("0300", PadMapping(hold="rightshoulder"))
    assert first.hands.keys.cap(Direction.FORWARD) == second.window.look.keys.cap(Direction.FORWARD) == "I"
    qtbot.waitUntil(lambda: bool(SettingsFile(folders.settings).load().pads), timeout=SOON_MS)
    saved = SettingsFile(folders.settings).load()
    assert saved.keys == {"forward": ("I", "Up")}
    assert saved.pads == {"0300": PadMapping(hold="rightshoulder")}
    third = start().start()
    assert third.hands.keys.cap(Direction.FORWARD) == "I"


def test_a_joystick_without_a_mapping_is_told_with_the_way_out(
    qtbot: QtBot, start: Callable[..., App]
) -> None:
    cockpit = start().start()
    stick = VirtualStick()
    qtbot.waitUntil(lambda: bool(texts(cockpit)), timeout=SOON_MS)
    stick.unplug()
    assert texts(cockpit)[0].endswith("has no mapping. Ctrl+G sets it up.")


def test_what_is_no_address_is_said_in_the_window(start: Callable[..., App]) -> None:
    cockpit = start().start()
    cockpit.window.connect_asked.emit("http://rover")
    assert "is no address" in cockpit.window.view.connection_error


def test_robots_theme_layout_and_limit_are_remembered(
    qtbot: QtBot, start: Callable[..., App], folders: Folders, robot: FakeRobot
) -> None:
    app = start()
    cockpit = app.start(f"127.0.0.1:{robot.port}")
    qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
    cockpit.window.memory_changed.emit(WindowMemory(theme=ThemeChoice.LIGHT, zoom=125, panel_height=260.0))
    cockpit.window.limit_asked.emit(0.8)
    qtbot.waitUntil(lambda: SettingsFile(folders.settings).load().limit == 0.8, timeout=SOON_MS)
    saved = SettingsFile(folders.settings).load()
    assert (saved.theme, saved.zoom, saved.panel_height) == ("light", 125, 260.0)
    assert [(r.name, r.port) for r in saved.robots] == [("rover-7", robot.port)]
    cockpit.window.forget_asked.emit(f"127.0.0.1:{robot.port}")
    assert app.settings.robots == ()


def test_where_nothing_can_be_written_the_window_works_and_says_so_once(
    qtbot: QtBot, start: Callable[..., App], tmp_path: Path, robot: FakeRobot
) -> None:
    (tmp_path / "file").write_text("")  # a file where every folder should be: so it is for root as well
    nowhere = Folders(
        tmp_path / "file" / "settings.json", tmp_path / "file" / "crashes", tmp_path / "file" / "pictures"
    )
    app = start(nowhere)
    cockpit = app.start(f"127.0.0.1:{robot.port}")
    qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
    for limit in (0.7, 0.8, 0.9):
        cockpit.window.limit_asked.emit(limit)
        qtbot.wait(700)
    told = [text for text in texts(cockpit) if text.startswith("Settings are not remembered")]
    assert len(told) == 1
    cockpit.window.snapshot_asked.emit()
    qtbot.waitUntil(lambda: any("Snapshot not saved" in text for text in texts(cockpit)), timeout=SOON_MS)


@pytest.mark.system
@pytest.mark.shared
def test_the_simulated_car_of_this_computer_starts_when_asked_for_and_ends_with_the_program(
    qtbot: QtBot, qapp: QApplication, folders: Folders
) -> None:
    app = App(qapp, folders)
    cockpit = app.start()

    def row() -> RobotRow:
        return cockpit.window.connect_sheet.findChildren(RobotRow)[-1]

    row().click()
    assert row_words(row().robot) == ("Starting…", "no robot needed")
    qtbot.waitUntil(is_up(cockpit), timeout=4 * SOON_MS)
    row().click()
    assert app.cockpits == [cockpit], "there is one such car, and a window shows it"
    assert row_words(row().robot) == ("Connected", "no robot needed")
    assert cockpit.window.view.simulated
    assert app.settings.robots == (), "its port is another one each time"
    assert cockpit.robot is not None
    port = cockpit.robot.link.port
    app.close()
    qtbot.waitUntil(lambda: not app.cockpits, timeout=SOON_MS)
    app.finish()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1.0)


# --- failures ---


def test_a_thread_that_dies_disarms_and_is_told(qtbot: QtBot, driven: Cockpit, robot: FakeRobot) -> None:
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    qtbot.waitUntil(lambda: robot.asked[-1] == "disarm", timeout=SOON_MS)
    qtbot.waitUntil(lambda: any("the car is disarmed" in text for text in texts(driven)), timeout=SOON_MS)
