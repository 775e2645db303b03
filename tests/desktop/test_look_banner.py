"""What the banner says in each state, and that no state looks like another without colour."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PyQt5.QtWidgets import QWidget

from desktop_app.banner_words import Action, Says, Shape, banner_says
from desktop_app.icons import Icon
from desktop_app.view import View
from tests.desktop import look_views as views
from tests.desktop.look_tools import deuteranopic, difference, grey, make_window, show


@pytest.mark.parametrize(
    "view, name, shape, action",
    [
        (views.NONE, "NOT CONNECTED", Shape.DASHED, Action.CONNECT),
        (views.DISARMED, "DISARMED", Shape.OUTLINE, Action.ARM),
        (views.ARMING, "ARMING", Shape.STARTING, Action.DISARM),
        (views.ARMED, "ARMED", Shape.SOLID, Action.DISARM),
        (views.FAILSAFE, "FAILSAFE", Shape.HATCHED, Action.WHY),
        (views.E_STOP, "E_STOP", Shape.INSET, Action.RESET),
    ],
)
def test_each_state_has_its_name_shape_and_action(
    view: View, name: str, shape: Shape, action: Action
) -> None:
    says = banner_says(view)
    assert (says.name, says.shape, says.action, says.under) == (name, shape, action, "")


@pytest.mark.parametrize("view", [views.NO_LEASE, views.GRACE_DRIVES])
def test_without_the_lease_the_action_is_take(view: View) -> None:
    assert banner_says(view).action is Action.TAKE


def test_the_e_stop_names_who_pressed_it_and_how_to_leave() -> None:
    assert banner_says(views.E_STOP).lines == (
        "E-stop pressed by Grace, truck-tablet.",
        "Stays stopped until reset",
    )


def test_reset_is_offered_to_who_does_not_drive_too() -> None:
    assert banner_says(replace(views.E_STOP, has_lease=False)).action is Action.RESET


def test_silence_is_assumed_to_be_failsafe_and_says_how_long() -> None:
    says = banner_says(views.SILENT)
    assert (says.name, says.under, says.shape) == ("FAILSAFE", "assumed", Shape.HATCHED)
    assert says.lines[0].startswith("Nothing heard for 0.9 s.")


def test_a_lost_link_says_that_it_is_being_tried() -> None:
    assert banner_says(views.LOST).lines == ("No link for 4 s.", "Trying every 0.5 s.")


def test_an_assumed_e_stop_stays_one() -> None:
    says = banner_says(replace(views.E_STOP, is_assumed=True, status_age_s=0.9))
    assert (says.name, says.under, says.shape) == ("E_STOP", "assumed", Shape.INSET)


def test_an_unconfirmed_e_stop_is_not_shown_as_one() -> None:
    says = banner_says(views.UNCONFIRMED)
    assert says.name == "ARMED"
    assert says.lines[0] == "E-STOP sent, not confirmed"
    assert says.shape not in (Shape.INSET, Shape.SOLID)


def test_an_e_stop_sent_over_a_lost_link_is_not_confirmed_either() -> None:
    says = banner_says(replace(views.SILENT, e_stop_unconfirmed=True))
    assert says.short == "E-STOP sent, not confirmed"


@pytest.mark.parametrize(
    "view, words",
    [
        (views.BLOCKED, "Braking for something ahead"),
        (views.OLD_PICTURE, "Picture is old: held to 0.5 m/s"),
        (views.NO_CAMERA, "No camera: held to 0.5 m/s"),
        (views.WAITING, "No picture yet: held to 0.5 m/s"),
        (views.GRACE_DRIVES, "Grace drives"),
    ],
)
def test_what_must_be_known_is_said_in_the_compact_banner_too(view: View, words: str) -> None:
    says = banner_says(view)
    assert says.lines[0] == words
    assert says.short == words


def test_the_release_that_stops_the_car_is_named_after_the_source() -> None:
    keys = replace(views.ARMED, drive=replace(views.ARMED.drive, source="Keys"))
    assert banner_says(keys).lines[1] == "Let go of the keys to stop"
    assert banner_says(views.ARMED).lines[1] == "Let go of LB to stop"


def test_a_reflex_that_holds_nothing_back_is_not_mentioned() -> None:
    still = replace(views.BLOCKED, drive=replace(views.BLOCKED.drive, throttle=0.0))
    assert banner_says(still).lines[0] == "Motors follow your controls"


def _greys(
    qtbot: Any, theme: str, size: str, wipe_words: bool, see: Callable[[QWidget], Any] = grey
) -> dict[str, Any]:
    window = make_window(qtbot, size, theme)
    banner = window.bar.banner
    found = {}
    for name in ("none", "disarmed", "arming", "armed", "failsafe", "e_stop", "unconfirmed"):
        show(window, views.STATES[name])
        if wipe_words:
            banner.content = _wordless(banner.content)
            banner.button.hide()
        found[name] = see(banner)
        banner.button.show()
    return found


def _wordless(says: Says) -> Says:
    return replace(says, icon=Icon.INFO, name="", lines=("", ""), short="", under="")


@pytest.mark.parametrize("size", ["full", "compact"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_states_differ_without_colour(qtbot: Any, theme: str, size: str) -> None:
    for (a, one), (b, other) in itertools.combinations(_greys(qtbot, theme, size, False).items(), 2):
        assert difference(one, other) > 4, f"{a} looks like {b}"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_states_differ_for_an_eye_without_green(qtbot: Any, theme: str) -> None:
    seen = _greys(qtbot, theme, "full", False, see=deuteranopic)
    for (a, one), (b, other) in itertools.combinations(seen.items(), 2):
        assert difference(one, other) > 4, f"{a} looks like {b}"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_states_differ_by_shape_alone(qtbot: Any, theme: str) -> None:
    for (a, one), (b, other) in itertools.combinations(_greys(qtbot, theme, "full", True).items(), 2):
        assert difference(one, other) > 0.8, f"{a} has the shape of {b}"
