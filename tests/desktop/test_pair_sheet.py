"""The sheet that asks for a pairing code: what hands may do to it, and when it comes by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication

from desktop_app.banner_words import Action, banner_says
from desktop_app.code_field import digits_of
from desktop_app.connect_sheet import row_words
from desktop_app.keys import Deed
from desktop_app.main_window import MainWindow
from desktop_app.pair_sheet import PairSheet
from desktop_app.view import Connection, KnownRobot, Pairing
from desktop_app.words import pairing_of, pairing_words
from pynet_core.errors import ConfigError, DeadlineExceeded, LinkError, PynetError, Refused
from pynet_core.pairing import WrongCode
from tests.desktop import look_views as views
from tests.desktop.look_tools import make_window, show


@pytest.fixture
def window(qtbot: Any) -> MainWindow:
    """A robot has just refused it."""
    window = make_window(qtbot)
    show(window, views.NONE)
    show(window, views.PAIR)
    return window


@pytest.fixture
def sheet(window: MainWindow) -> PairSheet:
    assert window.sheets.body is window.pair_sheet
    return window.pair_sheet


@pytest.fixture
def asked(sheet: PairSheet) -> list[tuple[str, int]]:
    asked: list[tuple[str, int]] = []
    sheet.pair_asked.connect(lambda code, port: asked.append((code, port)))
    return asked


def type_in(window: MainWindow, keys: str) -> None:
    for key in keys:
        QTest.keyClicks(window.focusWidget(), key)


# The code.


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("4821 7730", "48217730"),
        ("4821-7730", "48217730"),
        (
            "On the other device, within 120 s, in the window or by:  pynet pair rover-7\nCode:  4821 7730\n",
            "48217730",
        ),
        ("48", "48"),
        ("4821 77301", "48217730"),
        ("no code", ""),
        ("٤٨٢١٧٧٣٠", ""),
    ],
)
def test_a_code_is_found_in_what_is_typed_or_pasted(text: str, digits: str) -> None:
    assert digits_of(text) == digits


def test_the_digits_are_typed_at_once_and_enter_pairs(
    window: MainWindow, sheet: PairSheet, asked: list[tuple[str, int]]
) -> None:
    type_in(window, "4821 7")
    QTest.keyClick(window.focusWidget(), Qt.Key_Return)
    assert asked == [] and not sheet.pair.isEnabled()
    type_in(window, "x730")
    assert sheet.code.text() == "48217730" and sheet.pair.isEnabled()
    QTest.keyClick(window.focusWidget(), Qt.Key_Return)
    assert asked == [("48217730", 1858)]


def test_a_digit_typed_into_a_filled_box_replaces_it(window: MainWindow, sheet: PairSheet) -> None:
    type_in(window, "48217730")
    QTest.mouseClick(sheet.code, Qt.LeftButton, pos=sheet.code._boxes()[2].center().toPoint())
    type_in(window, "99")
    assert sheet.code.text() == "48997730"
    type_in(window, "1")
    assert sheet.code.text() == "48991730"
    QTest.keyClick(sheet.code, Qt.Key_End)
    type_in(window, "5")
    assert sheet.code.text() == "48991730", "nine are too many"
    QTest.keyClick(sheet.code, Qt.Key_Backspace)
    assert sheet.code.text() == "4899173"


def test_pasting_replaces_what_was_there(window: MainWindow, sheet: PairSheet) -> None:
    type_in(window, "12")
    QApplication.clipboard().setText("Code:  4821 7730")
    QTest.keyClick(sheet.code, Qt.Key_V, Qt.ControlModifier)
    assert sheet.code.text() == "48217730"
    QApplication.clipboard().setText("nothing of use")
    QTest.keyClick(sheet.code, Qt.Key_V, Qt.ControlModifier)
    assert sheet.code.text() == "48217730"


def test_while_typing_space_is_no_e_stop_and_f12_is(window: MainWindow, sheet: PairSheet) -> None:
    pressed: list[None] = []
    window.e_stop_pressed.connect(lambda: pressed.append(None))
    type_in(window, "4821 ")
    assert not pressed
    QTest.keyClick(window.focusWidget(), Qt.Key_F12)
    assert len(pressed) == 1
    QTest.mousePress(window.bar.e_stop, Qt.LeftButton)
    assert len(pressed) == 2


@pytest.mark.parametrize(("typed", "can_pair"), [("1900", True), ("0", False), ("70000", False), ("", False)])
def test_the_port_is_one_or_nothing_is_sent(
    window: MainWindow, sheet: PairSheet, asked: list[tuple[str, int]], typed: str, can_pair: bool
) -> None:
    type_in(window, "48217730")
    sheet.port.setFocus()
    sheet.port.selectAll()
    QTest.keyClick(sheet.port, Qt.Key_Delete)
    type_in(window, typed)
    QTest.keyClick(sheet.port, Qt.Key_Return)
    assert (asked == [("48217730", 1900)]) is can_pair


# What happens to it.


def test_while_it_runs_nothing_more_can_be_sent_and_seconds_count(
    window: MainWindow, sheet: PairSheet, asked: list[tuple[str, int]]
) -> None:
    now_s = [100.0]
    sheet._clock = lambda: now_s[0]
    type_in(window, "48217730")
    sheet.show_running()
    QTest.keyClick(window.focusWidget(), Qt.Key_Return)
    QTest.mouseClick(sheet.pair, Qt.LeftButton)
    assert asked == []
    now_s[0] += 3.0
    show(window, views.PAIR)
    assert sheet._told == "Pairing with rover-7… 3 s"


def test_a_failure_is_told_and_the_next_code_can_be_typed_at_once(
    window: MainWindow, sheet: PairSheet, asked: list[tuple[str, int]]
) -> None:
    type_in(window, "48217730")
    sheet.show_running()
    sheet.show_failed("That code was wrong.")
    show(window, views.PAIR)
    assert "That code was wrong." in {text.text for text in sheet.drawn}
    type_in(window, "11112222")
    QTest.keyClick(window.focusWidget(), Qt.Key_Return)
    assert asked == [("11112222", 1858)]


def test_it_goes_when_the_robot_is_there_and_when_it_is_told_to(window: MainWindow, sheet: PairSheet) -> None:
    QTest.mouseClick(sheet.leave, Qt.LeftButton)
    assert not window.sheets.is_open
    show(window, views.PAIR)
    assert not window.sheets.is_open, "who has said no is not asked again"
    window._do_action(Action.PAIR)
    assert window.sheets.body is sheet
    show(window, views.DISARMED)
    assert not window.sheets.is_open


def test_a_code_for_one_robot_is_not_left_for_the_next(window: MainWindow, sheet: PairSheet) -> None:
    type_in(window, "4821")
    sheet.show_failed("Something.")
    window.sheets.close_sheet()
    window.open_pairing()
    assert sheet.code.text() == "" and sheet._told == ""


def test_it_comes_by_itself_over_the_connect_sheet_and_over_no_other(qtbot: Any) -> None:
    for deed, comes in ((Deed.ROBOTS, True), (Deed.SETTINGS, False), (Deed.HELP, False)):
        window = make_window(qtbot)
        show(window, views.CONNECTING)
        window._do(deed)
        show(window, views.PAIR)
        assert (window.sheets.body is window.pair_sheet) is comes


def test_over_a_picture_it_does_not_come_by_itself_but_the_banner_offers_it(qtbot: Any) -> None:
    window = make_window(qtbot)
    show(window, views.LOST)
    show(window, views.LOST_PAIR)
    assert not window.sheets.is_open
    assert banner_says(views.LOST_PAIR).action is Action.PAIR
    assert banner_says(views.PAIR).action is Action.PAIR
    assert banner_says(views.REFUSED).action is Action.CONNECT


def test_another_key_is_warned_of_and_no_code_is_asked_for_until_the_old_one_is_forgotten(
    window: MainWindow, sheet: PairSheet
) -> None:
    forgotten: list[None] = []
    sheet.forget_asked.connect(lambda: forgotten.append(None))
    show(window, views.OTHER_KEY)
    assert not sheet.code.isVisible() and not sheet.pair.isVisible()
    assert sheet.title == "rover-7 has another key"
    QTest.mouseClick(sheet.forget, Qt.LeftButton)
    assert len(forgotten) == 1
    show(window, replace(views.CONNECTING, robot_name="rover-7"))
    assert sheet.code.isVisible() and sheet.title == "Pair with rover-7"
    type_in(window, "4821")
    assert sheet.code.text() == "4821", "the focus is where the code goes"


def test_from_the_connect_sheet_a_typed_robot_can_be_paired_with_before_it_refuses(qtbot: Any) -> None:
    window = make_window(qtbot)
    show(window, views.NONE)
    window._do(Deed.ROBOTS)
    asked: list[str] = []
    window.connect_sheet.pair_asked.connect(asked.append)
    QTest.mouseClick(window.connect_sheet.pair, Qt.LeftButton)
    assert asked == [], "which?"
    window.connect_sheet.field.setText(" rover.local ")
    QTest.mouseClick(window.connect_sheet.pair, Qt.LeftButton)
    assert asked == ["rover.local"]


# Words.


@pytest.mark.parametrize(
    ("is_paired", "words"),
    [
        (True, ("Connect", "key known")),
        (False, ("Needs a code", "not paired yet")),
        (None, ("Connect", "remembered")),
    ],
)
def test_a_remembered_robot_says_whether_it_is_paired(is_paired: bool | None, words: tuple[str, str]) -> None:
    assert row_words(KnownRobot(address="rover.local", is_paired=is_paired)) == words


def caused(error: PynetError, cause: BaseException) -> PynetError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "wrong_codes", "words"),
    [
        (WrongCode("x"), 1, "That code was wrong, so it is void. The robot now shows a new one. "),
        (WrongCode("x"), 3, "That code was wrong too. After 3 the robot takes no more: run the command"),
        (
            caused(LinkError("x"), ConnectionRefusedError()),
            0,
            "rover does not pair now. Run the command there",
        ),
        (caused(LinkError("x"), TimeoutError()), 0, "No robot answers at rover. Is it switched on, and"),
        (DeadlineExceeded("x"), 0, "rover broke off. Look at the code that it shows now, and try again."),
        (ConfigError("/home/ada/trusted: cannot be written"), 0, "/home/ada/trusted: cannot be written."),
    ],
)
def test_each_way_to_fail_has_its_words(error: PynetError, wrong_codes: int, words: str) -> None:
    assert pairing_words(error, "rover", wrong_codes).startswith(words)


def test_only_an_unknown_identity_asks_for_pairing_and_who_has_none_any_more_is_warned_of() -> None:
    for code, wanted in (
        (401, Pairing.WANTED),
        (403, Pairing.NONE),
        (426, Pairing.CHANGED),
        (503, Pairing.NONE),
    ):
        assert pairing_of(Refused(code, "x"), is_known=True) is wanted
    assert pairing_of(Refused(426, "gateway 2, controller 1"), is_known=True) is Pairing.NONE
    assert pairing_of(Refused(426, "x"), is_known=False) is Pairing.NONE
    assert pairing_of(LinkError("x"), is_known=True) is Pairing.NONE
    assert views.PAIR.connection is Connection.CONNECTING
