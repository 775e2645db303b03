"""The real window in a real X server drives the simulated car, while an observer watches the board.

One trial of each fault; `python -m tests.desktop.window_faults --trials N` does many.
Two processes may run these: what is measured has its turn (`window_rig.turn`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.window_faults import FAULTS, run
from tests.desktop.window_rig import DRIVING_MPS, Rig, rig, turn
from tests.desktop.xserver import X, missing, x_server
from tests.system.faults import AT_REST_WITHIN_S

pytestmark = [pytest.mark.system, pytest.mark.x11, pytest.mark.skipif(missing() != "", reason=missing())]


@pytest.fixture(scope="module")
def x() -> Iterator[X]:
    with x_server() as x:
        yield x


@pytest.fixture
def armed(x: X, tmp_path: Path) -> Iterator[Rig]:
    with turn(), rig(x, tmp_path) as found:
        found.arm()
        yield found


def moves_within(found: Rig, seconds: float) -> bool:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if found.duty != 0.0:
            return True
        time.sleep(0.002)
    return False


@pytest.mark.parametrize("name", FAULTS)
def test_outputs_are_neutral_within_the_budget(name: str, x: X, tmp_path: Path) -> None:
    trial = run(FAULTS[name], x, tmp_path)
    assert trial.speed_mps > DRIVING_MPS
    assert trial.looks_hz > 1000, "the observer was too slow to prove anything"
    assert trial.neutral_ms <= FAULTS[name].budget_ms, trial
    assert trial.rest_s <= AT_REST_WITHIN_S, trial


def test_a_key_held_while_the_focus_came_back_drives_only_after_it_was_let_go(armed: Rig) -> None:
    x = armed.x
    x.press("Up")
    armed.await_speed()
    x.focus(0)
    time.sleep(0.5)
    x.focus(armed.window.id)
    armed.window.wait_for("hint Let go first", timeout_s=3.0)
    assert not moves_within(armed, 1.0)
    x.release("Up")
    time.sleep(0.1)
    x.press("Up")
    assert moves_within(armed, 1.0)
    x.release("Up")


def test_a_window_that_is_not_in_front_for_5_s_disarms_and_nothing_arms_by_itself(armed: Rig) -> None:
    armed.x.focus(0)
    left_s = time.monotonic()
    armed.window.wait_for("state DISARMED", timeout_s=8.0)
    assert 4.8 < time.monotonic() - left_s < 6.5
    armed.x.focus(armed.window.id)
    assert not armed.window.wait_for("hint")  # no longer "Window not in front"
    time.sleep(1.0)
    assert armed.window.said() == []  # no other state


def test_a_stuck_window_drives_on_only_with_hands_it_has_seen(armed: Rig) -> None:
    """Up is let go while the Qt loop is stuck: the release waits in the queue, the car must not lurch."""
    armed.x.press("Up")
    armed.await_speed()
    armed.window.tell("block 600")
    armed.window.wait_for("blocked")
    armed.x.release("Up")
    time.sleep(0.5)
    assert not moves_within(armed, 1.0)


def test_after_a_failsafe_a_held_key_waits_until_it_was_let_go(armed: Rig) -> None:
    armed.x.press("Up")
    armed.await_speed()
    armed.window.tell("block 800")  # longer than the lifespan
    armed.window.wait_for("blocked")
    armed.window.wait_for("hint Let go first", timeout_s=3.0)
    assert not moves_within(armed, 1.0)
    armed.x.release("Up")


def test_enter_that_waited_in_a_stuck_window_does_not_arm(x: X, tmp_path: Path) -> None:
    with turn(), rig(x, tmp_path) as found:
        found.window.tell("block 1500")
        found.window.wait_for("blocked")
        x.tap("Return")
        assert "free" not in " ".join(found.window.said()), "this machine was too slow for this test"
        found.window.wait_for("free")
        time.sleep(1.0)
        assert "state ARMED" not in found.window.said()
        x.tap("Return")
        found.window.wait_for("state ARMED", timeout_s=3.0)


def test_a_window_with_an_exception_in_a_slot_lives_and_arms_again(armed: Rig, tmp_path: Path) -> None:
    armed.window.tell("fail")
    armed.window.wait_for("state DISARMED", timeout_s=3.0)
    [report] = (tmp_path / "crashes").glob("crash-*.txt")
    assert "as a test has asked" in report.read_text()
    armed.arm()


def test_space_from_any_place_stops_and_a_second_press_is_harmless(armed: Rig) -> None:
    armed.x.tap("Tab")
    armed.x.tap("Tab")
    armed.x.tap("space")
    armed.window.wait_for("state E_STOP", timeout_s=1.0)
    armed.x.tap("space")
    time.sleep(0.3)
    assert armed.window.process.poll() is None
    assert not [line for line in armed.window.said() if line.startswith("state")]  # still E_STOP


def test_a_held_key_drives_steadily_though_x_repeats_it(armed: Rig) -> None:
    """Qt took most repeats of X for letting go and pressing again: 25 times a second, from zero."""

    def is_steady() -> bool:
        armed.x.press("Up")
        time.sleep(0.7)  # it is up to speed, and repeats have begun
        end_s = time.monotonic() + 1.3
        duties = set()
        while time.monotonic() < end_s:
            duties.add(armed.duty)
            time.sleep(0.002)
        armed.x.release("Up")
        armed.await_hands()
        return min(duties) == max(duties) == pytest.approx(0.5)

    # A window that gets no turn for 0.1 s begins from zero too; one that minds repeats does so each time.
    assert any(is_steady() for _ in range(3))
