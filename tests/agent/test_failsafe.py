"""Each row of the table of states, and each of its borders in time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pi_agent.link import PeerGone
from pynet_car.messages import Arm, Disarm, EStop, Lease, Priority, Release, Reset, State, Verdict
from tests.agent.failsafe_rig import (
    ADA,
    GRACE,
    LIFESPAN_MS,
    MS,
    PATH_LIFESPAN_MS,
    Ask,
    Rig,
    armed,
    arming,
    e_stopped,
    failsafe,
)

pytestmark = pytest.mark.promise

NS_IN_MS = 1 / MS  # one nanosecond

EVERY_STATE = [Rig, arming, armed, failsafe, e_stopped]
NOT_E_STOPPED = EVERY_STATE[:-1]


# any state


@pytest.mark.parametrize("rig_in", EVERY_STATE)
@pytest.mark.parametrize("presser", [ADA, GRACE])
def test_anyone_stops_it_from_any_state(rig_in: Callable[[], Rig], presser: str) -> None:
    rig = rig_in()
    assert rig.ask(EStop(), presser).code is Verdict.TAKEN
    assert rig.state() is State.E_STOP


@pytest.mark.parametrize("rig_in", [arming, armed, failsafe])
def test_disarm_lost_lease_and_dead_worker_all_disarm(rig_in: Callable[[], Rig]) -> None:
    ends: list[Callable[[Rig], object]] = [
        lambda rig: rig.ask(Disarm()),
        lambda rig: rig.ask(Disarm(), GRACE),  # a stop asks for no lease
        lambda rig: rig.ask(Release()),
        lambda rig: rig.ask(PeerGone()),
        lambda rig: rig.lease(GRACE, take=True),
        lambda rig: rig.failsafe.worker_died(rig.now),
    ]
    for end in ends:
        rig = rig_in()
        end(rig)
        assert rig.state() is State.DISARMED
        assert rig.after(10).throttle == 0.0


def test_a_dead_worker_takes_the_lease_with_it() -> None:
    rig = armed()
    rig.failsafe.worker_died(rig.now)
    assert rig.failsafe.holder is None


def test_nothing_but_reset_leaves_e_stop() -> None:
    rig = e_stopped()
    rig.ask(Disarm())
    rig.arm()
    rig.drive(0.0)
    rig.ask(Release())
    rig.failsafe.worker_died(rig.now)
    rig.after(10_000)
    assert rig.state() is State.E_STOP
    assert rig.ask(Reset(), GRACE).code is Verdict.TAKEN
    assert rig.state() is State.DISARMED


def test_an_e_stop_latched_before_the_restart_still_holds() -> None:
    rig = Rig(e_stopped="the e-stop was pressed before the restart")
    rig.lease()
    assert rig.arm().code is Verdict.DISARMED
    assert rig.state() is State.E_STOP
    assert "reset it" in rig.failsafe.reason


def test_e_stop_goes_before_all_that_came_with_it() -> None:
    rig = armed()
    command = rig.command(0.8)
    rig.now += 10 * MS
    outcome = rig.step([rig.request(Release()), rig.request(EStop(), GRACE)], [command])
    assert (outcome.throttle, rig.state()) == (0.0, State.E_STOP)
    assert [result.id for result in outcome.results] == sorted(
        (result.id for result in outcome.results), reverse=True
    )


def test_a_reset_that_was_on_its_way_undoes_no_later_e_stop() -> None:
    rig = armed()
    rig.ask(EStop())
    seen = Reset(answers_ns=rig.stamp)  # its sender heard nothing, and resets again
    assert rig.ask(Reset(answers_ns=rig.stamp)).code is Verdict.TAKEN
    rig.ask(EStop(), GRACE)
    late = rig.ask(seen)
    assert (late.code, rig.state()) == (Verdict.STALE, State.E_STOP)
    assert "reset again" in late.reason
    assert rig.ask(Reset(answers_ns=rig.stamp)).code is Verdict.TAKEN
    assert rig.state() is State.DISARMED


def test_a_reset_in_the_same_tick_as_an_e_stop_loses() -> None:
    rig = e_stopped()
    outcome = rig.step([rig.request(Reset()), rig.request(EStop(), GRACE)])
    assert [result.code for result in outcome.results] == [Verdict.TAKEN, Verdict.DISARMED]
    assert rig.state() is State.E_STOP


# DISARMED -> ARMING


def test_only_the_holder_arms() -> None:
    rig = Rig()
    assert rig.arm().code is Verdict.NO_LEASE
    rig.lease()
    refused = rig.arm(GRACE)
    assert (refused.code, rig.state()) == (Verdict.NO_LEASE, State.DISARMED)
    assert refused.reason == "Adaad holds the lease; take it to drive."
    assert rig.arm().code is Verdict.TAKEN
    assert rig.state() is State.ARMING


def test_an_arm_is_void_one_second_after_what_it_answers() -> None:
    rig = Rig()
    rig.lease()
    seen = rig.stamp
    assert rig.ask(Arm(answers_ns=seen), ms=1000 + NS_IN_MS).code is Verdict.STALE
    assert rig.state() is State.DISARMED
    seen = rig.stamp
    assert rig.ask(Arm(answers_ns=seen), ms=1000).code is Verdict.TAKEN


def test_an_arm_that_answers_the_future_is_void() -> None:
    rig = Rig()
    rig.lease()
    assert rig.ask(Arm(answers_ns=rig.stamp + 1), ms=10).code is Verdict.STALE


def test_an_arm_from_before_the_e_stop_does_not_arm_after_the_reset() -> None:
    rig = armed()
    seen = rig.stamp
    rig.ask(EStop())
    rig.ask(Reset())
    assert rig.ask(Arm(answers_ns=seen)).code is Verdict.STALE
    assert rig.arm().code is Verdict.TAKEN


# ARMING -> ARMED


def test_a_centred_fresh_command_arms() -> None:
    rig = arming()
    assert rig.drive(0.02).throttle == 0.02
    assert rig.state() is State.ARMED
    assert rig.failsafe.verdict is Verdict.TAKEN


@pytest.mark.parametrize("throttle", [0.021, -0.021, 1.0])
def test_a_pulled_stick_does_not_arm(throttle: float) -> None:
    rig = arming()
    assert rig.drive(throttle).throttle == 0.0
    assert rig.state() is State.ARMING
    assert rig.failsafe.verdict is Verdict.DISARMED


def test_a_command_that_answers_a_status_from_before_arming_does_not_arm() -> None:
    rig = arming()
    rig.drive(0.0, answers=rig.stamp - 1)
    assert rig.state() is State.ARMING
    rig.drive(0.0, answers=rig.stamp)  # stamped as ARMING began, or later
    assert rig.state() is State.ARMED


def test_the_stamp_at_which_arming_began_arms() -> None:
    rig = arming()
    began = rig.stamp
    rig.after(10)
    rig.drive(0.0, answers=began)
    assert rig.state() is State.ARMED


def test_a_stale_centred_command_does_not_arm() -> None:
    rig = arming()
    began = rig.stamp
    rig.after(100)
    rig.drive(0.0, answers=began, ms=LIFESPAN_MS - 100 + NS_IN_MS)
    assert rig.state() is State.ARMING


def test_arming_ends_after_one_second() -> None:
    rig = arming()
    rig.after(900)
    rig.drive(0.0, ms=100)
    assert rig.state() is State.ARMED
    rig = arming()
    rig.after(900)
    rig.drive(0.0, ms=100 + NS_IN_MS)
    assert rig.state() is State.DISARMED


def test_arming_twice_does_not_prolong_it() -> None:
    rig = arming()
    rig.after(600)
    assert rig.arm().code is Verdict.TAKEN
    rig.after(600)
    assert rig.state() is State.DISARMED


# ARMED -> FAILSAFE


@pytest.mark.parametrize("lifespan_ms", [100, 200, 1000])
def test_failsafe_begins_when_the_newest_command_is_older_than_the_lifespan(lifespan_ms: int) -> None:
    rig = armed(lifespan_ms=lifespan_ms)
    rig.drive(0.5)  # answers a stamp 10 ms old
    assert rig.after(lifespan_ms - 10).throttle == 0.5
    assert rig.after(NS_IN_MS).throttle == 0.0
    assert rig.state() is State.FAILSAFE
    assert rig.failsafe.failsafe_trips == 1
    assert rig.failsafe.verdict is Verdict.STALE


def test_a_burst_of_stalled_commands_does_not_keep_it_armed() -> None:
    rig = armed()
    late = [rig.command(1.0, answers=rig.stamp) for _ in range(50)]
    rig.now += (LIFESPAN_MS + 1) * MS
    assert rig.step(commands=late).throttle == 0.0
    assert rig.state() is State.FAILSAFE


def test_a_command_from_the_future_stays_stale_when_its_time_comes() -> None:
    rig = armed()
    rig.drive(1.0, answers=rig.stamp + 500 * MS)
    assert rig.state() is State.FAILSAFE
    rig.after(495)
    assert rig.failsafe.verdict is Verdict.STALE
    assert rig.state() is State.FAILSAFE


def test_an_older_seq_never_comes_back_whatever_it_answers() -> None:
    rig = armed()
    rig.drive(0.0, seq=50)
    refused = rig.failsafe.refused
    assert rig.drive(1.0, seq=49).throttle == 0.0
    assert rig.drive(1.0, seq=50).throttle == 0.0
    assert rig.failsafe.refused == refused  # twins from the second pair are no news


def test_the_newest_seq_wins_in_any_order_of_arrival() -> None:
    rig = armed()
    first, second = rig.command(0.1), rig.command(0.2)
    rig.now += 10 * MS
    assert rig.step(commands=[second, first, second]).throttle == 0.2


def test_others_and_old_sessions_are_refused_and_counted() -> None:
    rig = armed()
    rig.drive(0.1)
    assert rig.drive(1.0, peer=GRACE).throttle == 0.1
    assert rig.drive(1.0, session=rig.minted[0] + 1).throttle == 0.1
    assert rig.failsafe.refused == 2
    assert rig.failsafe.command_age_ns == 30 * MS


# FAILSAFE ->


def test_fresh_again_within_half_a_second_drives_on() -> None:
    rig = failsafe()
    rig.after(490)
    assert rig.drive(0.7, ms=10).throttle == 0.7
    assert rig.state() is State.ARMED


def test_after_half_a_second_only_a_centred_stick_drives_on() -> None:
    rig = failsafe()
    rig.after(490)
    assert rig.drive(0.7, ms=10 + NS_IN_MS).throttle == 0.0
    assert (rig.state(), rig.failsafe.verdict) == (State.FAILSAFE, Verdict.DISARMED)
    assert "center the throttle" in rig.failsafe.reason
    rig.drive(0.0)
    assert rig.state() is State.ARMED
    assert rig.drive(0.7).throttle == 0.7


def test_after_two_seconds_it_is_disarmed_though_the_stick_is_centred() -> None:
    rig = failsafe()
    rig.after(1990)
    rig.drive(0.0, ms=10)
    assert rig.state() is State.ARMED
    rig = failsafe()
    rig.after(1990)
    rig.drive(0.0, ms=10 + NS_IN_MS)
    assert rig.state() is State.DISARMED


def test_a_stick_held_through_the_gap_ends_disarmed() -> None:
    rig = failsafe()
    rig.after(500)
    while rig.state() is State.FAILSAFE:
        assert rig.drive(0.7).throttle == 0.0
    assert rig.state() is State.DISARMED
    assert rig.drive(0.0).throttle == 0.0
    assert rig.state() is State.DISARMED


def test_arm_does_not_shorten_a_failsafe() -> None:
    rig = failsafe()
    assert rig.arm().code is Verdict.DISARMED
    assert rig.state() is State.FAILSAFE


# the lease


@pytest.mark.parametrize("holds", list(Priority))
@pytest.mark.parametrize("asks", list(Priority))
@pytest.mark.parametrize("take", [False, True])
def test_who_gets_the_lease(holds: Priority, asks: Priority, take: bool) -> None:
    rig = Rig()
    rig.lease(ADA, priority=holds)
    result = rig.lease(GRACE, priority=asks, take=take)
    gets_it = asks > holds or (asks == holds and take)
    assert (result.code is Verdict.TAKEN) == gets_it
    assert rig.failsafe.holder is not None
    assert rig.failsafe.holder.peer == (GRACE if gets_it else ADA)


def test_each_lease_has_a_session_of_its_own_and_seq_starts_again() -> None:
    rig = armed()
    rig.drive(0.0, seq=10**6)
    rig.lease(GRACE, take=True)
    assert rig.failsafe.command is None
    rig.arm(GRACE)
    rig.drive(0.0, peer=GRACE, seq=0)
    assert rig.state() is State.ARMED
    assert len(set(rig.minted)) == 2


def test_asking_again_keeps_the_session_and_the_motors() -> None:
    rig = armed()
    rig.drive(0.5)
    assert rig.lease().code is Verdict.TAKEN
    assert len(rig.minted) == 1
    assert rig.after(10).throttle == 0.5


def test_the_lease_lapses_two_and_a_half_seconds_after_it_was_granted() -> None:
    rig = Rig()
    rig.lease()
    rig.after(2500 - NS_IN_MS)
    assert rig.failsafe.holder is not None
    rig.after(NS_IN_MS)
    assert rig.failsafe.holder is None
    assert rig.failsafe.verdict is Verdict.NO_LEASE


def test_a_fresh_command_holds_the_lease_and_a_stale_one_does_not() -> None:
    rig = Rig()
    rig.lease()
    granted = rig.stamp
    rig.after(2000)
    rig.drive(0.0)
    rig.after(600)
    assert rig.failsafe.holder is not None
    rig.drive(0.0, answers=granted)
    rig.after(1890)
    assert rig.failsafe.holder is None


def test_a_command_in_the_tick_of_the_lapse_comes_too_late() -> None:
    rig = armed(lifespan_ms=1000)
    rig.after(2000)
    rig.drive(0.0, ms=500)
    assert rig.failsafe.holder is None
    assert rig.state() is State.DISARMED


def test_what_answers_a_time_before_the_lease_is_stale() -> None:
    rig = Rig()
    before = rig.stamp
    rig.lease()
    rig.arm()
    rig.drive(0.0, answers=before)
    assert rig.state() is State.ARMING
    assert rig.failsafe.verdict is Verdict.STALE


def test_giving_back_what_one_does_not_hold_changes_nothing() -> None:
    rig = armed()
    assert rig.ask(Release(), GRACE).code is Verdict.NO_LEASE
    assert rig.ask(PeerGone(), GRACE).code is Verdict.NO_LEASE
    assert rig.state() is State.ARMED


def test_requests_apply_in_order() -> None:
    rig = Rig()
    asks: list[Ask] = [Lease(), Release(), Lease(take=True), Arm(answers_ns=rig.stamp)]
    outcome = rig.step([rig.request(ask) for ask in asks])
    assert [result.code for result in outcome.results] == [Verdict.TAKEN] * 4
    assert rig.state() is State.ARMING


# what people are told


def test_each_change_is_told_once() -> None:
    rig = failsafe()
    rig.after(100)
    rig.drive(0.5)
    rig.ask(EStop(), GRACE)
    rig.ask(EStop(), GRACE)
    rig.ask(Reset())
    rig.arm()
    rig.drive(0.0)
    rig.ask(Release())
    until_stop = ["lease_taken", "armed", "failsafe_on", "failsafe_off", "e_stop", "reset"]
    assert rig.events == [*until_stop, "armed", "lease_lost", "disarmed"]


def test_every_refusal_and_every_state_names_the_way_out() -> None:
    rig = e_stopped()
    assert "reset" in rig.failsafe.reason
    assert "reset" in rig.arm().reason
    rig.ask(Reset())
    assert "may arm" in rig.failsafe.reason
    assert "take it to drive" in rig.lease(GRACE).reason
    assert "ask them to release" in rig.lease(GRACE, priority=Priority.SCRIPT, take=True).reason
    rig.ask(Release())
    assert "take it" in rig.arm().reason
    assert "take the lease" in rig.failsafe.reason


# paths


def test_a_path_drives_for_a_second_and_a_half() -> None:
    rig = armed()
    assert rig.follow().path is not None
    assert rig.after(PATH_LIFESPAN_MS - 10).path is not None
    assert rig.after(1).path is None
    assert rig.state() is State.FAILSAFE


def test_the_newest_of_either_kind_drives() -> None:
    rig = armed()
    rig.follow()
    outcome = rig.drive(0.3)
    assert (outcome.throttle, outcome.path) == (0.3, None)
    outcome = rig.follow()
    assert (outcome.throttle, outcome.path) == (0.0, rig.failsafe.command)
    assert rig.drive(0.3, seq=1).path is not None, "an older command comes late"


def test_a_path_arms_nothing() -> None:
    rig = arming()
    for _ in range(5):
        assert rig.follow().path is None
    assert rig.state() is State.ARMING


def test_a_path_of_a_picture_from_before_the_lease_drives_without_a_failsafe() -> None:
    before = Rig().stamp
    rig = armed()
    rig.after(10)
    assert rig.follow(answers=before).path is not None
    assert "failsafe_on" not in rig.events


def test_a_picture_that_was_not_taken_yet_makes_no_path() -> None:
    rig = armed()
    assert rig.follow(answers=rig.now + 11 * MS).path is None


@pytest.mark.parametrize("gap_ms", [500, 501])
def test_after_a_gap_a_path_drives_on_as_a_held_stick_does(gap_ms: int) -> None:
    rig = armed()
    rig.follow()
    while rig.state() is State.ARMED:
        rig.after(10)
    resumed = rig.follow(ms=gap_ms).path is not None
    assert resumed == (gap_ms <= 500)
