"""What an Operator sends, when, and what it does when the car says no or nothing."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynet_car.messages import CameraFrame, State, Status, Verdict, encode
from pynet_car.operator import CarRefused, Operator
from pynet_core.errors import DeadlineExceeded, LinkClosed, LinkError
from tests.car.fake_car import FakeCar


@pytest.fixture
def car() -> Iterator[FakeCar]:
    with FakeCar() as car:
        yield car


def wait_for(holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.005)


def test_arm_takes_the_lease_and_holds_neutral_until_armed(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        assert operator.status.state is State.ARMED
        assert operator.has_lease
        assert car.asked == ["lease", "arm"]
        assert {command.throttle for command in car.commands()} == {0.0}


def test_every_command_goes_out_on_two_pairs(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        operator.drive(0.5, -0.25)
        wanted = [told for told in car.told if told.command.throttle == 0.5]
        wait_for(lambda: len({t.pair_id for t in car.told if t.command.throttle == 0.5}) == 2)
        assert all(told.command.steering == -0.25 for told in wanted)


def test_a_command_answers_the_newest_status_and_is_resent_unchanged(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        seen = operator.status
        operator.drive(0.4, 0.0)
        wait_for(lambda: sum(t.command.throttle == 0.4 for t in car.told) >= 4)
        sent = {told.command for told in car.told if told.command.throttle == 0.4}
        assert len(sent) == 1, "resent, never restamped"
        assert sent.pop().answers_ns >= seen.stamp_ns


def test_an_unrenewed_wish_is_followed_by_one_neutral_and_then_silence(car: FakeCar) -> None:
    with Operator(port=car.port, renew_within_s=0.1) as operator:
        operator.arm()
        wait_for(lambda: car.commands()[-1].seq % 2 == 1)  # the neutral after the arming's wishes
        operator.drive(0.4, 0.3)
        wait_for(lambda: car.commands()[-1].throttle == 0.4)
        wait_for(lambda: car.commands()[-1].throttle == 0.0)
        last_wish, neutral = car.commands()[-2:]
        assert (last_wish.throttle, neutral.throttle, neutral.steering) == (0.4, 0.0, 0.0)
        assert neutral.answers_ns == last_wish.answers_ns, "nobody sampled a stick for it"
        time.sleep(0.1)  # what is on its way
        count = len(car.told)
        time.sleep(0.3)
        assert len(car.told) == count


def test_arming_again_right_after_disarm_waits_for_the_new_armed(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        operator.disarm()
        assert operator.status.state.value == "DISARMED", "disarm returns when the car says so"
        operator.arm()
        assert operator.status.state.value == "ARMED"
        assert car.asked == ["lease", "arm", "disarm", "arm"]


def test_reset_returns_when_the_car_has_left_e_stop(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.e_stop()
        operator.reset()
        assert operator.status.state is State.DISARMED


def test_nothing_leaves_without_the_lease(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.wish(1.0, 1.0)
        with pytest.raises(CarRefused, match="nobody holds the lease") as caught:
            operator.drive(1.0, 1.0)
        assert caught.value.verdict is Verdict.NO_LEASE
        time.sleep(0.1)
        assert car.told == []


def test_drive_refuses_while_disarmed_and_says_why(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.lease()
        with pytest.raises(CarRefused, match="DISARMED: just started"):
            operator.drive(0.1, 0.0)


@pytest.mark.parametrize(("throttle", "steering"), [(1.01, 0.0), (0.0, -1.5), (float("nan"), 0.0)])
def test_a_wish_out_of_range_is_an_error_and_never_sent(
    car: FakeCar, throttle: float, steering: float
) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        with pytest.raises(ValueError, match=r"must be in \[-1, 1\]"):
            operator.drive(throttle, steering)


@pytest.mark.parametrize("verdict", [Verdict.NO_LEASE, Verdict.DISARMED, Verdict.STALE])
def test_a_refusal_is_an_error_with_the_reason(car: FakeCar, verdict: Verdict) -> None:
    with Operator(port=car.port) as operator:
        car.verdict = verdict
        with pytest.raises(CarRefused) as caught:
            operator.arm()
        assert caught.value.verdict is verdict
        assert str(caught.value).startswith("lease: ")


def test_arm_gives_up_when_the_car_does_not_arm(car: FakeCar) -> None:
    car.arms_at_once = False
    with (
        Operator(port=car.port) as operator,
        pytest.raises(DeadlineExceeded, match=r"not armed within 0\.3 s"),
    ):
        operator.arm(timeout_s=0.3)


def test_drive_says_so_when_the_car_has_been_silent_for_a_second(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.arm()
        car.is_silent = True
        wait_for(lambda: not operator.is_connected)
        with pytest.raises(LinkClosed, match="no word from this machine"):
            operator.drive(0.5, 0.0)


@pytest.mark.parametrize("renew_within_s", [0.0, -1.0, math.nan, None, "soon"])
def test_a_time_to_renew_within_that_is_none_is_refused_before_anything_is_sent(
    car: FakeCar, renew_within_s: Any
) -> None:
    """Once the thread that sends died of it at the first wish."""
    with pytest.raises(ValueError, match="renew_within_s must be more than 0 s, got"):
        Operator(port=car.port, renew_within_s=renew_within_s)
    assert car.asked == []


def test_e_stop_needs_no_lease(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        operator.e_stop()
        assert set(car.asked) == {"e_stop"}  # on both pairs, so once or twice


def test_e_stop_that_is_not_confirmed_is_an_error(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        car.gateway.stop()
        with pytest.raises(LinkError, match=r"E-STOP not confirmed within 0\.3 s"):
            operator.e_stop(timeout_s=0.3)


def without_threads(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As on a machine that has none left, for threads of this name."""
    start = threading.Thread.start

    def no_thread_left(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", no_thread_left)


def test_e_stop_takes_no_thread_where_none_is_left(car: FakeCar, monkeypatch: pytest.MonkeyPatch) -> None:
    with Operator(port=car.port) as operator:
        without_threads(monkeypatch, "pynet e-stop")
        operator.e_stop()
        assert car.asked == ["e_stop"]
        car.gateway.stop()
        with pytest.raises(LinkError, match=r"E-STOP not confirmed within 0\.3 s"):
            operator.e_stop(timeout_s=0.3)


@pytest.mark.parametrize("name", ["pynet try", "pynet stream status"])
def test_a_link_is_mended_once_there_are_threads_again(
    car: FakeCar, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with Operator(port=car.port) as operator:
        echo = operator._echoes[0]
        with monkeypatch.context() as patched:
            without_threads(patched, name)
            echo.cut()
            wait_for(lambda: "can't start new thread" in str(operator.link_error))
        wait_for(lambda: operator.link_error is None and echo.is_up)


def test_close_disarms_and_gives_the_lease_back_and_ends_every_thread(car: FakeCar) -> None:
    before = set(threading.enumerate())
    operator = Operator(port=car.port)
    operator.arm()
    operator.close()
    operator.close()
    assert car.asked[-2:] == ["disarm", "release"]
    wait_for(lambda: not [t for t in set(threading.enumerate()) - before if "handler" not in t.name])


def test_a_car_that_comes_back_is_found_again_and_nothing_old_is_sent(free_port: int) -> None:
    with FakeCar(port=free_port) as car, Operator(port=free_port) as operator:
        operator.arm()
        operator.drive(0.6, 0.0)
        car.gateway.stop()
        wait_for(lambda: not operator.is_connected)
        with FakeCar(port=free_port) as again:
            again.set(boot=2)
            wait_for(lambda: operator.is_connected and operator.status.boot == 2)
            operator.lease()
            assert operator.link_error is None
            time.sleep(0.1)
            assert again.told == [], "no wish was made since"


def test_silence_alone_reconnects_although_no_socket_breaks(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        pairs = {told.pair_id for told in car.told}
        car.is_silent = True
        wait_for(lambda: not operator.is_connected)
        car.is_silent = False
        wait_for(lambda: operator.is_connected)
        assert pairs == {told.pair_id for told in car.told}


def test_an_item_that_is_no_status_is_skipped(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        car.garbage = b"\xff not msgpack"
        stamp_ns = operator.status.stamp_ns
        wait_for(lambda: operator.status.stamp_ns > stamp_ns + 100_000_000)
        assert operator.is_connected


def test_a_frame_that_is_none_is_counted_and_the_next_one_shown(car: FakeCar) -> None:
    frame = CameraFrame(seq=3, captured_ns=4, width_px=640, height_px=480, jpeg=b"\xff\xd8")

    def camera() -> Iterator[bytes]:
        yield b"\x00"
        while True:
            yield encode(frame)
            time.sleep(0.02)

    car.gateway.add_subroutine("camera", camera, shared=True)
    seen: list[CameraFrame] = []
    with Operator(port=car.port) as operator:
        line = operator.on_frame(seen.append)
        wait_for(lambda: len(seen) > 2)
        assert seen[0] == frame
        assert line.undecodable == 1


def test_a_callback_that_raises_ends_its_own_stream_only(car: FakeCar) -> None:
    def broken(status: Status) -> None:
        raise RuntimeError("a bug in somebody's script")

    car.gateway.add_subroutine("encoder", lambda: iter(()), role="viewer")
    with Operator(port=car.port) as operator:
        line = operator.on_odometry(broken)  # type: ignore[arg-type]
        operator.arm()
        operator.drive(0.1, 0.0)
        assert operator.is_connected
        wait_for(lambda: not line.is_up)


def test_no_car_is_one_clear_error(free_port: int) -> None:
    with pytest.raises(LinkError, match=f"no gateway at this machine port {free_port}"):
        Operator(port=free_port)
