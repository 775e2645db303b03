"""What of a robot's words is believed, and what the hands are told of it."""

from __future__ import annotations

import pytest

from desktop_app.heard import Heard
from desktop_app.sanity import clip
from pynet_car.messages import (
    Counters,
    Description,
    Odometry,
    Reading,
    ReadingState,
    Scan,
    State,
    Status,
    StreamInfo,
)

NOW_S = 100.0
NOW_NS = 100_000_000_000


def heard(car_now_ns: int | None = NOW_NS) -> Heard:
    return Heard("me", lambda: car_now_ns)


def status(state: State = State.ARMED, holder: str = "me", trips: int = 0, session: int = 5) -> Status:
    return Status(
        boot=1,
        stamp_ns=1,
        state=state,
        reason="because",
        holder=holder,
        session=session,
        counters=Counters(failsafe_trips=trips),
    )


def may_drive(robot: Heard, now_s: float = NOW_S) -> bool:
    return robot.gate(now_s, is_arming=False, creeps=False).may_drive


def test_hands_drive_only_when_a_fresh_status_says_that_we_are_armed() -> None:
    robot = heard()
    assert not may_drive(robot)
    robot.take_status(status(), NOW_S)
    assert may_drive(robot)
    assert may_drive(robot, NOW_S + 0.3)
    assert not may_drive(robot, NOW_S + 0.31)


@pytest.mark.parametrize("state", [state for state in State if state is not State.ARMED])
def test_hands_drive_in_no_other_state(state: State) -> None:
    robot = heard()
    robot.take_status(status(state), NOW_S)
    assert not may_drive(robot)


def test_hands_do_not_drive_what_somebody_else_holds() -> None:
    robot = heard()
    robot.take_status(status(holder="somebody"), NOW_S)
    gate = robot.gate(NOW_S, is_arming=False, creeps=False)
    assert not gate.may_drive
    assert not gate.may_be_armed  # so the window never disarms their car by itself


def test_each_failsafe_lease_and_start_is_a_new_epoch() -> None:
    robot = heard()
    epochs = set()
    for seen in (status(), status(trips=1), status(session=6), status(trips=1, session=6)):
        robot.take_status(seen, NOW_S)
        epochs.add(robot.gate(NOW_S, is_arming=False, creeps=False).epoch)
    assert len(epochs) == 4


def test_an_arm_on_its_way_counts_as_maybe_armed() -> None:
    assert heard().gate(NOW_S, is_arming=True, creeps=False).may_be_armed


@pytest.mark.parametrize(
    ("captured_ns", "at_s", "age_s"),
    [
        (NOW_NS - 50_000_000, NOW_S - 0.01, 0.05),  # 40 ms on its way
        (NOW_NS + 50_000_000, NOW_S - 0.01, 0.01),  # from the future: since it came
        (0, NOW_S, 100.0),
    ],
)
def test_an_age_is_never_less_than_since_it_came(captured_ns: int, at_s: float, age_s: float) -> None:
    assert heard().age_s(captured_ns, at_s, NOW_S) == pytest.approx(age_s)
    assert heard(car_now_ns=None).age_s(captured_ns, at_s, NOW_S) == pytest.approx(NOW_S - at_s)


def odometry(velocity_mps: float, captured_ns: int = NOW_NS) -> Odometry:
    return Odometry(
        seq=1,
        captured_ns=captured_ns,
        left_ticks=0,
        right_ticks=0,
        distance_m=0.0,
        x_m=0.0,
        y_m=0.0,
        heading_rad=0.0,
        velocity_mps=velocity_mps,
        yaw_rate_radps=0.0,
    )


def test_an_old_velocity_is_none() -> None:
    robot = heard()
    robot.take_odometry(odometry(1.5), NOW_S)
    assert robot.velocity_mps(NOW_S) == 1.5
    assert robot.velocity_mps(NOW_S + 0.3) is None
    robot.take_odometry(odometry(1.5, captured_ns=NOW_NS - 300_000_000), NOW_S)
    assert robot.velocity_mps(NOW_S) is None


DESCRIPTION = Description(
    name="rover-7",
    board="",
    simulated=False,
    has_camera=False,
    streams=(
        StreamInfo(
            name="proximity",
            title="Proximity",
            unit="m",
            period_s=0.06,
            channels=("front", "rear"),
            bearings_rad=(0.0, 3.14),
        ),
    ),
    max_throttle=1.0,
    lifespan_ms=200,
    version="0",
)


def test_a_head_that_never_spoke_is_shown_as_stale_and_one_that_stopped_becomes_so() -> None:
    robot = heard()
    robot.take_description(DESCRIPTION, NOW_S)
    reading = Reading(channel="front", seq=1, captured_ns=NOW_NS, value=0.7, unit="m", state=ReadingState.OK)
    robot.take_scan(Scan(readings=(reading,)), NOW_S)
    front, rear = robot.range_views(NOW_S)
    assert (front.is_stale, rear.is_stale) == (False, True)
    assert rear.reading.state is ReadingState.STALE
    front, _ = robot.range_views(NOW_S + 0.25)
    assert front.is_stale
    assert front.reading.value == 0.7


@pytest.mark.parametrize(
    ("text", "clipped"),
    [("rover-7", "rover-7"), ("a\nb", "a b"), ("x" * 50, "x" * 39 + "…"), ("\x00" * 50, " " * 39 + "…")],
)
def test_names_are_short_and_on_one_line(text: str, clipped: str) -> None:
    assert clip(text) == clipped
