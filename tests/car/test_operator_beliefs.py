"""What an Operator takes for true, and what it numbers, while others act beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pynet_car.car_clock import CarClock
from pynet_car.messages import Reset, State, Status, decode
from pynet_car.operator import CarRefused, Operator
from pynet_core.client import Pong
from pynet_core.errors import LinkError
from tests.car.fake_car import FakeCar
from tests.car.test_operator import wait_for


@pytest.fixture
def car() -> Iterator[FakeCar]:
    with FakeCar() as car:
        yield car


def test_an_e_stop_seen_before_the_press_does_not_confirm_it(car: FakeCar) -> None:
    with Operator(port=car.port) as operator:
        car.set(state=State.E_STOP, reason="pressed by somebody, some time ago")
        wait_for(lambda: operator.status.state is State.E_STOP)
        car.gateway.stop()  # from here on somebody else may reset it, and drive
        wait_for(lambda: operator.status_age_s > 0.1)
        with pytest.raises(LinkError, match="E-STOP not confirmed"):
            operator.e_stop(timeout_s=0.3)


def test_a_car_armed_by_who_took_the_lease_meanwhile_is_not_armed(car: FakeCar) -> None:
    car.arms_at_once = False
    with Operator(port=car.port) as operator:
        operator.lease()

        def take_over() -> None:
            wait_for(lambda: "arm" in car.asked)
            car.set(state=State.ARMED, holder="feed", holder_name="Grace", session=78)

        other = threading.Thread(target=take_over)
        other.start()
        with pytest.raises(CarRefused, match="Grace drives"):
            operator.arm()
        other.join()


def test_a_car_that_was_switched_off_has_another_clock_from_its_first_pong_on() -> None:
    """Its clock begins at 0 again: for ten seconds every picture was an hour old, or never old at all."""
    clock = CarClock()
    clock.take(Pong("", 1_000_000, 3600 * 10**9))
    clock.take(Pong("", 90_000_000, 3600 * 10**9 + 40_000_000))
    assert clock.offset_ns == 3600 * 10**9, "the longer way there explains the difference"
    clock.take(Pong("", 20_000_000, 5 * 10**9))
    assert clock.offset_ns == 5 * 10**9


def test_a_reset_names_the_status_that_said_e_stop(car: FakeCar) -> None:
    """So the car can tell one that was on its way from one that is meant."""
    with Operator(port=car.port) as operator:
        operator.e_stop()
        wait_for(lambda: operator.status.state is State.E_STOP)
        seen = operator.status
        operator.reset()
        assert decode(car.brought["reset"], Reset).answers_ns >= seen.stamp_ns


def test_a_callback_that_raises_does_not_blind_the_driver(car: FakeCar) -> None:
    """It ended both streams of Status for good: no word from the car, and no disarm at the end."""
    heard: list[str] = []

    def raises(status: Status) -> None:
        heard.append("raises")
        raise RuntimeError("somebody's bug")

    with Operator(port=car.port) as operator:
        operator.arm()
        operator.on_status(raises)
        operator.on_status(lambda status: heard.append("sound"))
        wait_for(lambda: heard.count("sound") > 20)
        assert 1 <= heard.count("raises") <= 2  # once in each stream's thread at most
        operator.drive(0.3, 0.0)
        assert operator.is_connected
