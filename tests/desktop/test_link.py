"""One robot over the swarm, as the window has it: what comes, what goes wrong, and what is said about it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from desktop_app.actions import Actions, Outcome
from desktop_app.event_log import EventLog
from desktop_app.link import Link
from desktop_app.samples import Samples
from desktop_app.view import Connection
from pynet_car.messages import CameraFrame, ReadingState, Scan, State, Verdict
from pynet_core.gateway import Gateway
from tests.desktop.fake_robot import DESCRIPTION, FakeRobot, reading
from tests.ports import free_port

SOON_MS = 8000


@dataclass
class Rig:
    """Links as a cockpit makes them, all closed at the end."""

    links: list[Link] = field(default_factory=list)
    events: EventLog = field(default_factory=EventLog)
    samples: Samples = field(default_factory=Samples)
    frames: list[CameraFrame] = field(default_factory=list)

    def link(self, port: int) -> Link:
        link = Link(
            "127.0.0.1",
            port,
            name="Grace",
            on_frame=self.frames.append,
            events=self.events,
            samples=self.samples,
        )
        self.links.append(link)
        return link

    def texts(self) -> list[str]:
        return [event.event.text for event in self.events.events]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    for link in rig.links:
        link.close()
    for link in rig.links:
        link._thread.join(10.0)
        assert not link._thread.is_alive()


@pytest.fixture
def robot() -> Iterator[FakeRobot]:
    with FakeRobot() as robot:
        yield robot


def is_up(link: Link) -> Callable[[], bool]:
    return lambda: link.connection is Connection.UP and link.heard.description is not None


# --- what comes ---


def test_it_connects_and_hears_everything(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    assert link.connection is Connection.CONNECTING
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    robot.say("Something happened.")
    qtbot.waitUntil(lambda: rig.texts() == ["Something happened."], timeout=SOON_MS)
    channels: set[tuple[str, str]] = set()

    def all_came() -> bool:
        channels.update((sample.stream, sample.channel) for sample in rig.samples.take())
        return len(channels) == 4 and bool(rig.frames) and bool(link.heard.readings)

    qtbot.waitUntil(all_came, timeout=SOON_MS)
    assert channels == {
        ("proximity", "front"),
        ("encoder", "velocity_mps"),
        ("encoder", "yaw_rate_radps"),
        ("thermometer", "cpu"),
    }
    now_s = time.monotonic()
    assert link.heard.state(now_s) is State.DISARMED
    [front] = link.heard.range_views(now_s)
    assert (front.reading.value, front.is_stale) == (1.0, False)
    assert link.heard.velocity_mps(now_s) == 0.0


def test_a_gui_that_does_not_look_gets_one_signal(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    said: list[int] = []
    link.news.announced.connect(lambda: said.append(1), Qt.DirectConnection)  # type: ignore[call-arg]
    link.news.answer()
    for i in range(30):
        robot.say(f"event {i}")
    qtbot.waitUntil(lambda: len(rig.events.events) >= 30, timeout=SOON_MS)
    assert len(said) == 1


def test_a_robot_that_is_not_there_yet_is_found_when_it_comes(qtbot: QtBot, rig: Rig) -> None:
    port = free_port()
    link = rig.link(port)
    qtbot.waitUntil(lambda: "No robot answers" in link.error, timeout=SOON_MS)
    assert link.connection is Connection.CONNECTING
    with FakeRobot(port=port):
        qtbot.waitUntil(is_up(link), timeout=SOON_MS)
        assert link.error == ""
        link.close()
        qtbot.waitUntil(lambda: not link._thread.is_alive(), timeout=SOON_MS)


# --- what goes wrong ---


def test_a_robot_that_vanishes_is_lost_and_back_within_a_second_of_its_return(qtbot: QtBot, rig: Rig) -> None:
    port = free_port()
    with FakeRobot(port=port):
        link = rig.link(port)
        qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    qtbot.waitUntil(lambda: link.connection is Connection.LOST, timeout=SOON_MS)
    qtbot.waitUntil(lambda: "Link lost. Trying every 0.5 s." in rig.texts(), timeout=SOON_MS)
    qtbot.wait(1000)
    with FakeRobot(port=port):
        begun_s = time.monotonic()
        qtbot.waitUntil(lambda: link.connection is Connection.UP, timeout=SOON_MS)
        took_s = time.monotonic() - begun_s
        qtbot.waitUntil(lambda: "Link is back. Disarmed: press Enter to arm." in rig.texts(), timeout=SOON_MS)
        assert took_s < 4.0, "0.6 s where nothing else runs"
        link.close()
        qtbot.waitUntil(lambda: not link._thread.is_alive(), timeout=SOON_MS)


def test_a_robot_may_vanish_at_any_moment(qtbot: QtBot, rig: Rig) -> None:
    dice = random.Random(3)
    port = free_port()
    for _ in range(5):
        robot = FakeRobot(port=port)
        link = rig.link(port)
        actions = Actions(link)
        actions.arm()
        qtbot.wait(dice.randrange(0, 250))
        actions.arm()
        robot.gateway.stop()
        link.wish(0.5, 0.5)
        actions.e_stop()
        actions.close()
        link.close()
    with FakeRobot(port=port):
        last = rig.link(port)
        qtbot.waitUntil(is_up(last), timeout=SOON_MS)
        last.close()
        qtbot.waitUntil(lambda: not any(link._thread.is_alive() for link in rig.links), timeout=3 * SOON_MS)


def test_a_robot_of_another_wire_version_is_told_in_the_looks_words(
    qtbot: QtBot, rig: Rig, robot: FakeRobot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynet_core.handler.WIRE_VERSION", 2)
    link = rig.link(robot.port)
    qtbot.waitUntil(
        lambda: "speaks wire 2, this window 1. Update this laptop." in link.error, timeout=SOON_MS
    )


def test_a_full_robot_is_told_in_the_looks_words(qtbot: QtBot, rig: Rig) -> None:
    with Gateway(0, max_poolsize=1) as gateway:
        link = rig.link(gateway.port)
        qtbot.waitUntil(lambda: "is full: 1 of 1 connections." in link.error, timeout=SOON_MS)


def test_figures_that_are_none_become_faults_and_are_told_once(
    qtbot: QtBot, rig: Rig, robot: FakeRobot
) -> None:
    robot.value_m = float("nan")
    robot.velocity_mps = float("inf")
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    qtbot.waitUntil(lambda: link.heard.odometry is not None and bool(link.heard.readings), timeout=SOON_MS)
    qtbot.wait(300)
    now_s = time.monotonic()
    [front] = link.heard.range_views(now_s)
    assert front.reading.state is ReadingState.FAULT
    assert link.heard.velocity_mps(now_s) is None
    assert all(abs(sample.value) < 1e6 for sample in rig.samples.take())
    doubts = [text for text in rig.texts() if "make no sense" in text]
    assert sorted(doubts) == [
        "encoder: figures that make no sense, not shown.",
        "proximity: figures that make no sense, not shown.",
    ]


def test_a_status_that_makes_no_sense_ages_to_assumed(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    robot.set(duty=float("nan"), state=State.ARMED)
    qtbot.waitUntil(lambda: link.heard.status_age_s(time.monotonic()) > 0.4, timeout=SOON_MS)
    assert link.heard.state(time.monotonic()) is State.DISARMED


def test_garbage_between_the_items_costs_the_garbage_only(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    robot.garbage = b"\xc1garbage"
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    assert link.heard.status is not None


def test_an_absurd_description_is_cut_to_what_a_window_can_show(
    qtbot: QtBot, rig: Rig, robot: FakeRobot
) -> None:
    stream = replace(
        DESCRIPTION.streams[3],
        unit="furlongs per fortnight " * 100,
        channels=tuple(f"c{i}" for i in range(1000)),
        maximum=float("inf"),
    )
    robot.description = replace(DESCRIPTION, name="R" * 10_000 + "\n", streams=(stream,) * 500)
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    seen = link.heard.description
    assert seen is not None
    assert len(seen.name) <= 40
    assert len(seen.streams) <= 32
    assert max(len(s.unit) for s in seen.streams) <= 40
    assert max(len(s.channels) for s in seen.streams) <= 16


@pytest.mark.parametrize("nonsense", [-3.0, float("inf"), 1e9])
def test_an_absurd_top_speed_is_none(qtbot: QtBot, rig: Rig, robot: FakeRobot, nonsense: float) -> None:
    robot.description = replace(DESCRIPTION, top_speed_mps=nonsense, max_throttle=nonsense)
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    seen = link.heard.description
    assert seen is not None
    assert (seen.top_speed_mps, seen.max_throttle) == (0.0, 1.0)


def test_a_flood_of_channels_is_bounded(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    for i in range(300):
        link._take_scan("proximity", Scan(readings=(reading(f"channel {i}"),)))
    assert len(link.heard.readings) <= 16


# --- what is asked ---


def test_arming_takes_the_lease_and_disarming_is_asked(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    with qtbot.waitSignal(actions.finished, timeout=SOON_MS) as done:
        actions.arm()
        assert actions.is_arming
    assert done.args == [Outcome("arm")]
    assert link.heard.has_lease
    assert link.heard.state(time.monotonic()) is State.ARMED
    assert not actions.is_arming
    with qtbot.waitSignal(actions.finished, timeout=SOON_MS):
        actions.disarm()
    assert robot.asked == ["lease", "arm", "disarm"]


def test_a_lease_that_somebody_else_has_is_told_with_the_way_out(
    qtbot: QtBot, rig: Rig, robot: FakeRobot
) -> None:
    robot.set(holder="somebody", holder_name="Ada")
    robot.verdict = Verdict.NO_LEASE
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    with qtbot.waitSignal(actions.finished, timeout=SOON_MS) as done:
        actions.arm()
    assert done.args == [Outcome("arm", "Ada drives. Take the lease first (T).")]


def test_a_second_press_of_arm_changes_nothing(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    with qtbot.waitSignal(actions.finished, timeout=SOON_MS):
        for _ in range(10):
            actions.arm()
    assert robot.asked == ["lease", "arm"]


def outcomes_of_a_disarm(qtbot: QtBot, rig: Rig, robot: FakeRobot, *, after: str) -> list[Outcome]:
    """Of an Arm, and of the disarm that comes once the robot has been asked for this."""
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    outcomes: list[Outcome] = []
    actions.finished.connect(outcomes.append)
    actions.arm()
    qtbot.waitUntil(lambda: after in robot.asked, timeout=SOON_MS)
    actions.disarm()
    qtbot.waitUntil(lambda: len(outcomes) == 2, timeout=SOON_MS)
    return outcomes


def test_an_arm_that_fails_because_of_a_disarm_is_no_error(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    robot.arms_at_once = False
    outcomes = outcomes_of_a_disarm(qtbot, rig, robot, after="arm")
    assert {outcome.error for outcome in outcomes} == {""}


def test_a_disarm_between_the_lease_and_the_arm_wins(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    robot.lease_takes_s = 0.1
    outcomes_of_a_disarm(qtbot, rig, robot, after="lease")
    assert robot.asked[-1] == "disarm"
    assert robot.status.state is State.DISARMED


def test_without_a_robot_every_wish_says_what_to_do(rig: Rig) -> None:
    actions = Actions(rig.link(free_port()))
    outcomes: list[Outcome] = []
    actions.finished.connect(outcomes.append)
    for ask in (actions.arm, actions.disarm, actions.reset, actions.take_lease, actions.e_stop):
        ask()
    assert {outcome.error for outcome in outcomes} == {"No robot connected. Press Ctrl+K."}
    assert len(outcomes) == 5
    assert not actions.is_stop_unconfirmed(time.monotonic() + 1.0), "it is not on its way"


def test_e_stop_goes_out_at_once_and_is_confirmed_by_status(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    actions.e_stop()
    qtbot.waitUntil(lambda: link.heard.state(time.monotonic()) is State.E_STOP, timeout=SOON_MS)
    assert not actions.is_stop_unconfirmed(time.monotonic() + 1.0)


def test_an_e_stop_that_nobody_confirms_is_said_after_150_ms_and_sent_until_it_is(
    qtbot: QtBot, rig: Rig, robot: FakeRobot
) -> None:
    robot.is_deaf_to_e_stop = True
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    actions.e_stop()
    assert not actions.is_stop_unconfirmed(time.monotonic())
    qtbot.waitUntil(lambda: actions.is_stop_unconfirmed(time.monotonic()), timeout=SOON_MS)
    qtbot.waitUntil(lambda: robot.asked.count("e_stop") > 5, timeout=SOON_MS)
    robot.is_deaf_to_e_stop = False
    qtbot.waitUntil(lambda: link.heard.state(time.monotonic()) is State.E_STOP, timeout=SOON_MS)
    qtbot.waitUntil(lambda: not actions.is_stop_unconfirmed(time.monotonic()), timeout=SOON_MS)
    qtbot.wait(300)
    count = robot.asked.count("e_stop")
    qtbot.wait(300)
    assert robot.asked.count("e_stop") == count  # confirmed: no longer sent


def test_closing_disarms_and_ends_every_thread(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    with qtbot.waitSignal(actions.finished, timeout=SOON_MS):
        actions.arm()
    assert threads_of_a_link() >= 8
    with qtbot.waitSignal(link.closed, timeout=SOON_MS):
        link.close()
    assert robot.asked[-2:] == ["disarm", "release"]
    qtbot.waitUntil(lambda: threads_of_a_link() == 0, timeout=SOON_MS)


def threads_of_a_link() -> int:
    ours = ("pynet link", "pynet keeper", "pynet drive sender", "pynet stream")
    return sum(thread.name.startswith(ours) for thread in threading.enumerate())


def test_a_panic_disarms_from_any_thread(qtbot: QtBot, rig: Rig, robot: FakeRobot) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    actions = Actions(link)
    with qtbot.waitSignal(actions.finished, timeout=SOON_MS):
        actions.arm()
    thread = threading.Thread(target=link.panic)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: robot.asked[-1] == "disarm", timeout=SOON_MS)
    assert robot.commands()[-1].throttle == 0.0


def test_a_panic_without_the_lease_leaves_the_car_to_who_drives_it(
    qtbot: QtBot, rig: Rig, robot: FakeRobot
) -> None:
    link = rig.link(robot.port)
    qtbot.waitUntil(is_up(link), timeout=SOON_MS)
    link.panic()
    qtbot.wait(100)
    assert robot.asked == []
