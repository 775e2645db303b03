"""The robots that tell of themselves: which are listed, how long, and that a click connects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop_app.app import App
from desktop_app.connect_sheet import row_words
from desktop_app.finder import KEPT_S, LOOK_MS, Finder
from desktop_app.folders import Folders
from desktop_app.keys import Deed
from desktop_app.robot_rows import MAX_SHOWN, strangers
from desktop_app.settings import Robot
from pynet_core.discovery import ROBOT, FoundGateway
from pynet_core.errors import ConfigError
from tests.desktop.fake_robot import FakeRobot

SOON_MS = 8000


def gateway(
    name: str = "rover", address: str = "192.0.2.7", port: int = 1857, key: str = "ab12"
) -> FoundGateway:
    return FoundGateway(
        name=name, host="pi", addresses=(address,), port=port, tls=True, fingerprint=key, kind=ROBOT
    )


@pytest.mark.parametrize("kind", ["", "backup", "robots"])
def test_a_gateway_that_is_no_robot_is_not_listed(kind: str) -> None:
    assert strangers([replace(gateway(), kind=kind)], ()) == ()


def listed(found: FoundGateway, *remembered: Robot) -> list[str]:
    return [row.address for row in strangers([found], remembered)]


def test_one_that_is_not_remembered_is_listed_by_its_address_and_as_no_more_than_found() -> None:
    (row,) = strangers([gateway(name="my\n\x1b rover", port=1900)], ())
    assert (row.address, row.name, row.board, row.is_found) == ("192.0.2.7:1900", "my   rover", "pi", True)
    assert row_words(row) == ("Connect", "found here")


@pytest.mark.parametrize(
    ("remembered", "is_listed"),
    [
        (Robot(host="192.0.2.7", port=1857), False),
        (Robot(host="192.0.2.7", port=1900), True),
        (Robot(host="rover.local", port=1857, fingerprint="ab1234"), False),
        (Robot(host="rover.local", port=1857, fingerprint="cd1234"), True),
        (Robot(host="rover.local", port=1857), True),
        (Robot(host="192.0.2.99", port=1857, fingerprint="ab1234"), True),
    ],
)
def test_one_that_a_remembered_row_leads_to_is_not_listed_twice(remembered: Robot, is_listed: bool) -> None:
    assert bool(listed(gateway(), remembered)) == is_listed


@pytest.mark.parametrize(
    ("address", "port"), [("", 1857), ("a b", 1857), ("192.0.2.7:5", 1857), ("192.0.2.7", 0)]
)
def test_what_is_no_address_is_not_listed(address: str, port: int) -> None:
    assert listed(gateway(address=address, port=port)) == []


def test_a_crowd_is_cut() -> None:
    assert len(strangers([gateway(address=f"192.0.2.{n}") for n in range(99)], ())) == MAX_SHOWN


class Air:
    """What is in the air, and the clock."""

    def __init__(self, *found: FoundGateway) -> None:
        self.found: list[FoundGateway] = list(found)
        self.now_s = 0.0
        self.heard = threading.Semaphore(0)
        self.error: Exception | None = None

    def find(self, seconds: float) -> list[FoundGateway]:
        self.heard.release()
        if self.error is not None:
            raise self.error
        return self.found

    def clock(self) -> float:
        return self.now_s


def test_one_that_is_missed_now_and_then_stays_and_one_that_has_gone_goes(qtbot: QtBot) -> None:
    air = Air(gateway())
    finder = Finder(air.find, air.clock)

    def listen() -> None:
        with qtbot.waitSignal(finder._heard, timeout=SOON_MS):
            finder.listen()
        qtbot.waitUntil(lambda: finder._thread is not None and not finder._thread.is_alive(), timeout=SOON_MS)

    listen()
    assert list(finder.found) == [gateway()]
    air.found, air.now_s = [], KEPT_S - 0.1
    listen()
    assert list(finder.found) == [gateway()]
    air.now_s = KEPT_S + 0.1
    listen()
    assert list(finder.found) == []


def test_a_robot_that_tells_another_address_too_is_listed_once(qtbot: QtBot) -> None:
    air = Air(gateway())
    finder = Finder(air.find, air.clock)
    with_two = replace(gateway(), addresses=("192.0.2.7", "fd00::7"))
    for told in (gateway(), with_two):
        air.found = [told]
        with qtbot.waitSignal(finder._heard, timeout=SOON_MS):
            finder.listen()
        qtbot.waitUntil(lambda: finder._thread is not None and not finder._thread.is_alive(), timeout=SOON_MS)
    assert finder.found == (with_two,)
    assert listed(with_two) == ["192.0.2.7"]
    assert listed(with_two, Robot(host="fd00::7", port=1857)) == []


def test_where_nothing_can_be_found_the_window_goes_on_and_says_so_once(
    qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    air = Air()
    air.error = ConfigError("not installed")
    finder = Finder(air.find)
    for _ in range(2):
        with qtbot.waitSignal(finder._heard, timeout=SOON_MS):
            finder.listen()
        qtbot.waitUntil(lambda: finder._thread is not None and not finder._thread.is_alive(), timeout=SOON_MS)
    assert finder.found == ()
    assert caplog.text.count("no robots can be found: not installed") == 1


@pytest.fixture
def app(qtbot: QtBot, qapp: QApplication, tmp_path: Path, robot: FakeRobot) -> Iterator[tuple[App, Air]]:
    air = Air(gateway(name="rover-7", address="127.0.0.1", port=robot.port))
    folders = Folders(tmp_path / "config" / "settings.json", tmp_path / "crashes", tmp_path / "pictures")
    app = App(qapp, folders, finder=Finder(air.find))
    yield app, air
    app.close()
    qtbot.waitUntil(lambda: not app.cockpits, timeout=2 * SOON_MS)
    app.finish()


@pytest.fixture
def robot() -> Iterator[FakeRobot]:
    with FakeRobot() as robot:
        yield robot


def test_a_robot_of_this_network_is_listed_while_one_is_chosen_and_a_click_connects(
    qtbot: QtBot, app: tuple[App, Air]
) -> None:
    program, air = app
    cockpit = program.start()
    window = cockpit.window
    if not window.is_choosing:
        window._do(Deed.ROBOTS)
    sheet: Any = window.connect_sheet
    qtbot.waitUntil(lambda: len(sheet._rows) == 2, timeout=SOON_MS)
    [(row, forget), _] = sheet._rows
    assert row.robot.name == "rover-7"
    assert not forget.isVisible(), "there is nothing to forget"
    QTest.mouseClick(row, Qt.LeftButton)
    qtbot.waitUntil(
        lambda: cockpit.robot is not None and cockpit.robot.link.operator is not None, timeout=SOON_MS
    )
    qtbot.waitUntil(lambda: not window.is_choosing, timeout=SOON_MS)
    while air.heard.acquire(blocking=False):
        pass
    qtbot.wait(2 * LOOK_MS + 200)
    assert not air.heard.acquire(blocking=False), "nobody listens when nobody chooses"
